"""A prompt's memories, from the store to the fence, on the real indexes and the real embedder."""

from __future__ import annotations

from pathlib import Path

import pytest
from service_in_process import indexed, never

from remanence.engine import messages as m
from remanence.engine.service import Service, open_service
from remanence.engine.verbs import EngineError
from remanence.memory.fence import strip_memory
from remanence.memory.token_count import count_tokens
from remanence.paths import Home
from remanence.settings import SettingsError, load_settings

PROMPT = "Which prefix do we give to attribute names?"


def remember(service: Service, question: str, answer: str, **fields: object) -> str:
    request = m.CaptureRequest(question=question, answer=answer, **fields)  # type: ignore[arg-type]
    return service.capture(request, never).id


def enriched(service: Service, prompt: str = PROMPT, **fields: object) -> m.EnrichPromptResponse:
    return service.enrich_prompt(m.EnrichPromptRequest(prompt=prompt, **fields), never)  # type: ignore[arg-type]


def test_the_best_memory_stands_nearest_to_the_prompt_and_first_in_the_answer(service: Service) -> None:
    best = remember(service, PROMPT, "The prefix of attribute names is q_.")
    remember(service, "Do attribute names need a prefix in tests?", "No, tests may name attributes freely.")
    indexed(service)
    answer = enriched(service)
    assert answer.memories[0].id == best
    assert len(answer.memories) == 2
    assert answer.prompt.index("tests may") < answer.prompt.index("is q_.")


def test_a_rule_that_was_changed_later_says_so(service: Service) -> None:
    place = {"conversation_id": "c", "tool": "aider"}
    remember(service, "Attribute names?", "Start attribute names with the prefix q_.", **place)
    remember(
        service,
        "And attribute names today?",
        "From now on start attribute names with the prefix j_.",
        **place,
    )
    indexed(service)
    text = enriched(service, "prefix that attribute names start with", automatic=False).prompt
    before, _, after = text.partition("From now on")
    assert "(changed later in the conversation)" in before
    assert "(changed later in the conversation)" not in after


def test_an_answer_that_was_replaced_says_so(service: Service) -> None:
    place = {"conversation_id": "c", "turn_key": "1", "tool": "aider"}
    remember(service, PROMPT, "The prefix of attribute names is q_.", **place)
    remember(service, PROMPT, "The prefix of attribute names is j_, always.", **place)
    indexed(service)
    text = enriched(service).prompt
    if "is q_." in text:
        assert "(superseded by a newer answer)" in text.partition("is q_.")[0].rpartition("[")[2]
    assert "is j_" in text


def test_an_automatic_prompt_is_silent_where_one_that_was_asked_for_is_not(service: Service) -> None:
    remember(service, "How are our attributes called?", "They carry a prefix.")
    indexed(service)
    vague = "naming conventions of the team"
    assert enriched(service, "best recipe for sourdough bread").prompt == "best recipe for sourdough bread"
    assert enriched(service, vague).memories == []
    assert len(enriched(service, vague, automatic=False).memories) == 1


def test_the_block_of_an_earlier_enrichment_is_replaced_and_not_searched_for(service: Service) -> None:
    remember(service, PROMPT, "The prefix of attribute names is q_.")
    remember(service, "Where is the release checklist?", "In docs/release.md.")
    indexed(service)
    once = enriched(service)
    again = enriched(service, once.prompt)
    assert again.prompt == once.prompt
    other = enriched(service, once.prompt.replace(PROMPT, "Where is the release checklist?"))
    assert "docs/release.md" in other.prompt
    assert "q_" not in other.prompt
    assert strip_memory(other.prompt) == "Where is the release checklist?"


def test_budget_and_share_come_from_the_settings_unless_the_request_says_otherwise(home: Home) -> None:
    home.settings.write_text("[enrichment]\ntoken_budget = 400\nshare = 0.5\n")
    service = open_service(home)
    try:
        for i in range(30):
            remember(service, f"{PROMPT} Case {i}.", f"The prefix of attribute names is q{i}_.")
        indexed(service)
        asked = count_tokens(PROMPT) + 1
        small = enriched(service)
        assert 120 < small.tokens <= 200 + asked
        assert 250 < enriched(service, share=1.0).tokens <= 400
        assert 250 < enriched(service, token_budget=800).tokens <= 400 + asked
    finally:
        service.close()


@pytest.mark.parametrize(
    "wrong", ["token_budget = 1", "share = 0", "share = 1.5", 'share = "half"', "tokens = 5"]
)
def test_settings_that_cannot_be_meant_are_refused(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "settings.toml").write_text(f"[enrichment]\n{wrong}\n")
    with pytest.raises(SettingsError, match=wrong.split()[0]):
        load_settings(tmp_path / "settings.toml")


def test_a_prompt_that_nobody_waits_for_is_given_up(service: Service) -> None:
    remember(service, PROMPT, "q_")
    with pytest.raises(EngineError) as caught:
        service.handlers()["enrich_prompt"](m.EnrichPromptRequest(prompt=PROMPT), lambda: True)
    assert caught.value.code == "cancelled"
