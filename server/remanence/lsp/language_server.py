"""The language server's state: where its data is, what the user set, what the client can, the engine."""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import Any

from lsprotocol import types
from pygls.exceptions import FeatureRequestError
from pygls.lsp.server import LanguageServer
from pygls.protocol import default_converter

from remanence import __version__
from remanence.lsp.background import Background
from remanence.lsp.client_features import ClientFeatures, client_features
from remanence.lsp.documents import sync_options
from remanence.lsp.engine_link import EngineLink
from remanence.lsp.in_flight import InFlight
from remanence.lsp.kept_answers import KeptAnswers, Written
from remanence.lsp.logs import set_level
from remanence.lsp.model_hovers import ModelHovers
from remanence.lsp.model_warnings import ModelWarnings
from remanence.lsp.options import Options, read_options
from remanence.lsp.protocol import RemanenceProtocol
from remanence.lsp.training_offers import AutomaticTraining
from remanence.lsp.transcript_capture import TranscriptCapture
from remanence.paths import Home

log = logging.getLogger(__name__)

_CLOSE_SECONDS = 3.0


class RemanenceLanguageServer(LanguageServer):
    """One editor window's door. Its handlers live in the modules of this package, one per LSP method."""

    sync_kind = types.TextDocumentSyncKind.Incremental

    def __init__(self, home: Home, *, standalone: bool = False) -> None:
        super().__init__(
            "remanence",
            __version__,
            text_document_sync_kind=self.sync_kind,
            notebook_document_sync=sync_options(),
            protocol_cls=RemanenceProtocol,
            converter_factory=default_converter,
            max_workers=2,  # pygls reads stdin through this pool and nothing else runs in it
        )
        self.home = home
        self.background = Background()
        self.guards = Background()  # these bring about the end, and so are not ended by it
        self.engine = EngineLink(home, self.background)
        self.engine.standalone = standalone
        self.options = Options()
        self.initial_options: object = None
        self.features: ClientFeatures = client_features(types.ClientCapabilities())
        self.automatic = AutomaticTraining(self)
        self.transcripts = TranscriptCapture(self.engine, self.background, self.automatic.look)
        self.window_id = uuid.uuid4().hex  # the windows that share a model take turns at it
        self.inline = InFlight()
        self.hovers = InFlight()
        self.model_hovers = ModelHovers(self.background)
        self.model_items: dict[str, Written] = {}
        self.answers = KeptAnswers()
        self.warnings = ModelWarnings(self.background)
        self._closing: asyncio.Task[None] | None = None
        self._told: set[str] = set()

    def apply_options(self, *layers: object) -> None:
        """Take the options of these JSON values; tell the user, once each, what cannot be used."""
        self.options, problems = read_options(*layers)
        set_level(self.options.log_level)
        self.transcripts.enabled = self.options.capture.transcripts
        for problem in problems:
            self.tell_once(f"{problem}. The default is used.", types.MessageType.Warning)

    def tell_once(self, said: str, kind: types.MessageType, *, quietly: bool = False) -> None:
        """Tell the user something that is not told again; `quietly` it goes to the client's log."""
        if said in self._told:
            return
        self._told.add(said)
        message = f"Remanence: {said}"
        if quietly:
            self.window_log_message(types.LogMessageParams(type=kind, message=message))
        else:
            self.window_show_message(types.ShowMessageParams(type=kind, message=message))

    async def close(self) -> None:
        """Capture what is still waiting, end the background tasks and let go of the engine.

        Whoever calls this, and however often: it is done once, and each caller waits for its end.
        """
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close(), name="close")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        try:
            await asyncio.wait_for(self.transcripts.flush(), _CLOSE_SECONDS)
        except TimeoutError:
            log.warning("Some transcripts were not captured before the end")
        await self.background.cancel()
        await self.engine.close()

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log it: pygls would show the user a message for every failed notification. The error of a
        request went to the client that asked."""
        if source is not FeatureRequestError:
            log.error("Failed in %s", getattr(source, "__name__", "the server"), exc_info=error)
