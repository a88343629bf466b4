"""The segments of a Tantivy index that are committed, as its `meta.json` lists them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: the `name` that its files begin with, how many `documents` it holds, deleted ones left
    out, and the number in the name of the file that lists these, if there are any."""

    name: str
    documents: int
    deletes: int | None


def read_segments(folder: Path) -> list[Segment]:
    """The segments in this folder. Raises OSError, and ValueError where their list is damaged."""
    try:
        listed = cast(dict[str, Any], json.loads((folder / "meta.json").read_bytes()))
        return [_segment(each) for each in listed["segments"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("the list of segments is damaged") from error


def _segment(listed: dict[str, Any]) -> Segment:
    deletes = listed["deletes"]
    gone = 0 if deletes is None else int(deletes["num_deleted_docs"])
    return Segment(
        name=listed["segment_id"].replace("-", ""),
        documents=int(listed["max_doc"]) - gone,
        deletes=None if deletes is None else int(deletes["opstamp"]),
    )
