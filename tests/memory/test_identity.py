"""Identity: the same turn has the same name, the same text the same hash, and nothing else does."""

from __future__ import annotations

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from remanence.memory.exchange import Exchange
from remanence.memory.identity import content_hash, identify, is_grown, normalise

KEY = b"k" * 32
texts = st.text()


@given(texts)
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(texts, texts)
def test_line_ends_and_unicode_form_do_not_change_the_content(question: str, answer: str) -> None:
    other = re.sub(r"(?<!\r)\n", "\r\n", unicodedata.normalize("NFD", question))
    assert content_hash(question, answer) == content_hash(other, f"  {answer}\n\n")


@given(st.tuples(texts, texts), st.tuples(texts, texts))
def test_different_texts_have_different_hashes(one: tuple[str, str], other: tuple[str, str]) -> None:
    same = [normalise(text) for text in one] == [normalise(text) for text in other]
    if "\x1f" not in "".join((*one, *other)):
        assert (content_hash(*one) == content_hash(*other)) == same


@given(texts, texts, texts, st.integers(0, 3))
def test_redaction_rules_do_not_change_a_turns_name(
    question: str, answer: str, other: str, occurrence: int
) -> None:
    raw = Exchange(question=question, answer=answer, tool="t", conversation_id="c", occurrence=occurrence)
    redacted = Exchange(question=other, answer=other, tool="t", conversation_id="c")
    assert identify(raw, raw, KEY).id == identify(raw, redacted, KEY).id


def test_a_turn_without_a_key_is_named_by_its_question_and_occurrence() -> None:
    first = Exchange(question="continue", answer="a", tool="t", conversation_id="c", occurrence=0)
    second = Exchange(question="continue", answer="b", tool="t", conversation_id="c", occurrence=1)
    assert identify(first, first, KEY).id != identify(second, second, KEY).id


def test_a_questions_hash_is_of_no_use_without_the_databases_key() -> None:
    raw = Exchange(question="hunter2", answer="a", tool="t", conversation_id="c")
    assert identify(raw, raw, KEY).question_hash != identify(raw, raw, b"o" * 32).question_hash


@given(texts, texts)
def test_only_a_longer_answer_with_the_same_beginning_has_grown(old: str, more: str) -> None:
    assert not is_grown(old, old)
    if is_grown(old, old + more):
        assert not is_grown(old + more, old)
