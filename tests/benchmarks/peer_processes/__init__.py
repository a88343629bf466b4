"""One file a peer: each is run in the peer's own environment and answers the driver line by line."""
