"""What several tests of models need."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from rogue_server import Answer, RogueServer


@pytest.fixture
def rogue() -> Iterator[Callable[[Answer], RogueServer]]:
    """Starts servers that answer as they are told, and closes them."""
    servers: list[RogueServer] = []

    def start(answer: Answer) -> RogueServer:
        servers.append(RogueServer(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
