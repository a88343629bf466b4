"""Queries that nobody means well with: an answer or an empty one, no error, and no more work for more text.

Work is counted, not timed: Python calls, terms, characters.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest
from engine_process import ask, stop
from service_in_process import indexed, never

from hostile_texts import HOSTILE
from remanence.engine import messages as m
from remanence.engine.client import EngineClient
from remanence.engine.service import Service, open_service
from remanence.memory import terms
from remanence.memory.lexical import LexicalIndex
from remanence.memory.query import RecallQuery, surface_words
from remanence.paths import Home

SOCKET = m.CaptureRequest(
    question="Why does socket.io report an invalid protocol version?",
    answer="Client and server differ. Pin both to the same major version. Then restart.",
)
OTHERS = [
    m.CaptureRequest(
        question=f"How do I {verb} a {thing}?", answer=f"You {verb} the {thing} in its settings."
    )
    for verb in ("open", "close", "rename", "compare")
    for thing in ("window", "table", "branch", "picture", "letter")
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, embedder_folder: Path) -> Iterator[Service]:
    """A service with a few memories, all of them indexed."""
    home = Home(tmp_path_factory.mktemp("hostile") / "home").create()
    (home.models / embedder_folder.name).symlink_to(embedder_folder, target_is_directory=True)
    service = open_service(home)
    for request in (SOCKET, *OTHERS):
        service.capture(request, never)
    indexed(service)
    yield service
    service.close()


@pytest.mark.parametrize("automatic", [False, True], ids=["asked", "automatic"])
@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
@pytest.mark.parametrize("name", HOSTILE)
def test_recall_answers(service: Service, name: str, mode: m.Mode, automatic: bool) -> None:
    request = m.RecallRequest(query=HOSTILE[name], mode=mode, automatic=automatic)
    answered = service.recall(request, never)
    assert answered.degraded is None
    assert all(0 <= memory.score <= 1 and memory.why for memory in answered.memories)


@pytest.mark.parametrize("name", HOSTILE)
def test_recall_answers_about_a_symbol(service: Service, name: str) -> None:
    request = m.RecallRequest(query="socket.io", symbol=HOSTILE[name], uri=HOSTILE[name][:2000])
    assert service.recall(request, never).degraded is None


@pytest.mark.parametrize("name", HOSTILE)
def test_completion_answers(service: Service, name: str) -> None:
    answered = service.complete(m.CompleteRequest(text=HOSTILE[name]), never)
    assert len(answered.questions) <= 1 + len(OTHERS)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_prompt_is_enriched_or_left_as_it_is(service: Service, name: str) -> None:
    text = HOSTILE[name]
    answered = service.enrich_prompt(m.EnrichPromptRequest(prompt=text, token_budget=60_000), never)
    assert answered.prompt.endswith(text)


@pytest.mark.parametrize("name", ["one word many times", "prose", "nuls"])
def test_what_is_asked_for_is_found_all_the_same(service: Service, name: str) -> None:
    found = service.recall(m.RecallRequest(query=HOSTILE[name], mode="lexical"), never).memories
    assert SOCKET.question in [memory.question for memory in found]


@pytest.mark.parametrize("end", ["before", "behind"])
def test_a_question_is_seen_at_either_end_of_what_was_pasted(service: Service, end: str) -> None:
    pasted = HOSTILE["digits"]
    question = "socket.io protocol version"
    query = f"{question}\n{pasted}" if end == "before" else f"{pasted}\n{question}"
    found = service.recall(m.RecallRequest(query=query, mode="lexical", min_score=0), never).memories
    assert SOCKET.question in [memory.question for memory in found]


@pytest.mark.parametrize("name", HOSTILE)
def test_ten_times_the_text_is_no_more_work(service: Service, name: str) -> None:
    text = HOSTILE[name] * (1 if len(HOSTILE[name]) > 50_000 else 200_000 // (len(HOSTILE[name]) + 1))
    if not text.strip():
        return
    verbs: list[Callable[[str], object]] = [
        lambda query: service.recall(m.RecallRequest(query=query), never),
        lambda query: service.recall(m.RecallRequest(query="socket", symbol=query), never),
        lambda query: service.complete(m.CompleteRequest(text=query), never),
        lambda query: service.enrich_prompt(m.EnrichPromptRequest(prompt=query), never),
    ]
    for verb in verbs:
        verb(text)  # what is remembered of words is now known
        assert calls(verb, text * 10) <= 1.2 * calls(verb, text) + 500


def calls(verb: Callable[[str], object], text: str) -> int:
    """The Python functions that it calls, and generators that it resumes, in this thread."""
    count = 0

    def see(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(see)
    try:
        verb(text)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("name", HOSTILE)
def test_what_reaches_the_indexes_is_bounded(tmp_path: Path, name: str) -> None:
    query = RecallQuery(text=HOSTILE[name] * 3, symbol=HOSTILE[name], now_ms=0)
    assert len(query.words) <= 20_000
    assert len(query.meaning) <= 25_000
    assert len(terms.query_stems(query.words)) <= 1000
    assert len(surface_words(query.words)) <= 64
    assert len(LexicalIndex.open(tmp_path).query(query.words).terms) <= 48


@pytest.mark.e2e
def test_they_are_answered_over_the_socket(home: Home) -> None:
    async def run(client: EngineClient) -> list[m.RecallResponse]:
        await client.capture(SOCKET)
        return [await client.recall(m.RecallRequest(query=text)) for text in HOSTILE.values()]

    answered = dict(zip(HOSTILE, ask(home, run), strict=True))
    stop(home)
    assert [memory.question for memory in answered["prose"].memories] == [SOCKET.question]
    assert answered["newlines"].memories == []
