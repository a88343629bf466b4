"""What the user may set, in `settings.toml` in the data directory. Everything has a default."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct


class SettingsError(Exception):
    """The settings file cannot be used; the message names the field and what it expects."""


class EngineSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`idle_minutes`: the engine ends by itself when no door has used it for so long."""

    idle_minutes: Annotated[float, Meta(gt=0)] = 15.0


class EmbedderSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`model`: the default, or any sentence-transformers model id or folder. `threads` for a batch, and for
    the reranker's."""

    model: str = "all-MiniLM-L6-v2"
    threads: Annotated[int, Meta(ge=1, le=64)] = 2


class RerankerSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`model`: any sentence-transformers CrossEncoder id or folder; empty for none."""

    model: str = ""


class KeywordSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`per_exchange`: how many KeyBERT phrases are kept; 0 turns them off."""

    per_exchange: Annotated[int, Meta(ge=0, le=25)] = 5


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """All settings of one data directory."""

    engine: EngineSettings = EngineSettings()
    embedder: EmbedderSettings = EmbedderSettings()
    reranker: RerankerSettings = RerankerSettings()
    keywords: KeywordSettings = KeywordSettings()


def load_settings(path: Path) -> Settings:
    """Read the file; the defaults where there is none. Raises SettingsError in words."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    try:
        return msgspec.convert(tomllib.loads(text), Settings)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SettingsError(f"{path}: {error}") from error
