"""Before a run: the user's own model, where there is one, writes more ways to ask for what is learned."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from remanence.engine.fact_models import FactModel, UnreadableAnswer
from remanence.engine.jobs import Control
from remanence.memory.fact import Fact
from remanence.models.language_model import LanguageModelError
from remanence.training.dataset import add_samples, read_manifest
from remanence.training.samples import Sample


def paraphrase(
    control: Control,
    dataset: Path,
    facts: Sequence[Fact],
    model: FactModel,
    most: int,
    unload: Callable[[], None],
) -> None:
    """Add to a dataset what the model writes of its facts, `most` of each; once, however often it is begun.

    What it cannot do leaves the run as it was planned: the job's notes say so.
    """
    if read_manifest(dataset).paraphrased:
        return
    found: list[Sample] = []
    unread = 0
    try:
        for place, fact in enumerate(facts):
            control.report(0.0, f"{model.name} writes paraphrases: fact {place + 1} of {len(facts)}")
            try:
                found += model.paraphrases(fact, most, control.cancel_requested.is_set)
            except UnreadableAnswer:
                unread += 1
    except LanguageModelError as error:
        control.report(0.0, "training without more paraphrases")  # raises where it was cancelled
        control.note(f"No more paraphrases: {error}")
    finally:
        with contextlib.suppress(LanguageModelError):  # somebody else is being answered
            unload()  # the trainer needs the room
    if unread:
        control.note(f"{model.name} wrote nothing that could be read for {unread} of {len(facts)} facts.")
    add_samples(dataset, found)
