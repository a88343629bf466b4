"""The marks that words of what was forgotten are still in the lexical files, across crashes and ends."""

from __future__ import annotations

import shutil
from pathlib import Path

from remanence.memory.index_files import IndexWriteError


class PurgeMarks:
    """Two files: one for what has been forgotten since the round under way began, one for that round.

    Forgetting during a round makes another one, and a round that was cut short goes on.
    """

    def __init__(self, folder: Path) -> None:
        self._forgotten = folder / "purge"
        self._under_way = folder / "purging"

    def forgotten(self) -> None:
        """Rows are about to be forgotten: after a crash between, their words still leave the files."""
        self._forgotten.touch(mode=0o600)

    def is_due(self) -> bool:
        return self._forgotten.exists() or self._under_way.exists()

    def begin(self, unfinished: Path) -> None:
        """A round begins, or goes on with what is `unfinished`. That is deleted where rows were forgotten
        since: it may hold their words. Raises IndexWriteError where it stays; no round has begun then."""
        if self._forgotten.exists():
            try:
                if unfinished.exists():
                    shutil.rmtree(unfinished)
            except OSError as error:
                raise IndexWriteError(f"An unfinished index cannot be deleted: {error}") from error
            self._forgotten.replace(self._under_way)

    def done(self) -> None:
        self._under_way.unlink()
