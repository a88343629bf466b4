"""What the user may set, in `settings.toml` in the data directory. Everything has a default."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

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


class EnrichmentSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`token_budget`: what an enriched prompt may take where a request does not say; `share`: how much of
    it memories may take, the prompt's own tokens apart. `summariser`: a folder or a cached model id of any
    seq2seq model that shortens texts; empty for none."""

    token_budget: Annotated[int, Meta(ge=64, le=1_000_000)] = 2000
    share: Annotated[float, Meta(gt=0, le=1)] = 1.0
    summariser: str = ""


class LanguageModelSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """One language model: a `path` (a GGUF file or a Hugging Face folder), or the `url` of an
    OpenAI-compatible server and the `model` asked for there; `key_env` names the environment variable that
    holds its key.

    `backend` is chosen by the file where it is empty. `context` is the window in tokens, 0 for the model's
    own (at most 4,096 where memory is short). `adapter` is a LoRA applied at load, where none of Remanence's
    own is active. `base` is the Hugging Face folder that a GGUF file was made from: what is trained on it is
    applied to the file. `gpu_layers` go to a GPU.
    `bits` loads a folder in 4 or 8 bits where the hardware can.
    """

    path: str = ""
    url: str = ""
    model: str = ""
    key_env: str = ""
    backend: Literal["", "ctransformers", "llama_cpp", "transformers", "openai"] = ""
    context: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    adapter: str = ""
    base: str = ""
    threads: Annotated[int, Meta(ge=0, le=256)] = 0
    gpu_layers: Annotated[int, Meta(ge=0, le=1000)] = 0
    bits: Literal[0, 4, 8] = 0


class LanguageModelsSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`use` names the model that answers, one of `models`; empty for none.

    At most `most_loaded` are in memory at a time, and `most_mb` of them (0: by the machine's profile); one
    that is not asked for `idle_minutes` is unloaded. `warn_mb` is what all processes of Remanence may take
    before it says so (0: by the profile).
    """

    use: str = ""
    models: dict[str, LanguageModelSettings] = {}
    most_loaded: Annotated[int, Meta(ge=1, le=16)] = 2
    most_mb: Annotated[int, Meta(ge=0)] = 0
    idle_minutes: Annotated[float, Meta(gt=0)] = 10.0
    warn_mb: Annotated[int, Meta(ge=0)] = 0


class FactsSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Facts are drawn from memories by rules. `model`: the language model in use draws more of them, and
    decides what a newer one does to an older, when nobody has asked for anything for a minute."""

    model: bool = False


class TrainingSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`automatic_after`: once so many facts are new to the model in use, the editor asks, once, whether to
    train, and whether later runs may begin by themselves; 0 for never. `recipe`: a shipped one's name or a
    .toml file, for every run that names none; by the model's size where it is empty."""

    automatic_after: Annotated[int, Meta(ge=0)] = 0
    recipe: str = ""


class ProxySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The endpoint that OpenAI and Ollama clients are pointed at. It is open where `enabled`, or where
    `remanence proxy --start` turned it on.

    `upstream_openai` is the address of an OpenAI-compatible server, with its `/v1`; where it is empty,
    `upstream_ollama` serves both APIs. `upstream_key_env` names the environment variable that holds the
    former's key. Port 0 is any that is free.

    `enrich` puts memories of at most `token_budget` tokens before a question, if recall has them within
    `patience_ms`; `capture` keeps what was asked and answered. An upstream that says nothing for
    `silent_seconds` is given up.
    """

    enabled: bool = False
    port: Annotated[int, Meta(ge=0, le=65535)] = 8377
    upstream_openai: str = ""
    upstream_ollama: str = "http://127.0.0.1:11434"
    upstream_key_env: str = ""
    enrich: bool = True
    capture: bool = True
    token_budget: Annotated[int, Meta(ge=64, le=100_000)] = 1000
    patience_ms: Annotated[int, Meta(ge=1, le=10_000)] = 25
    silent_seconds: Annotated[float, Meta(gt=0)] = 600.0


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """All settings of one data directory."""

    engine: EngineSettings = EngineSettings()
    embedder: EmbedderSettings = EmbedderSettings()
    reranker: RerankerSettings = RerankerSettings()
    keywords: KeywordSettings = KeywordSettings()
    enrichment: EnrichmentSettings = EnrichmentSettings()
    language_models: LanguageModelsSettings = LanguageModelsSettings()
    facts: FactsSettings = FactsSettings()
    training: TrainingSettings = TrainingSettings()
    proxy: ProxySettings = ProxySettings()


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
