"""What a lexical index says of itself beside Tantivy's files: how far it is, and how it wrote them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from remanence.memory.held_terms import HeldState
from remanence.memory.index_files import replace_atomically

SCHEMA_VERSION = 4  # what the index takes as terms is part of it

Marks = Mapping[str, Sequence[int]]
"""Of each file its size in bytes and when it was last written, in nanoseconds."""


def read_state(folder: Path) -> tuple[int, HeldState | None, Marks, str | None]:
    """The revision, what of the terms held counts and the files' marks; or 0, None, nothing and in words why
    there is none."""
    try:
        state = cast(dict[str, Any], json.loads((folder / "state.json").read_bytes()))
        if state["schema"] != SCHEMA_VERSION:
            return 0, None, {}, "the index has another schema"
        return int(state["revision"]), HeldState(**state["held"]), dict(state.get("files", {})), None
    except FileNotFoundError:
        return 0, None, {}, "no index"
    except (ValueError, KeyError, TypeError):
        return 0, None, {}, "the index's state is damaged"


def write_state(folder: Path, revision: int, held: HeldState, files: Marks) -> None:
    """Replace what is there. Raises OSError."""
    state = {"schema": SCHEMA_VERSION, "revision": revision, "held": asdict(held), "files": files}
    replace_atomically(folder / "state.json", [json.dumps(state).encode()])
