"""Fixtures of the engine's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from remanence.engine.service import Service, open_service
from remanence.paths import Home


@pytest.fixture
def service(home: Home) -> Iterator[Service]:
    """A service of its own in this process, with the real embedder and indexes."""
    service = open_service(home)
    yield service
    service.close()
