"""The line to the engine: whoever asks at once is answered, where an engine runs."""

from __future__ import annotations

import pytest

from remanence.engine.client import LocalClient, connect
from remanence.engine.verbs import EngineError
from remanence.lsp import engine_link
from remanence.lsp.background import Background
from remanence.lsp.engine_link import EngineLink
from remanence.paths import Home


async def test_whoever_asks_while_the_engine_is_being_reached_gets_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_link, "_SOON_SECONDS", 60)  # a busy machine takes longer than a user waits
    link = EngineLink(home, Background())
    link.standalone = True
    assert link.ready is None  # reached for from now on
    engine = await link.soon()
    assert isinstance(engine, LocalClient)
    assert await link.soon() is engine
    await link.close()


async def test_without_an_engine_nobody_is_kept_waiting(home: Home) -> None:
    alone = await connect(home, standalone=True)  # holds the directory: no other one can
    try:
        link = EngineLink(home, Background())
        link.standalone = True
        assert await link.soon() is None
        with pytest.raises(EngineError, match=r"has .* open"):
            await link.client(1)
        await link.close()
    finally:
        await alone.close()
