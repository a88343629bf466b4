"""Which adapter a language model of the settings is served with: the active one of its base."""

from __future__ import annotations

import logging
from pathlib import Path

from remanence.models.choosing import choose_backend
from remanence.models.language_model import LanguageModelError
from remanence.settings import LanguageModelSettings, LanguageModelsSettings
from remanence.training.adapters import Adapter, AdapterRegistry
from remanence.training.base_hash import base_hash
from remanence.training.base_model import BaseModelError
from remanence.training.recipe import Purpose

log = logging.getLogger(__name__)

GGUF = "adapter.gguf"  # what an adapter's folder has for llama.cpp


def base_of(model: LanguageModelSettings) -> Path | None:
    """The Hugging Face folder that adapters of this model are trained on; None where it names none."""
    named = model.base or model.path
    if not named or model.url:
        return None
    path = Path(named).expanduser()
    return path if path.is_dir() else None


class ServedAdapters:
    """Safe to use from several threads."""

    def __init__(self, registry: AdapterRegistry) -> None:
        self._registry = registry

    def of(self, model: LanguageModelSettings, purpose: Purpose = "facts") -> str | None:
        """The folder of the adapter to apply when the model is asked for this, or none. A GGUF file takes the
        active adapter of its `base` in llama.cpp, written beside the other files for it; ctransformers
        applies none."""
        base = base_of(model)
        if base is None:
            return None
        try:
            active = self._registry.active(base_hash(base), purpose)
            if active is None or (Path(model.path).expanduser().is_file() and self._without(model, active)):
                return None
        except (BaseModelError, LanguageModelError) as error:
            log.warning("no adapter is applied: %s", error)
            return None
        return str(self._registry.folder(active.id))

    def for_operations(self, settings: LanguageModelsSettings) -> str | None:
        """The folder of the adapter with which the model in use draws facts and decides, or none."""
        model = settings.models.get(settings.use)
        return self.of(model, "operations") if model is not None else None

    def trouble(self, model: LanguageModelSettings, adapter: Adapter) -> str | None:
        """Why this model, whose base the adapter was trained on, is not served with it; None where it is."""
        path = Path(model.path).expanduser()
        if not path.is_file():
            return None
        try:
            return self._without(model, adapter)
        except LanguageModelError as error:
            return str(error)

    def _without(self, model: LanguageModelSettings, adapter: Adapter) -> str | None:
        """Why a GGUF file does without the adapter. Raises LanguageModelError."""
        path = Path(model.path).expanduser()
        backend = choose_backend(path, model.backend).backend
        if backend != "llama_cpp":
            return (
                f"{backend} cannot apply an adapter to {path.name}: write a merged file with"
                f" `remanence adapters export {adapter.id} --format merged`, and set it as the model's path"
            )
        file = self._registry.folder(adapter.id) / GGUF
        if not file.exists():
            from remanence.training.export import write_lora
            from remanence.training.lora_weights import ExportError, read_lora

            try:
                write_lora(read_lora(file.parent, Path(adapter.base)), file, adapter.id)
            except ExportError as error:
                return str(error)
        return None
