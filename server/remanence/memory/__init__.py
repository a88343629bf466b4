"""What is remembered and how it is found again. Knows nothing of doors, processes or models."""
