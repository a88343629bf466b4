"""How two opinions become one score, and when recall stays silent."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from remanence.memory.fusion import (
    BOTH,
    MEANING,
    WORDS,
    Evidence,
    coverage,
    known_cosines,
    relevant,
    scores,
    share_of_highest,
    weights,
)

share = st.floats(0, 1, width=32)
cosine = st.floats(-1, 1, width=32)


def evidence(*candidates: tuple[float, float, float]) -> Evidence:
    """Of cosine (to the whole and to the best unit), BM25 of all the text, coverage."""
    columns = np.array(candidates, dtype=np.float32).reshape(-1, 3)
    nothing = np.zeros(len(columns), dtype=np.float32)
    return Evidence(columns[:, 0], columns[:, 0], columns[:, 1], nothing, columns[:, 2])


def test_where_no_word_matches_the_cosine_alone_ranks() -> None:
    found = scores(evidence((0.3, 0, 0), (0.6, 0, 0), (0.5, 0, 0)), BOTH)
    assert np.argsort(-found).tolist() == [1, 2, 0]


def test_a_full_match_of_the_words_outweighs_a_somewhat_closer_meaning() -> None:
    matching, closer = scores(evidence((0.5, 0.6, 1.0), (0.65, 0.05, 0.1)), BOTH)
    assert matching > closer


def test_a_piece_that_answers_outweighs_a_whole_that_is_about_the_subject() -> None:
    whole = np.array([0.3, 0.5], dtype=np.float32)
    best = np.array([0.7, 0.5], dtype=np.float32)
    nothing = np.zeros(2, dtype=np.float32)
    piece, subject = scores(Evidence(whole, best, nothing, nothing, nothing), BOTH)
    assert piece > subject


def test_the_same_words_count_more_in_the_question_than_in_the_answer() -> None:
    nothing, same = np.zeros(2, dtype=np.float32), np.full(2, 0.5, dtype=np.float32)
    question = np.array([0.4, 0.0], dtype=np.float32)
    for by in (BOTH, WORDS):
        asked, answered = scores(Evidence(nothing, nothing, same, question, same), by)
        assert asked > answered


def test_words_that_occur_nowhere_count_as_missed() -> None:
    bm25 = np.array([2.0], dtype=np.float32)
    held = np.array([[True, False]])
    known, unknown = np.array([1.0], dtype=np.float32), np.array([1.0, 3.0], dtype=np.float32)
    assert share_of_highest(bm25, unknown)[0] < share_of_highest(bm25, known)[0]
    assert coverage(held, unknown).tolist() == [0.25]


def test_a_query_without_words_has_no_lexical_side() -> None:
    none = np.zeros(0, dtype=np.float32)
    assert share_of_highest(np.ones(2, np.float32), none).tolist() == [0, 0]
    assert coverage(np.zeros((2, 0), dtype=np.bool_), none).tolist() == [0, 0]


def test_one_side_alone_asks_nothing_of_the_other() -> None:
    known = evidence((0.9, 0.0, 0.0), (0.1, 0.8, 1.0))
    assert weights(dense=True, lexical=False) == MEANING
    assert np.argmax(scores(known, MEANING)) == 0
    assert weights(dense=False, lexical=True) == WORDS
    assert np.argmax(scores(known, WORDS)) == 1


def test_a_text_without_a_vector_is_judged_by_its_words() -> None:
    missing = evidence((np.nan, 0.5, 1.0), (np.nan, 0.0, 0.0), (0.7, 0, 0))
    whole, best = known_cosines(missing)
    assert not np.isnan(whole).any()
    assert best[0] > best[1]
    assert relevant(missing, automatic=True).tolist() == [True, False, True]


def test_nothing_near_and_nothing_shared_is_silence() -> None:
    far = evidence((0.2, 0.05, 0.1), (0.15, 0.0, 0.0))
    assert not relevant(far, automatic=False).any()
    assert not relevant(evidence(), automatic=False).any()


def test_in_doubt_only_the_explicit_question_is_answered() -> None:
    doubtful = evidence((0.40, 0.1, 0.2))
    assert relevant(doubtful, automatic=False).any()
    assert not relevant(doubtful, automatic=True).any()


def test_about_one_conversation_little_is_enough_but_not_nothing() -> None:
    assert relevant(evidence((0.22, 0.0, 0.0)), automatic=False, conversation=True).any()
    assert not relevant(evidence((0.22, 0.0, 0.0)), automatic=True, conversation=True).any()
    assert not relevant(evidence((0.1, 0.0, 0.0)), automatic=False, conversation=True).any()


def test_an_exact_identifier_is_relevant_however_little_the_model_knows_of_it() -> None:
    assert relevant(evidence((0.25, 0.4, 1.0)), automatic=True).any()
    assert relevant(evidence((np.nan, 0.4, 1.0)), automatic=True, dense=False).any()


@given(st.lists(st.tuples(cosine, share, share), min_size=1, max_size=20))
def test_scores_stay_within_about_one_and_more_of_the_words_or_the_meaning_never_lowers_them(
    candidates: list[tuple[float, float, float]],
) -> None:
    found = scores(evidence(*candidates), BOTH)
    assert np.all(found <= 1 + 1e-6)
    better = scores(evidence(*[(min(c + 0.1, 1), s, min(v + 0.1, 1)) for c, s, v in candidates]), BOTH)
    assert np.all(better >= found - 1e-6)


@given(st.lists(st.tuples(cosine, share, share), max_size=20))
def test_the_automatic_gate_lets_through_no_more_than_the_explicit_one(
    candidates: list[tuple[float, float, float]],
) -> None:
    asked = relevant(evidence(*candidates), automatic=False)
    unasked = relevant(evidence(*candidates), automatic=True)
    assert np.all(asked | ~unasked)
