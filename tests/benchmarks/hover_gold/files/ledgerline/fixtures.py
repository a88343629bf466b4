"""Fixtures of Ledgerline's test suite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from sqlalchemy import Engine, create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import Session

from ledgerline.db import Base
from ledgerline.retry import retry_with_backoff

TEST_DATABASE_URL = "postgresql+psycopg:///ledgerline_test"


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """The schema is created once, not for every test."""
    engine = create_engine(TEST_DATABASE_URL)
    Base.metadata.create_all(engine)
    yield engine
    Base.metadata.drop_all(engine)


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with engine.connect() as connection:
        transaction = connection.begin()
        session = Session(bind=connection, join_transaction_mode="create_savepoint")
        yield session
        session.close()
        transaction.rollback()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def async_engine() -> AsyncIterator[AsyncEngine]:
    # sans loop_scope : ScopeMismatch, la boucle ne vit que le temps d'un test
    engine = create_async_engine(TEST_DATABASE_URL)
    yield engine
    await engine.dispose()


@pytest.fixture
def recorded_delays() -> list[float]:
    return []


async def check_that_it_gives_up(recorded_delays: list[float]) -> None:
    async def record(delay: float) -> None:
        recorded_delays.append(delay)

    async def always_down() -> None:
        raise ConnectionError("provider unreachable")

    with pytest.raises(ConnectionError):
        # nothing really sleeps
        await retry_with_backoff(always_down, attempts=4, max_delay=0.5, sleep=record)
    assert len(recorded_delays) == 3
