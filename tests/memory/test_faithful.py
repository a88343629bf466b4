"""A summary that may stand for what it shortens: no name or number lost, none made up."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from remanence.memory.faithful import keeps_particulars, particulars

EXTRACT = (
    "We moved the billing service to Postgres 16.2 on March 3, because Dana saw parse_invoice fail. "
    "Run `make migrate` with --dry-run first, then look at billing/models.py and getUserName."
)


@pytest.mark.parametrize(
    "particular",
    [
        "Postgres",
        "16.2",
        "March",
        "3",
        "Dana",
        "parse_invoice",
        "make migrate",
        "--dry-run",
        "billing/models.py",
    ],
)
def test_names_numbers_and_identifiers_are_told_from_words(particular: str) -> None:
    assert particular in particulars(EXTRACT)


def test_ordinary_words_are_none_even_at_the_beginning_of_a_sentence() -> None:
    assert particulars("We should not do this. Then what? And how?") == frozenset()


def test_a_summary_that_keeps_them_is_good() -> None:
    summary = (
        "Billing went to Postgres 16.2 on March 3 (Dana: parse_invoice); `make migrate` --dry-run first, "
        "see billing/models.py, getUserName."
    )
    assert keeps_particulars(summary, EXTRACT, EXTRACT)


@pytest.mark.parametrize(
    ("kept", "instead"),
    [
        ("16.2", "16"),
        ("16.2", "16.3"),
        ("Dana", "a colleague"),
        ("March 3", "March"),
        ("parse_invoice", "parsing"),
        ("make migrate", "make"),
        ("billing/models.py", "the models"),
        ("getUserName", "username"),
    ],
)
def test_a_summary_that_loses_one_is_refused(kept: str, instead: str) -> None:
    assert not keeps_particulars(EXTRACT.replace(kept, instead), EXTRACT, EXTRACT)


@pytest.mark.parametrize("made_up", [" Ask Erin.", " It takes 40 minutes.", " See config.yaml."])
def test_a_summary_that_makes_one_up_is_refused(made_up: str) -> None:
    assert not keeps_particulars(EXTRACT + made_up, EXTRACT, EXTRACT)


def test_a_summary_may_name_what_only_the_source_has() -> None:
    assert keeps_particulars(
        "The cache holds 12 entries for Dana.", "It holds 12 entries.", "Dana: it holds 12 entries."
    )


def test_what_is_part_of_another_word_is_not_kept() -> None:
    assert not keeps_particulars("Set max_retries.", "Set retries_max and max_retry.", "")
    assert not keeps_particulars("It took 120 ms.", "It took 20 ms.", "It took 120 ms.")


def test_where_names_cannot_be_told_no_summary_is_good() -> None:
    assert not keeps_particulars("数据库在三月迁移。", "数据库在三月迁移。", "数据库在三月迁移。")


def test_an_empty_summary_is_refused() -> None:
    assert not keeps_particulars(" \n", "nothing special here", "nothing special here")


def test_a_speaker_s_own_i_is_no_name() -> None:
    assert particulars("Where do I find it, and what I've set up with Ines?") == {"Ines"}


texts = st.text(st.characters(exclude_categories=["Cs", "Lo"]), max_size=120)
names = st.sampled_from(
    ["Ines", "Zürich", "42", "3.11.7", "max_size", "os.path.join", "v2", "fooBar", "`a b`", "x/y.py"]
)


@given(texts.filter(str.strip))
@example("㍱A")  # a sign that stands for letters, beside one
def test_a_text_stands_for_itself(text: str) -> None:
    assert keeps_particulars(text, text, text)


@given(st.lists(st.sampled_from(["the", "quiet", "river", "runs"]), min_size=1, max_size=6), names, names)
def test_a_lost_or_changed_particular_is_always_noticed(words: list[str], one: str, other: str) -> None:
    extract = f"{' '.join(words)} with {one} here"
    assert keeps_particulars(f"with {one}", extract, extract)
    assert not keeps_particulars(" ".join(words), extract, extract)
    if one != other:
        assert not keeps_particulars(f"{' '.join(words)} with {other} here", extract, extract)


@given(texts, texts, texts)
def test_it_answers_for_any_texts(summary: str, extract: str, source: str) -> None:
    assert keeps_particulars(summary, extract, source) in (True, False)
