"""Chats open in the editor become memories: debounced, only what changed, in place while they grow."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from pygls.workspace import TextDocument

from remanence.engine.client import EngineError
from remanence.engine.messages import CaptureRequest
from remanence.lsp.background import Background
from remanence.lsp.engine_link import EngineLink
from remanence.lsp.languages import MARKDOWN_LANGUAGES
from remanence.lsp.transcripts import parse_transcript
from remanence.lsp.turns import Turn

log = logging.getLogger(__name__)

_QUIET_SECONDS = 1.5  # an answer that has not changed for so long counts as given
_LONGEST_WAIT_SECONDS = 10.0  # a chat that never pauses still has its finished exchanges captured
_ENGINE_SECONDS = 30.0
_DOCUMENTS_REMEMBERED = 64
_SUFFIXES = (".md", ".markdown", ".mdx")


@dataclass(slots=True)
class _Watched:
    """A document with changes not yet looked at. `since` is the loop's time of the first of them."""

    document: TextDocument
    workspace: str | None
    since: float
    timer: asyncio.TimerHandle | None = None


class TranscriptCapture:
    """Watches open documents; those that are no transcripts cost one look and are left alone."""

    def __init__(
        self, engine: EngineLink, background: Background, captured: Callable[[], None] = lambda: None
    ) -> None:
        """`captured` is called after something was."""
        self._engine = engine
        self._background = background
        self._captured = captured
        self._waiting: dict[str, _Watched] = {}
        self._sent: OrderedDict[str, dict[tuple[str, str], bytes]] = OrderedDict()
        self._sending = asyncio.Lock()
        self._captures: set[asyncio.Task[None]] = set()
        self.enabled = True

    def changed(self, document: TextDocument, workspace: str | None) -> None:
        """A document was opened or changed: look at it once it has been quiet for a moment."""
        if not self.enabled or not may_be_transcript(document):
            return
        loop = asyncio.get_running_loop()
        watched = self._waiting.setdefault(document.uri, _Watched(document, workspace, loop.time()))
        watched.document, watched.workspace = document, workspace
        if watched.timer is not None:
            watched.timer.cancel()
        quiet_at = loop.time() + _QUIET_SECONDS
        latest = watched.since + _LONGEST_WAIT_SECONDS
        if quiet_at <= latest:
            watched.timer = loop.call_at(quiet_at, self._look, document.uri, True)
        else:
            watched.timer = loop.call_at(latest, self._look, document.uri, False)

    def settled(self, document: TextDocument, workspace: str | None) -> None:
        """A document was saved: what it says now, it says."""
        if not self.enabled or not may_be_transcript(document):
            return
        self.changed(document, workspace)
        self._look(document.uri, True)

    def closed(self, uri: str) -> None:
        """A document was closed: what it said last is looked at, if that is still to be done."""
        self._look(uri, True)

    async def flush(self) -> None:
        """Look at every waiting document now and return when all is captured."""
        for uri in list(self._waiting):
            self._look(uri, True)
        if self._captures:
            await asyncio.wait(set(self._captures))

    def _look(self, uri: str, settled: bool) -> None:
        watched = self._waiting.pop(uri, None)
        if watched is None:
            return
        if watched.timer is not None:
            watched.timer.cancel()
        text = watched.document.source
        task = self._background.run(self._capture(uri, text, watched, settled), "capture a transcript")
        self._captures.add(task)
        task.add_done_callback(self._captures.discard)

    async def _capture(self, uri: str, text: str, watched: _Watched, settled: bool) -> None:
        """Send the exchanges that are new or changed; a growing last answer waits until it settles."""
        async with self._sending:
            turns = await asyncio.to_thread(parse_transcript, text)
            if not turns:
                return
            sent = self._sent.setdefault(uri, {})
            self._sent.move_to_end(uri)
            while len(self._sent) > _DOCUMENTS_REMEMBERED:
                self._sent.popitem(last=False)
            for turn in turns:
                said = _digest(turn)
                if (turn.finished or settled) and sent.get((turn.session, turn.key)) != said:
                    try:
                        client = await self._engine.client(_ENGINE_SECONDS)
                        await client.capture(_request(turn, uri, watched))
                        self._captured()
                    except EngineError as error:
                        log.warning("An exchange of a transcript was not captured: %s", error.code)
                        if error.code != "invalid":  # one that is refused now will be refused again
                            return
                    sent[turn.session, turn.key] = said


def may_be_transcript(document: TextDocument) -> bool:
    """Whether to look into a document at all: Markdown by its language or by its name."""
    return document.language_id in MARKDOWN_LANGUAGES or document.uri.lower().endswith(_SUFFIXES)


def _request(turn: Turn, uri: str, watched: _Watched) -> CaptureRequest:
    """The turn as the engine takes it. Where nothing but the question names it, its key is left to the
    engine, which then sees that an import of the same history has the same turns."""
    return CaptureRequest(
        question=turn.question,
        answer=turn.answer,
        tool=turn.tool,
        model=turn.model,
        asked_at=turn.asked_at,
        conversation_id=turn.session or uri,
        turn_key=turn.key if turn.occurrence else None,
        uri=uri,
        workspace=watched.workspace,
    )


def _digest(turn: Turn) -> bytes:
    text = f"{turn.question}\x1f{turn.answer}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
