"""kill -9 at any moment: what was acknowledged is there afterwards, and every index agrees with it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_process import ask, kill, stop, strike, wait_for_indexing, wait_for_job

from remanence.engine.client import EngineClient, EngineError, connect
from remanence.engine.messages import (
    CaptureRequest,
    DoctorRequest,
    ImportRequest,
    MemoryRequest,
    RecallRequest,
)
from remanence.paths import Home

pytestmark = pytest.mark.e2e

KILLS = 200
LINES = 4000
CHECK_EVERY = 25
WORDS = ["socket", "retry", "migration", "cursor", "decimal", "cache", "lock", "thread", "timeout", "schema"]


@pytest.fixture
def own_home(home: Home) -> Iterator[Home]:
    yield home
    stop(home)


def write_conversation(path: Path, number: int, size: int) -> Path:
    lines = [
        json.dumps(
            {
                "id": f"{number}-{turn}",
                "question": f"Question {number}.{turn}: why does the {WORDS[turn % len(WORDS)]} fail?",
                "answer": f"Answer {number}.{turn}: because of the {WORDS[(turn * 7) % len(WORDS)]}.",
                "conversation_id": f"c{number}",
            }
        )
        for turn in range(size)
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


async def be_busy(home: Home, file: Path, acknowledged: dict[str, str], number: int, moment: float) -> None:
    """Import and capture until the engine is killed after `moment` seconds."""
    client = await connect(home)

    async def capture() -> None:
        turn = 0
        while True:
            question = f"Capture {number}.{turn}"
            captured = await client.capture(
                CaptureRequest(question=question, answer=f"Reply {number}.{turn}")
            )
            acknowledged[captured.id] = question
            turn += 1

    await client.import_(ImportRequest(source="jsonl", path=str(file)))
    capturing = asyncio.create_task(capture())
    await asyncio.sleep(moment)
    strike(home)
    capturing.cancel()  # at once: it would start the next engine
    await asyncio.gather(capturing, return_exceptions=True)
    await client.close()


async def check(client: EngineClient, acknowledged: dict[str, str]) -> None:
    for memory_id, question in acknowledged.items():
        assert (await client.memory(MemoryRequest(id=memory_id))).question == question
    await wait_for_indexing(client)
    findings = (await client.doctor(DoctorRequest())).findings
    assert [finding for finding in findings if not finding.ok] == []
    status = await client.status()
    assert {index.name: index.items for index in status.indexes} == {
        "lexical": status.exchanges,
        "dense": status.exchanges,
    }


@pytest.mark.timeout(900)
def test_nothing_acknowledged_is_lost_however_often_the_engine_is_killed(
    own_home: Home, tmp_path: Path
) -> None:
    own_home.settings.write_text("[keywords]\nper_exchange = 0\n")
    chance = random.Random(20261121)
    acknowledged: dict[str, str] = {}
    for number in range(KILLS):
        file = write_conversation(tmp_path / f"{number}.jsonl", number, 30)
        asyncio.run(be_busy(own_home, file, acknowledged, number, chance.uniform(0.0, 0.25)))
        if number % CHECK_EVERY == CHECK_EVERY - 1:
            recent = dict(list(acknowledged.items())[-200:])
            ask(own_home, lambda client, recent=recent: check(client, recent))
    assert len(acknowledged) > KILLS
    ask(own_home, lambda client: check(client, acknowledged))


def test_an_import_goes_on_where_a_kill_left_it(own_home: Home, tmp_path: Path) -> None:
    own_home.settings.write_text("[keywords]\nper_exchange = 0\n")
    file = write_conversation(tmp_path / "one.jsonl", 1, LINES)

    async def start() -> str:
        client = await connect(own_home)
        job = await client.import_(ImportRequest(source="jsonl", path=str(file)))
        while (await client.status()).exchanges <= LINES / 8:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(kill, own_home)
        await client.close()
        return job.job_id

    async def embed() -> None:
        client = await connect(own_home)
        while not (await client.status()).indexes[1].items:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(kill, own_home)
        await client.close()

    job_id = asyncio.run(start())
    stored, _ = looked_up(own_home)
    assert LINES / 8 < stored < LINES
    asyncio.run(embed())
    _, embedded = looked_up(own_home)
    assert 0 < len(embedded) < LINES

    async def end(client: EngineClient) -> dict[str, int]:
        figures = await wait_for_job(client, job_id)
        await wait_for_indexing(client)
        return figures

    assert ask(own_home, end) == {"read": LINES, "stored": LINES}  # a line stored twice were a duplicate
    stored, embedded_at_last = looked_up(own_home)
    assert (stored, len(embedded_at_last)) == (LINES, LINES)
    assert embedded.items() <= embedded_at_last.items()


def looked_up(home: Home) -> tuple[int, dict[int, int]]:
    """How many exchanges the database holds, and the change that put each row's vector there."""
    with contextlib.closing(sqlite3.connect(home.database)) as database:
        (stored,) = database.execute("SELECT count(*) FROM exchanges").fetchone()
        return stored, dict(database.execute("SELECT row, revision FROM vectors").fetchall())


@pytest.mark.parametrize("damage", ["missing", "truncated", "garbage"])
def test_damaged_index_files_are_made_again_from_the_database(own_home: Home, damage: str) -> None:
    questions = [f"How does the {word} work?" for word in WORDS]
    for question in questions:
        ask(
            own_home,
            lambda client, q=question: client.capture(CaptureRequest(question=q, answer=f"{q} Well.")),
        )
    ask(own_home, wait_for_indexing)
    stop(own_home)
    for file in [file for file in own_home.indexes.rglob("*") if file.is_file()]:
        if damage == "missing":
            file.unlink()
        elif damage == "truncated":
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        else:
            file.write_bytes(random.Random(1).randbytes(max(file.stat().st_size, 64)))
    status = ask(own_home, wait_for_indexing)
    assert {index.items for index in status.indexes} == {len(questions)}
    found = ask(own_home, lambda client: client.recall(RecallRequest(query="how does the migration work")))
    assert found.memories[0].question == "How does the migration work?"


def test_a_damaged_database_is_left_alone_and_said_in_words(own_home: Home) -> None:
    own_home.database.write_bytes(b"not a database at all" * 200)
    with pytest.raises(EngineError, match="damaged"):
        ask(own_home, lambda client: client.status())
    assert own_home.database.read_bytes().startswith(b"not a database at all")
    own_home.database.unlink()
