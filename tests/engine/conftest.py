"""Fixtures of the engine's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from learning_in_process import set_models

from remanence.engine.service import Service, open_service
from remanence.paths import Home


@pytest.fixture
def service(home: Home) -> Iterator[Service]:
    """A service of its own in this process, with the real embedder and indexes."""
    service = open_service(home)
    yield service
    service.close()


@pytest.fixture
def learner(home: Home) -> Iterator[Service]:
    """A service with the tiny model twice: as a folder, and as a GGUF file of it."""
    set_models(home)
    service = open_service(home)
    yield service
    service.close()
