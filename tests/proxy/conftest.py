"""Fixtures of the endpoint's tests: a service, an upstream that records, and the endpoint between."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from endpoint_in_process import Endpoint, open_endpoint
from upstream_server import UpstreamServer, running

from remanence.engine.service import Service, open_service
from remanence.paths import Home


@pytest.fixture
def service(home: Home) -> Iterator[Service]:
    """A service of its own in this process, with the real embedder and indexes."""
    service = open_service(home)
    yield service
    service.close()


@pytest.fixture
def upstream() -> Iterator[UpstreamServer]:
    with running() as server:
        yield server


@pytest.fixture
def endpoint(service: Service, upstream: UpstreamServer) -> Iterator[Endpoint]:
    """The endpoint before an upstream that has both APIs."""
    with open_endpoint(service, upstream_ollama=upstream.url) as opened:
        yield opened
