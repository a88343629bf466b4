"""Facts that a language model draws and decides about, in a running engine."""

from __future__ import annotations

import json

import pytest
from facts_in_process import capture, consolidated, decisions, drawn, listed, until, values
from service_in_process import indexed, never

import tiny_llama
from remanence.engine import messages as m
from remanence.engine.service import Service, open_service
from remanence.paths import Home
from telling_endpoint import TellingEndpoint, telling_endpoint

PORT = [
    ("Where does it listen?", "The billing-api runs on port 8081.", "2026-03-01"),
    ("The billing-api now runs on port 9090.", "Noted.", "2026-05-01"),
]


SAID = "We keep nightly backups in Lyon since the Jupiter outage."
MOVED = "The nightly backups are kept in Oslo these days."


def a_fact(words: str, value: str, text: str | None = None) -> dict[str, str]:
    return {
        "text": text or words,
        "subject": "nightly backups",
        "topic": "other",
        "value": value,
        "words": words,
        "language": "en",
    }


def told(messages: list[dict[str, str]]) -> str:
    """Facts of SAID and MOVED, and of these that the newer wins."""
    asked = messages[1]["content"]
    if "OLDER" in asked:
        return json.dumps(
            {"action": "update", "updated_text": "Nightly backups are kept in Oslo.", "reason": "moved"}
        )
    if "Lyon" in asked:
        made_up = a_fact(SAID, "Paris", "Backups are in Paris.")
        return json.dumps({"facts": [a_fact(SAID, "Lyon", "Nightly backups: Lyon."), made_up]})
    if "Oslo" in asked:
        return json.dumps({"facts": [a_fact(MOVED, "Oslo", "Nightly backups: Oslo.")]})
    return '{"facts": []}'


def service_with(home: Home, endpoint: TellingEndpoint) -> Service:
    home.settings.write_text(
        f'[language_models]\nuse = "m"\n[language_models.models.m]\nurl = "{endpoint.url}"\nmodel = "m"\n'
    )
    return open_service(home)


def test_a_model_finds_what_rules_do_not_and_what_it_made_up_is_left_out(home: Home) -> None:
    with telling_endpoint(told) as endpoint:
        service = service_with(home, endpoint)
        try:
            old = capture(service, SAID, "Good.", "2026-03-01")
            new = capture(service, MOVED, "Good.", "2026-05-01")
            capture(service, "What is a monad?", "A monoid.", "2026-05-02")
            job = consolidated(service, model=True)
            assert job.state == "done"
            assert job.figures["read by m"] == 3
            assert job.figures["superseded"] == 1
            (current,), (stale,) = listed(service), listed(service, "superseded")
            assert (current.value, current.exchanges, current.origin) == ("Oslo", [new], "m")
            assert (stale.value, stale.exchanges) == ("Lyon", [old])
            assert current.text == "Nightly backups are kept in Oslo."
            assert "2026-03-01" in endpoint.asked[-1]["messages"][1]["content"]
            asked = len(endpoint.asked)
            assert consolidated(service, model=True).figures.get("read by m") is None
            assert len(endpoint.asked) == asked
            (decision,) = decisions(service)
            decisions(service, undo=decision.id)
            assert {fact.text for fact in listed(service)} == {
                "Nightly backups: Oslo.",
                "Nightly backups: Lyon.",
            }
        finally:
            service.close()


def test_a_memory_is_found_by_the_words_of_its_facts(home: Home) -> None:
    def in_other_words(messages: list[dict[str, str]]) -> str:
        return json.dumps({"facts": [a_fact(SAID, "Lyon", "The archival copies are stored in Lyon.")]})

    with telling_endpoint(in_other_words) as endpoint:
        service = service_with(home, endpoint)
        try:
            said = capture(service, SAID, "Good.", "2026-03-01")
            indexed(service)
            query = m.RecallRequest(query="archival copies stored", mode="lexical")
            assert service.recall(query, never).memories == []
            consolidated(service, model=True)
            until(lambda: [each.id for each in service.recall(query, never).memories] == [said])
        finally:
            service.close()


def test_a_decision_without_json_is_tried_again_then_pending_and_taken_up_later(home: Home) -> None:
    babbles = True

    def babbling(messages: list[dict[str, str]]) -> str:
        return "Well, hard to say." if babbles and "OLDER" in messages[1]["content"] else told(messages)

    with telling_endpoint(babbling) as endpoint:
        service = service_with(home, endpoint)
        try:
            capture(service, SAID, "Good.", "2026-03-01")
            capture(service, MOVED, "Good.", "2026-05-01")
            job = consolidated(service, model=True)
            assert job.state == "done"
            assert values(service) == {"Lyon", "Oslo"}
            (decision,) = decisions(service)
            assert decision.state == "pending"
            assert "no valid JSON" in decision.reason
            about_both = [each for each in endpoint.asked if "OLDER" in each["messages"][1]["content"]]
            assert len(about_both) >= 3
            babbles = False
            consolidated(service, model=True)
            assert [each.state for each in decisions(service)] == ["done"]
            assert values(service) == {"Oslo"}
        finally:
            service.close()


def test_an_exchange_that_a_model_cannot_read_is_counted_and_the_rest_goes_on(home: Home) -> None:
    def babbling(messages: list[dict[str, str]]) -> str:
        return "no" if "Lyon" in messages[1]["content"] else told(messages)

    with telling_endpoint(babbling) as endpoint:
        service = service_with(home, endpoint)
        try:
            capture(service, SAID, "Good.", "2026-03-01")
            capture(service, MOVED, "Good.", "2026-05-01")
            job = consolidated(service, model=True)
            assert job.state == "done"
            assert job.figures["failed"] == 1
            assert values(service) == {"Oslo"}
        finally:
            service.close()


def test_a_model_that_is_gone_fails_the_job_and_rules_go_on(home: Home) -> None:
    with telling_endpoint(told) as endpoint:
        service = service_with(home, endpoint)
    try:
        capture(service, *PORT[0])
        job = consolidated(service, model=True)
        assert job.state == "failed"
        assert job.error
        drawn(service)
        assert values(service) == {"8081"}
    finally:
        service.close()


def test_a_real_model_with_too_small_a_window_is_refused_in_words(home: Home) -> None:
    pytest.importorskip("llama_cpp")
    home.settings.write_text(
        '[language_models]\nuse = "tiny"\n[language_models.models.tiny]\nbackend = "llama_cpp"\nthreads = 1\n'
        f'path = "{tiny_llama.gguf("Q8_0").as_posix()}"\n'
    )
    service = open_service(home)
    try:
        capture(service, *PORT[0])
        job = consolidated(service, model=True)
        assert job.state == "failed"
        assert job.error
        assert "window of 512 tokens, too small" in job.error
        assert values(service) == {"8081"}
    finally:
        service.close()


def test_of_a_long_exchange_as_much_is_read_as_fits_the_window(home: Home) -> None:
    with telling_endpoint(told) as endpoint:
        service = service_with(home, endpoint)
        try:
            capture(service, f"{SAID} {'And more of it. ' * 2000}", "Good. " * 5000, "2026-03-01")
            assert consolidated(service, model=True).state == "done"
            assert values(service) == {"Lyon"}
            assert all(len(str(each["messages"])) < 16_000 for each in endpoint.asked)
        finally:
            service.close()
