"""Keywords of exchanges that have their vectors, drawn by the worker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from remanence.memory.backlog import Phrase, Waiting
from remanence.memory.keywords import candidates
from remanence.models.keyword_client import KeywordWorker
from remanence.models.worker_messages import Keyword, KeywordRequest, WorkerError

log = logging.getLogger(__name__)


def keyworded(
    worker: KeywordWorker,
    waiting: Sequence[tuple[Waiting, NDArray[np.float16]]],
    top: int,
    stopping: Callable[[], bool],
) -> list[tuple[Waiting, list[Phrase]]]:
    """Each exchange with its keywords, none for one that the worker cannot take: that costs the others
    nothing. Raises WorkerError where the worker takes none, or the engine ends."""
    batch = [KeywordRequest(candidates(item.question, item.answer), vector) for item, vector in waiting]
    try:
        found = worker.extract(batch, top)
    except WorkerError as error:
        if stopping():
            raise
        log.warning("a batch of keywords failed, each is tried alone: %s", error)
        found = _one_by_one(worker, batch, top, stopping)
    return [
        (item, [Phrase(keyword.phrase, keyword.score) for keyword in keywords])
        for (item, _), keywords in zip(waiting, found, strict=True)
    ]


def _one_by_one(
    worker: KeywordWorker, batch: Sequence[KeywordRequest], top: int, stopping: Callable[[], bool]
) -> list[list[Keyword]]:
    found: list[list[Keyword]] = []
    failed = 0
    for item in batch:
        try:
            found += worker.extract([item], top)
        except WorkerError:
            if stopping():
                raise
            failed += 1
            found.append([])
            if failed == len(found) > 1:  # not these exchanges: the worker itself does not work
                raise
    return found
