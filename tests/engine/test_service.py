"""What the engine can do, verb by verb, on the real indexes and the real embedder, in this process."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from service_in_process import finished, indexed, never

from remanence.engine import messages as m
from remanence.engine.client import connect
from remanence.engine.service import Service
from remanence.engine.verbs import EngineError
from remanence.memory.timestamps import now_ms
from remanence.paths import Home

SOCKET = m.CaptureRequest(
    question="Why does socket.io report an invalid protocol version?",
    answer="Client and server differ. Pin both to the same major version. Then restart.",
    tool="aider",
    workspace="/projects/chat",
    model="gpt-demo",
)
DECIMAL = m.CaptureRequest(
    question="Comment arrondir une facture au centime ?",
    answer="Avec `Decimal.quantize(Decimal('0.01'), ROUND_HALF_EVEN)`, jamais avec float.",
    tool="codex",
    workspace="/projects/ledger",
)
LOOP = m.CaptureRequest(
    question="Rust borrow checker complains in a loop",
    answer="Collect the indices first:\n\n```rust\nlet found: Vec<usize> = list();\n```\n\nThen mutate.",
)


def capture(service: Service, *requests: m.CaptureRequest) -> list[m.CaptureResponse]:
    return [service.handlers()["capture"](request, never) for request in requests]  # type: ignore[misc]


def recall(service: Service, query: str, **fields: object) -> list[m.Memory]:
    return service.recall(m.RecallRequest(query=query, **fields), never).memories  # type: ignore[arg-type]


def test_a_captured_exchange_is_found_before_anything_is_indexed(service: Service) -> None:
    service.indexing.wake = lambda: None  # type: ignore[method-assign]  nothing follows the capture
    (captured,) = capture(service, SOCKET)
    found = recall(service, "socket.io protocol version")
    assert [memory.id for memory in found] == [captured.id]
    assert found[0].why


def test_recall_finds_by_meaning_and_says_why(service: Service) -> None:
    capture(service, SOCKET, DECIMAL, LOOP)
    indexed(service)
    (best, *_) = recall(service, "websocket handshake fails because versions do not match")
    assert best.question == SOCKET.question
    assert (best.tool, best.model, best.workspace) == ("aider", "gpt-demo", "/projects/chat")
    assert best.why
    assert best.excerpt in SOCKET.answer


def test_nothing_relevant_gives_nothing(service: Service) -> None:
    capture(service, SOCKET, DECIMAL, LOOP)
    indexed(service)
    assert recall(service, "best recipe for sourdough bread", automatic=True) == []


def test_filters_keep_the_rest_out(service: Service) -> None:
    capture(service, SOCKET, DECIMAL)
    indexed(service)
    query = "version de la facture"
    assert {memory.tool for memory in recall(service, query, tool="codex")} <= {"codex"}
    assert recall(service, "socket.io protocol", workspace="/projects/ledger") == []
    assert recall(service, "socket.io protocol", since=now_ms() - 60_000)
    assert recall(service, "socket.io protocol", until="2020-01-01") == []


def test_keywords_follow_and_are_shown(service: Service) -> None:
    capture(service, DECIMAL)
    indexed(service, keywords=True)
    (memory,) = recall(service, "arrondir une facture")
    assert 1 <= len(memory.keywords) <= 5


def test_secrets_are_taken_out_before_storing(service: Service) -> None:
    key = "AKIA" + "IOSFODNN7" + "EXAMPLF"
    (captured,) = capture(
        service, m.CaptureRequest(question=f"Is {key} leaked?", answer="<private>yes</private> no")
    )
    memory = service.memory(m.MemoryRequest(id=captured.id), never)
    assert key not in memory.question
    assert "yes" not in memory.answer
    assert len(captured.redactions) == 2


def test_our_own_memory_block_is_not_captured_again(service: Service) -> None:
    capture(service, SOCKET)
    enriched = service.enrich_prompt(m.EnrichPromptRequest(prompt="socket.io protocol version again?"), never)
    assert enriched.memories
    (captured,) = capture(service, m.CaptureRequest(question=enriched.prompt, answer="As before."))
    assert (
        service.memory(m.MemoryRequest(id=captured.id), never).question == "socket.io protocol version again?"
    )


def test_enrichment_keeps_to_its_budget(service: Service) -> None:
    capture(service, SOCKET, DECIMAL, LOOP)
    enriched = service.enrich_prompt(
        m.EnrichPromptRequest(prompt="socket.io version?", token_budget=120), never
    )
    assert enriched.tokens <= 120
    assert enriched.prompt.endswith("socket.io version?")


def test_completion_continues_what_is_typed_and_offers_the_answers_code(service: Service) -> None:
    capture(service, SOCKET, LOOP)
    indexed(service)
    completed = service.complete(m.CompleteRequest(text="Rust borrow che"), never)
    assert completed.questions[0].question == LOOP.question
    assert [block.language for block in completed.code_blocks] == ["rust"]


def test_forgetting_by_filter_and_dry_run(service: Service) -> None:
    capture(service, SOCKET, DECIMAL)
    only = m.MemoryFilter(tool="codex")
    assert service.forget(m.ForgetRequest(filter=only, dry_run=True), never).forgotten == 1
    assert service.store.count() == 2
    assert service.forget(m.ForgetRequest(filter=only), never).forgotten == 1
    assert recall(service, "arrondir une facture au centime") == []


@pytest.mark.parametrize(
    ("verb", "arguments", "field"),
    [
        ("capture", m.CaptureRequest(question=" ", answer="a"), "question"),
        ("capture", m.CaptureRequest(question="q", answer="\n"), "answer"),
        ("capture", m.CaptureRequest(question="q", answer="x" * (5 * 2**20)), "answer"),
        ("capture", m.CaptureRequest(question="q", answer="a", asked_at="soon"), "askedAt"),
        ("capture", m.CaptureRequest(question="q", answer="a", asked_at=9_999_999_999_999), "askedAt"),
        ("recall", m.RecallRequest(query=""), "query"),
        ("recall", m.RecallRequest(query="q", since="yesterdayish"), "since"),
        ("enrich_prompt", m.EnrichPromptRequest(prompt=""), "prompt"),
        ("forget", m.ForgetRequest(), "ids"),
        ("forget", m.ForgetRequest(filter=m.MemoryFilter()), "filter"),
        ("memory", m.MemoryRequest(id="nobody"), "id"),
        ("import_", m.ImportRequest(), "path"),
        ("import_", m.ImportRequest(source="fax"), "source"),
        ("import_", m.ImportRequest(path="/nowhere/at/all"), "path"),
        ("sync", m.SyncRequest(sources=["fax"]), "source"),
        ("sources", m.SourcesRequest(enable=["fax"]), "source"),
        ("jobs", m.JobsRequest(job_id="none"), "jobId"),
        ("cancel", m.CancelRequest(job_id="none"), "jobId"),
    ],
)
def test_what_cannot_be_done_is_said_and_the_field_is_named(
    service: Service, verb: str, arguments: m.Request, field: str
) -> None:
    with pytest.raises(EngineError) as caught:
        service.handlers()[verb](arguments, never)
    assert caught.value.field == field
    assert caught.value.message
    assert service.store.count() == 0


def test_odd_but_legal_text_is_kept(service: Service) -> None:
    texts = ["NUL \x00 inside", "lone \ud800 surrogate", "‮ right to left", "e\u0301 and é", "🧲" * 500]
    captured = capture(
        service, *(m.CaptureRequest(question=text, answer=f"{text} answered") for text in texts)
    )
    assert {each.status for each in captured} == {"stored"}
    indexed(service)
    for each in captured:
        assert "\x00" not in service.memory(m.MemoryRequest(id=each.id), never).question


def test_an_import_is_a_job_and_twice_stores_once(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "some.jsonl"
    lines = [
        json.dumps({"id": str(i), "question": f"Question {i}?", "answer": f"Answer {i}."}) for i in range(150)
    ]
    file.write_text("\n".join([*lines[:70], "{broken", '{"question": "no answer"}', *lines[70:]]))
    request = m.ImportRequest(path=str(file))
    first = finished(service, service.jobs.import_(request, never).job_id)
    assert (first.state, first.figures["stored"], first.figures["failed"]) == ("done", 150, 1)
    assert first.figures["ignored"] == 1
    assert all("some.jsonl" in reason for reason in first.reasons)
    second = finished(service, service.jobs.import_(request, never).job_id)
    assert (second.figures.get("stored", 0), second.figures["duplicates"]) == (0, 150)


def test_a_cancelled_import_keeps_what_it_stored(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "many.jsonl"
    lines = (json.dumps({"question": f"Question {i}?", "answer": f"Answer {i}."}) for i in range(30_000))
    file.write_text("\n".join(lines))
    job_id = service.jobs.import_(m.ImportRequest(path=str(file)), never).job_id
    while not service.store.count():
        time.sleep(0.01)
    service.jobs.cancel(m.CancelRequest(job_id=job_id), never)
    job = finished(service, job_id)
    assert job.state == "cancelled"
    assert 0 < service.store.count() < 30_000
    assert job.figures["stored"] == service.store.count()


def test_sources_are_off_until_they_are_turned_on(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("LMSTUDIO_HOME", raising=False)
    conversations = tmp_path / ".lmstudio" / "conversations"
    conversations.mkdir(parents=True)
    turn = [
        {"versions": [{"type": "singleStep", "role": "user", "content": [{"type": "text", "text": "Why?"}]}]},
        {
            "versions": [
                {"type": "singleStep", "role": "assistant", "content": [{"type": "text", "text": "So."}]}
            ]
        },
    ]
    path = conversations / "1760000000000.conversation.json"
    path.write_text(json.dumps({"name": "n", "createdAt": 1760000000000, "messages": turn}))
    states = {state.name: state for state in service.jobs.sources(m.SourcesRequest(), never).sources}
    assert (states["lmstudio"].enabled, states["lmstudio"].found) == (False, 1)
    assert finished(service, service.jobs.sync(m.SyncRequest(), never).job_id).figures.get("stored", 0) == 0
    synced = finished(service, service.jobs.sync(m.SyncRequest(sources=["lmstudio"]), never).job_id)
    assert synced.figures["stored"] == 1
    again = finished(service, service.jobs.sync(m.SyncRequest(), never).job_id)
    assert again.figures.get("read", 0) == 0


def test_recall_of_a_request_that_nobody_waits_for_stops(service: Service) -> None:
    capture(service, SOCKET)
    indexed(service)
    with pytest.raises(EngineError) as caught:
        service.handlers()["recall"](m.RecallRequest(query="socket"), lambda: True)
    assert caught.value.code == "cancelled"


def test_the_doctor_finds_all_well_and_rebuilds_on_request(service: Service) -> None:
    capture(service, SOCKET, DECIMAL, LOOP)
    indexed(service)
    assert all(finding.ok for finding in service.doctor(m.DoctorRequest(), never).findings)
    asked = service.doctor(m.DoctorRequest(rebuild=True, vacuum=True), never)
    assert any(finding.done and "built again" in finding.done for finding in asked.findings)
    status = indexed(service)
    while service.indexing.is_building_text():
        time.sleep(0.05)
    status = indexed(service)
    assert {index.items for index in status.indexes} == {3}


def test_the_doctor_embeds_again_on_request(service: Service) -> None:
    capture(service, SOCKET, DECIMAL)
    indexed(service)
    service.doctor(m.DoctorRequest(reembed=True), never)
    status = indexed(service)
    assert {index.name: index.items for index in status.indexes}["dense"] == 2
    assert recall(service, "socket.io protocol version")


async def test_a_standalone_engine_lets_no_other_open_its_directory(home: Home) -> None:
    first = await connect(home, standalone=True)
    with pytest.raises(EngineError, match="Another engine"):
        await connect(home, standalone=True)
    await first.close()
    second = await connect(home, standalone=True)
    await second.close()
