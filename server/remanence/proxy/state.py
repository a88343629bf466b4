"""What the endpoint keeps in the data directory: its key, whether it was turned on, and where it answers."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import msgspec

from remanence.paths import Home


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a running engine's endpoint answers, or why it does not. `port` is 0 then."""

    pid: int
    port: int = 0
    problem: str | None = None


def key_of(home: Home) -> str:
    """The key that clients must say: made once, readable by this user only."""
    path = home.root / "proxy.key"
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(key := f"rmn-{secrets.token_urlsafe(24)}")
    return key


def is_turned_on(home: Home) -> bool:
    """Whether the user turned it on by command; the settings may have it on as well."""
    return _mark(home).exists()


def turn(home: Home, *, on: bool) -> None:
    """A running engine follows within a second, and every later one."""
    if on:
        home.create()
        os.close(os.open(_mark(home), os.O_CREAT | os.O_WRONLY, 0o600))
    else:
        _mark(home).unlink(missing_ok=True)


def read_endpoint(home: Home) -> Endpoint | None:
    """What the engine wrote, if one runs the endpoint; it may be gone meanwhile."""
    try:
        return msgspec.json.decode(_state(home).read_bytes(), type=Endpoint)
    except (OSError, msgspec.DecodeError):
        return None


def write_endpoint(home: Home, endpoint: Endpoint | None) -> None:
    """Say where the endpoint is, all at once; None takes it back."""
    if endpoint is None:
        _state(home).unlink(missing_ok=True)
        return
    temporary = _state(home).with_suffix(".tmp")
    with open(temporary, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(msgspec.json.encode(endpoint))
    temporary.replace(_state(home))


def _mark(home: Home) -> Path:
    return home.root / "proxy.on"


def _state(home: Home) -> Path:
    return home.root / "proxy.json"
