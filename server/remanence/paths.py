"""Where every file the project writes lives: one data directory, moved as a whole by REMANENCE_HOME."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs

_SOCKET_PATH_LIMIT = 100  # sun_path holds 108 bytes on Linux, 104 on macOS


@dataclass(frozen=True, slots=True)
class Home:
    """One data directory. Two homes share nothing: no engine, no lock, no file."""

    root: Path

    @classmethod
    def default(cls) -> Home:
        """The home named by REMANENCE_HOME, or the platform's user data directory."""
        named = os.environ.get("REMANENCE_HOME")
        root = Path(named).expanduser() if named else platformdirs.user_data_path("remanence")
        return cls(root.absolute())

    def create(self) -> Home:
        """Make the directory, readable by its owner only."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (self.indexes, self.models, self.logs):
            folder.mkdir(exist_ok=True, mode=0o700)
        return self

    @property
    def database(self) -> Path:
        return self.root / "memory.db"

    @property
    def settings(self) -> Path:
        return self.root / "settings.toml"

    @property
    def indexes(self) -> Path:
        return self.root / "indexes"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def adapters(self) -> Path:
        """A folder for each adapter that was trained."""
        return self.root / "adapters"

    @property
    def training(self) -> Path:
        """A folder for each training run that is not done."""
        return self.root / "training"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def engine_state(self) -> Path:
        """Where a running engine says how it is reached (JSON)."""
        return self.root / "engine.json"

    @property
    def engine_lock(self) -> Path:
        """Held by the engine for as long as it lives."""
        return self.root / "engine.lock"

    @property
    def start_lock(self) -> Path:
        """Held by a door while it starts an engine."""
        return self.root / "start.lock"

    @property
    def socket(self) -> Path:
        """The engine's Unix socket: inside the home, or, where that path is too long for a
        socket address, in a private directory under the system's temporary one."""
        inside = self.root / "engine.sock"
        if len(os.fsencode(inside)) <= _SOCKET_PATH_LIMIT:
            return inside
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        user = os.getuid() if hasattr(os, "getuid") else 0
        return Path(tempfile.gettempdir()) / f"remanence-{user}" / f"{name}.sock"
