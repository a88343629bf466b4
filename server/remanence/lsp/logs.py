"""The door's log: a private file without content. stdout belongs to the protocol, stderr to no one."""

from __future__ import annotations

import logging
import os
from io import TextIOWrapper
from types import TracebackType

from remanence.lsp.options import LogLevel
from remanence.paths import Home

_ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

_LARGEST_BYTES = 4_000_000
_OURS = "remanence"


class _Formatter(logging.Formatter):
    """Says what failed and where, never with which words: messages of exceptions and the arguments that
    libraries log may hold what the user typed."""

    def formatException(self, ei: _ExceptionInfo) -> str:
        kind, _, traceback = ei
        places: list[str] = []
        while traceback is not None:
            code = traceback.tb_frame.f_code
            places.append(f"  {os.path.basename(code.co_filename)}:{traceback.tb_lineno} in {code.co_name}")
            traceback = traceback.tb_next
        return "\n".join([f"{kind.__name__ if kind else 'Error'} at", *places])

    def formatMessage(self, record: logging.LogRecord) -> str:
        if record.name.split(".")[0] != _OURS:
            record.message = str(record.msg) if record.args else "(message withheld)"
        return super().formatMessage(record)


class _PrivateFile(logging.FileHandler):
    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding="utf-8", opener=_private)


def start_logging(home: Home) -> None:
    """Log to `logs/lsp.log` of the home, made when the first line is written; the last one is kept."""
    path = home.logs / "lsp.log"
    if path.exists() and path.stat().st_size > _LARGEST_BYTES:
        path.replace(path.with_suffix(".log.1"))
    handler = _PrivateFile(path, delay=True)
    handler.setFormatter(_Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    set_level("warning")


def set_level(level: LogLevel) -> None:
    """How much of the server's own doings is logged; libraries stay at warnings."""
    logging.getLogger(_OURS).setLevel(level.upper())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
