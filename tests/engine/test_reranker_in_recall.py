"""A reranker in the settings: explicit recall in its order, and recall all the same without it."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from service_in_process import finished, indexed, never

from remanence.engine import messages as m
from remanence.engine.reranking import OneRecall, RerankerSlot
from remanence.engine.service import Service, open_service
from remanence.memory.reranking import NotReranked
from remanence.models.model_folder import MODEL, folder_name
from remanence.paths import Home

# The tiny cross-encoder takes for relevant what says "verified"; words and meaning put the first one higher.
CLOSE = m.CaptureRequest(
    question="Why does the websocket handshake fail?",
    answer="The protocol versions of both sides of the websocket handshake differ.",
)
VERIFIED = m.CaptureRequest(
    question="Websocket trouble", answer="Pin the version on both sides. Verified on staging."
)
QUERY = "why does the websocket handshake fail"
JUDGED = "judged relevant by the reranker"


def set_reranker(home: Home, model: Path | str) -> None:
    home.settings.write_text(f'[reranker]\nmodel = "{model}"\n')


@contextmanager
def serving(home: Home) -> Iterator[Service]:
    """A service with both memories, indexed."""
    service = open_service(home)
    try:
        for request in (CLOSE, VERIFIED):
            service.capture(request, never)
        indexed(service)
        yield service
    finally:
        service.close()


@pytest.fixture
def prepared(home: Home, cross_encoder: Path, reranker_folder: Path) -> Path:
    """The folder of the tiny cross-encoder, prepared in this home and named in its settings."""
    set_reranker(home, cross_encoder)
    folder = home.models / "rerankers" / folder_name(str(cross_encoder))
    shutil.copytree(reranker_folder, folder)
    return folder


@pytest.fixture
def slot(home: Home, cross_encoder: Path, prepared: Path) -> Iterator[RerankerSlot]:
    slot = RerankerSlot(home, str(cross_encoder), threads=1, patience=60)
    yield slot
    slot.close()


def asked(service: Service, **fields: object) -> m.RecallResponse:
    return service.recall(m.RecallRequest(query=QUERY, **fields), never)  # type: ignore[arg-type]


def questions(answer: m.RecallResponse) -> list[str]:
    return [memory.question for memory in answer.memories]


def until(there: Callable[[], bool]) -> None:
    for _ in range(1200):
        if there():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come")


def test_without_one_in_the_settings_nothing_of_it_is_there(home: Home) -> None:
    with serving(home) as service:
        answer = asked(service)
        assert questions(answer) == [CLOSE.question, VERIFIED.question]
        assert answer.degraded is None
        assert service.status(m.Empty(), never).reranker is None
        checks = {finding.check for finding in service.doctor(m.DoctorRequest(), never).findings}
        assert "reranker" not in checks
        assert "reranker" not in {thread.name for thread in threading.enumerate()}


def test_explicit_recall_comes_in_the_rerankers_order_and_nothing_else_does(
    home: Home, prepared: Path
) -> None:
    with serving(home) as service:
        answer = asked(service)
        assert questions(answer) == [VERIFIED.question, CLOSE.question]
        assert answer.degraded is None
        assert JUDGED in answer.memories[0].why
        assert JUDGED not in answer.memories[1].why
        assert (service.status(m.Empty(), never).reranker or "").endswith("(loaded)")

        for mode in ("lexical", "dense"):
            assert questions(asked(service, mode=mode))[0] == CLOSE.question
        for memory in asked(service, automatic=True).memories:
            assert JUDGED not in memory.why
        completed = service.complete(m.CompleteRequest(text=QUERY), never)
        assert not any(JUDGED in memory.why for memory in completed.questions)
        enriched = service.enrich_prompt(m.EnrichPromptRequest(prompt=QUERY), never)
        first, *_ = enriched.memories
        assert first.id == answer.memories[1].id


def test_a_superseded_answer_stays_below_its_successor_though_it_is_judged_better(
    home: Home, prepared: Path
) -> None:
    with serving(home) as service:
        turn = {"question": "How is the pool sized?", "conversation_id": "c", "turn_key": "1"}
        for answer in ("Twenty connections, verified.", "Forty connections since March."):
            service.capture(m.CaptureRequest(answer=answer, **turn), never)  # type: ignore[arg-type]
        indexed(service)
        found = service.recall(m.RecallRequest(query="how is the pool sized"), never).memories
        current, old = (memory for memory in found if memory.question == turn["question"])
        assert current.superseded_by is None
        assert old.superseded_by == current.id
        assert JUDGED in old.why


@pytest.mark.e2e
def test_one_that_is_not_prepared_is_prepared_while_recall_goes_on(home: Home, cross_encoder: Path) -> None:
    set_reranker(home, cross_encoder)
    with serving(home) as service:
        (job,) = service.jobs.jobs(m.JobsRequest(), never).jobs
        assert job.kind == "prepare"
        answer = asked(service)
        assert questions(answer) == [CLOSE.question, VERIFIED.question]
        assert answer.degraded in (
            "reranker is not prepared: run `remanence prepare`",
            "reranker is being prepared",
        )
        assert finished(service, job.job_id).state == "done"
        until(lambda: asked(service).degraded is None)
        assert questions(asked(service)) == [VERIFIED.question, CLOSE.question]
        (finding,) = (
            each for each in service.doctor(m.DoctorRequest(), never).findings if each.check == "reranker"
        )
        assert finding.ok
        assert finding.detail == service.status(m.Empty(), never).reranker
        assert finding.detail.endswith("(loaded)")


def test_one_that_cannot_be_had_is_said_so_and_recall_goes_on(home: Home) -> None:
    set_reranker(home, "no such/model/id!")
    with serving(home) as service:
        (job,) = service.jobs.jobs(m.JobsRequest(), never).jobs
        ended = finished(service, job.job_id)
        reason = "The reranker no such/model/id! could not be prepared: "
        assert (ended.state, (ended.error or "")[: len(reason)]) == ("failed", reason)
        answer = asked(service)
        assert questions(answer) == [CLOSE.question, VERIFIED.question]
        assert answer.degraded == ended.error
        status = service.status(m.Empty(), never)
        assert status.reranker == "no such/model/id! (not prepared)"
        assert status.degraded == ended.error
        assert service.complete(m.CompleteRequest(text=QUERY), never).degraded is None


def test_a_damaged_one_is_said_so_and_recall_goes_on(home: Home, prepared: Path) -> None:
    network = prepared / MODEL
    network.write_bytes(bytes(network.stat().st_size))
    with serving(home) as service:
        answer = asked(service)
        assert questions(answer) == [CLOSE.question, VERIFIED.question]
        assert "cannot be loaded" in (answer.degraded or "")
        assert "run `remanence prepare --force`" in (answer.degraded or "")
        (finding,) = (
            each for each in service.doctor(m.DoctorRequest(), never).findings if each.check == "reranker"
        )
        assert not finding.ok


def test_recall_does_not_wait_for_one_that_is_still_being_loaded(
    home: Home, cross_encoder: Path, prepared: Path
) -> None:
    slot = RerankerSlot(home, str(cross_encoder), threads=1, patience=0)
    try:
        reranker = slot.for_one_recall()
        assert reranker is not None
        with pytest.raises(NotReranked, match="reranker is being loaded"):
            reranker.scores(QUERY, ["verified"])
        until(lambda: (slot.describe() or "").endswith("(loaded)"))
    finally:
        slot.close()


def test_one_that_is_too_slow_is_left_alone_for_a_while(slot: RerankerSlot) -> None:
    reranker = slot.for_one_recall()
    assert reranker is not None
    assert reranker.scores(QUERY, ["verified"])[0] > 0.5

    late = OneRecall(slot, deadline=time.monotonic() - 1)
    with pytest.raises(NotReranked, match=r"^reranker was too slow$"):
        late.scores(QUERY, ["verified"])
    with pytest.raises(NotReranked, match="too slow a moment ago"):
        reranker.scores(QUERY, ["verified"])
    assert slot.degraded() is None


def test_one_that_ran_out_of_time_midway_is_asked_again(slot: RerankerSlot) -> None:
    reranker = slot.for_one_recall()
    assert reranker is not None
    reranker.scores(QUERY, ["verified"])
    reranker.deadline = time.monotonic() - 1
    with pytest.raises(NotReranked, match=r"^reranker was too slow$"):
        reranker.scores(QUERY, ["verified"])
    assert slot.reason() is None


def test_one_that_nobody_asks_is_released_and_loaded_again_when_it_is_wanted(
    home: Home, cross_encoder: Path, prepared: Path
) -> None:
    slot = RerankerSlot(home, str(cross_encoder), threads=1, patience=60, idle=0.05)
    try:
        for _ in range(2):
            reranker = slot.for_one_recall()
            assert reranker is not None
            assert reranker.scores(QUERY, ["verified"])[0] > 0.5
            until(lambda: (slot.describe() or "").endswith("(prepared)"))
    finally:
        slot.close()
