"""The embedder as the engine uses it: loaded on first use, prepared when missing, absent in words."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from remanence.engine.mapped_pages import trim
from remanence.engine.preparing import export_in_child
from remanence.engine.verbs import EngineError
from remanence.models.embedder import Embedder
from remanence.models.embedder_folder import Manifest, is_prepared, read_manifest, verify
from remanence.models.model_folder import ModelError, folder_name
from remanence.paths import Home

log = logging.getLogger(__name__)


class EmbedderSlot:
    """Holds the embedder of an engine, loaded when first used. Safe to use from several threads."""

    def __init__(self, home: Home, model: str, threads: int) -> None:
        self.model = model
        self.folder: Path = home.models / folder_name(model)
        self._threads = threads
        self._lock = threading.Lock()
        self._loaded: Embedder | None = None
        self._before: Embedder | None = None  # another model's, while its vectors still serve
        self._trouble: str | None = None
        self.preparing = False

    def is_prepared(self) -> bool:
        return is_prepared(self.folder)

    def get(self) -> Embedder | None:
        """The embedder, loaded now if need be; None while there is none (see `degraded`)."""
        if self._loaded is not None:
            return self._loaded
        with self._lock:
            if self._loaded is None and self._trouble is None and self.is_prepared():
                try:
                    self._loaded = Embedder.load(self.folder, self._threads)
                    trim()  # reading a model takes as much again for a moment
                except ModelError as error:
                    log.error("the embedder cannot be loaded")
                    self._trouble = str(error)
        return self._loaded

    def serving(self, model_id: str) -> Embedder | None:
        """The embedder with this key, the settings' own or one prepared before it, loaded now if need be."""
        if self.model_id() == model_id:
            return self.get()
        with self._lock:
            if self._before is None or self._before.model_id != model_id:
                found = self._find(model_id)
                try:
                    self._before = Embedder.load(found, self._threads) if found is not None else None
                except ModelError:
                    log.warning("the model before cannot be loaded: memories are found by their words")
                    return None
        return self._before

    def manifest(self, model_id: str | None = None) -> Manifest | None:
        """What is prepared for the settings' model, or for another key, without loading it."""
        folder = self.folder if model_id is None else self._find(model_id)
        try:
            return read_manifest(folder) if folder is not None else None
        except ModelError:
            return None

    def _find(self, model_id: str) -> Path | None:
        for folder in self.folder.parent.iterdir():
            try:
                if read_manifest(folder).model_id == model_id:
                    return folder
            except ModelError:
                continue
        return None

    def release(self) -> None:
        """Give back the working memory that large batches left."""
        for embedder in (self._loaded, self._before):
            if embedder is not None:
                embedder.release()

    def model_id(self) -> str | None:
        """The key of the settings' model's vectors, without loading it; None while it is not prepared."""
        if self._loaded is not None:
            return self._loaded.model_id
        manifest = self.manifest()
        return manifest.model_id if manifest is not None else None

    def describe(self) -> str:
        """The model and its state in a few words."""
        state = "loaded" if self._loaded else "prepared" if self.is_prepared() else "not prepared"
        return f"{self.model_id() or self.model} ({state})"

    def problem(self) -> str | None:
        """What a whole check of the model's files finds wrong, in words."""
        return verify(self.folder) if self.is_prepared() else self.degraded()

    def degraded(self) -> str | None:
        """Why meaning cannot be searched now, in words; None when it can."""
        if self._loaded is not None or (self._trouble is None and self.is_prepared()):
            return None
        if self.preparing:
            return "embedder is being prepared"
        return self._trouble or "embedder is not prepared: run `remanence prepare`"

    def prepare(self, report: Callable[[float, str], None], *, force: bool = False) -> None:
        """Export and check the model in a child process. Raises EngineError in words."""
        if self.is_prepared() and not force:
            return
        self.preparing, self._trouble = True, None
        try:
            export_in_child("remanence.models.embedder_export", "embedder", self.model, self.folder, report)
        except EngineError as error:
            self._trouble = error.message
            raise
        finally:
            self.preparing = False
        with self._lock:
            self._loaded = None
