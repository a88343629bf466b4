"""In which order rows are learned: at random, and those of like length in one batch.

A batch is as long as its longest row. Questions behind memories are ten times as long as bare ones: among
them at random they would have every batch padded to their length (measured on a tiny model: three times the
time). The library's own grouping draws from the state that torch's chance happens to be in, which a run that
goes on after a kill does not find again; and it has each stretch of an epoch begin with its longest rows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_TOGETHER = 8  # batches whose rows are sorted: more would have rows of one kind alone in each


def by_length(lengths: Sequence[int], at_once: int, seed: str) -> list[int]:
    """The number of every row once, for batches of `at_once` from the first on: those of a batch are of like
    length, the batches in any order. What is left over, fewer than a batch, stands last. The same arguments
    give the same order."""
    chance = random.Random(seed)
    rows = chance.sample(range(len(lengths)), len(lengths))
    left_over = [rows.pop() for _ in range(len(rows) % at_once)]
    batches: list[list[int]] = []
    for start in range(0, len(rows), _TOGETHER * at_once):
        near = sorted(rows[start : start + _TOGETHER * at_once], key=lengths.__getitem__)
        batches += [near[i : i + at_once] for i in range(0, len(near), at_once)]
    chance.shuffle(batches)
    return [row for batch in [*batches, left_over] for row in batch]


def length_sampler(lengths: Sequence[int], at_once: int, seed: int, epoch: Callable[[], int]) -> Any:
    """For a torch DataLoader: another order in each epoch, which `epoch` tells when one begins."""
    from torch.utils.data import Sampler

    class LengthSampler(Sampler[int]):
        def __iter__(self) -> Iterator[int]:
            return iter(by_length(lengths, at_once, f"{seed} {epoch()}"))

        def __len__(self) -> int:
            return len(lengths)

    return LengthSampler()
