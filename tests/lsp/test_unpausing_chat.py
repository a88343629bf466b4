"""A chat that never pauses, with the event loop's own clock in the test's hands."""

from __future__ import annotations

import asyncio

from remanence.engine.messages import RecallRequest
from remanence.lsp.background import Background
from remanence.lsp.documents import Document
from remanence.lsp.engine_link import EngineLink
from remanence.lsp.transcript_capture import TranscriptCapture
from remanence.paths import Home

CHAT = (
    "## Me\n\nwhich quokka?\n\n## CodeCompanion\n\nThe first.\n\n"
    "## Me\n\nwhich numbat?\n\n## CodeCompanion\n\n"
)


class SteppedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time, in seconds, goes on only where the test says so."""

    now = 0.0

    def time(self) -> float:
        return self.now

    async def reach(self, now: float) -> None:
        """Let the time come, and what is due by then run."""
        self.now = now
        await asyncio.sleep(0)  # what is due is lined up behind this
        await asyncio.sleep(0)


def chat(words: int) -> Document:
    """A chat whose last answer has grown to so many words."""
    return Document("file:///p/chat", CHAT + "word " * words, language_id="codecompanion")


async def typed_on(home: Home, loop: SteppedLoop) -> None:
    background = Background()
    link = EngineLink(home, background)
    link.standalone = True
    capture = TranscriptCapture(link, background)
    engine = await link.client(30)
    for second in range(10):
        await loop.reach(second)
        capture.changed(chat(second + 1), None)
        assert (await engine.status()).exchanges == 0

    await loop.reach(10)
    await capture.flush()  # what waited was looked at by then: this only awaits the end of that
    assert (await engine.status()).exchanges == 1
    found = await engine.recall(RecallRequest(query="quokka", mode="lexical"))
    assert [memory.answer for memory in found.memories] == ["The first."]

    capture.changed(chat(11), None)
    await loop.reach(11.5)
    await capture.flush()
    assert (await engine.status()).exchanges == 2
    await background.cancel()
    await link.close()


def test_after_ten_seconds_finished_exchanges_are_captured_and_the_growing_one_once_it_rests(
    home: Home,
) -> None:
    with asyncio.Runner(loop_factory=SteppedLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, SteppedLoop)
        runner.run(typed_on(home, loop))
