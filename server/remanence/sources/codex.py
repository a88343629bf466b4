"""OpenAI Codex: `sessions/YYYY/MM/DD/rollout-….jsonl`, in the shapes of three eras.

Until September 2025 a file holds bare API items; since then each line is {timestamp, type, payload}
and says everything twice, as API items for the model and as events for the screen, where the events
have the user's own words; in 2026 sessions whose history is paginated have items instead of events.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from remanence.sources.codex_lines import entries, voice_of
from remanence.sources.codex_turns import Rollout, exchanges, take
from remanence.sources.json_values import string
from remanence.sources.recognising import head_records, head_text
from remanence.sources.source import Failure, Item, Source, files_under

_NAME = "codex"
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_WRAPPED = {"session_meta", "response_item", "event_msg", "turn_context", "compacted", "world_state"}


def locate(environ: Mapping[str, str], home: Path) -> list[Path]:
    """Every rollout, current and archived; a compressed one only where its plain sibling is gone."""
    named = environ.get("CODEX_HOME")
    root = Path(named) if named else home / ".codex"
    found = files_under(root / "sessions", "**/rollout-*.json*") + files_under(
        root / "archived_sessions", "**/rollout-*.json*"
    )
    plain = set(found)
    return [path for path in found if path.suffix != ".zst" or path.with_suffix("") not in plain]


def read(path: Path) -> Iterator[Item]:
    """The exchanges of one rollout. Those of subagents are nobody's conversation: they are skipped.

    Turns taken back are known only at the end, so the texts of one session are held until then.
    """
    match = _UUID.search(path.name)
    rollout = Rollout(voice=voice_of(path), session=match[0] if match else path.name.partition(".")[0])
    for entry in entries(path):
        if isinstance(entry, Failure):
            yield entry
        else:
            take(rollout, entry)
    yield from exchanges(rollout, _NAME)


def recognises(path: Path, head: bytes) -> bool:
    if path.name.startswith("rollout-") and path.name.endswith((".jsonl.zst", ".jsonl", ".json")):
        return True
    if any(
        "record_type" in record
        or ("payload" in record and string(record.get("type")) in _WRAPPED)
        or {"id", "timestamp", "instructions"} <= record.keys()
        for record in head_records(head)
    ):
        return True
    start = head_text(head[:400])
    return '"type":"session_meta"' in start and '"payload"' in start


CODEX = Source(_NAME, "Codex", locate, read, recognises)
