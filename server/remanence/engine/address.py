"""Where a running engine is reached: a Unix socket, or on Windows loopback with a token."""

from __future__ import annotations

import os
import socket

import msgspec

from remanence.paths import Home

HAS_UNIX_SOCKETS = hasattr(socket, "AF_UNIX") and os.name != "nt"


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """What `engine.json` says. Exactly one of `socket` and `port` is set; `token` goes with `port`."""

    pid: int
    version: str
    socket: str | None = None
    port: int | None = None
    token: str = ""

    def headers(self) -> list[tuple[str, str]]:
        """What every request carries."""
        said = [("Content-Type", "application/json")]
        return [*said, ("Authorization", f"Bearer {self.token}")] if self.token else said


def read_address(home: Home) -> Address | None:
    """What the engine of this home wrote, if one did; it may be gone meanwhile."""
    try:
        return msgspec.json.decode(home.engine_state.read_bytes(), type=Address)
    except (OSError, msgspec.DecodeError):
        return None


def write_address(home: Home, address: Address) -> None:
    """Say where the engine is, readable by this user only, all at once."""
    temporary = home.engine_state.with_suffix(".tmp")
    with open(temporary, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(msgspec.json.encode(address))
    temporary.replace(home.engine_state)


def bind(home: Home, version: str, token: str) -> tuple[socket.socket, Address]:
    """Open the socket doors connect to; from here on they wait to be answered and are not refused.

    Only whoever holds the engine lock may call this.
    """
    if HAS_UNIX_SOCKETS:
        path = home.socket
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if path.parent != home.root and path.parent.stat().st_uid != os.getuid():
            raise PermissionError(f"{path.parent} belongs to another user.")
        path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            listening.bind(str(path))
        finally:
            os.umask(before)
        listening.listen()
        return listening, Address(pid=os.getpid(), version=version, socket=str(path))
    listening = socket.socket(socket.AF_INET)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    port = int(listening.getsockname()[1])
    return listening, Address(pid=os.getpid(), version=version, port=port, token=token)
