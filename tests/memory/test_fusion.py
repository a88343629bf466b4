"""How two opinions become one score, and when recall stays silent."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from remanence.memory.fusion import Evidence, fused, known_cosines, lexical_evidence, relevant

share = st.floats(0, 1, width=32)


def evidence(*candidates: tuple[float, float, float]) -> Evidence:
    columns = np.array(candidates, dtype=np.float32).reshape(-1, 3)
    return Evidence(columns[:, 0], columns[:, 1], columns[:, 2])


def test_where_no_word_matches_the_cosine_alone_ranks() -> None:
    scores = fused(evidence((0.3, 0, 0), (0.6, 0, 0), (0.5, 0, 0)))
    assert np.argsort(-scores).tolist() == [1, 2, 0]


def test_a_full_match_of_the_words_outweighs_a_somewhat_closer_meaning() -> None:
    scores = fused(evidence((0.5, 0.6, 1.0), (0.65, 0.05, 0.1)))
    assert scores[0] > scores[1]


def test_words_that_occur_nowhere_count_as_missed() -> None:
    bm25 = np.array([2.0], dtype=np.float32)
    held = np.array([[True, False]])
    known_only = lexical_evidence(bm25, held[:, :1], np.array([1.0], dtype=np.float32))
    with_unknown = lexical_evidence(bm25, held, np.array([1.0, 3.0], dtype=np.float32))
    assert with_unknown[0][0] < known_only[0][0]
    assert with_unknown[1].tolist() == [0.25]


def test_a_query_without_words_has_no_lexical_side() -> None:
    none = np.zeros((2, 0), dtype=np.bool_)
    strengths, coverages = lexical_evidence(np.zeros(2, np.float32), none, np.zeros(0, np.float32))
    assert (strengths.tolist(), coverages.tolist()) == ([0, 0], [0, 0])


def test_a_text_without_a_vector_is_judged_by_its_words() -> None:
    missing = evidence((np.nan, 0.5, 1.0), (np.nan, 0.0, 0.0), (0.7, 0, 0))
    cosines = known_cosines(missing)
    assert not np.isnan(cosines).any()
    assert cosines[0] > cosines[1]
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
    assert relevant(evidence((0.28, 0.0, 0.0)), automatic=False, conversation=True).any()
    assert not relevant(evidence((0.28, 0.0, 0.0)), automatic=True, conversation=True).any()
    assert not relevant(evidence((0.1, 0.0, 0.0)), automatic=False, conversation=True).any()


def test_an_exact_identifier_is_relevant_however_little_the_model_knows_of_it() -> None:
    assert relevant(evidence((0.25, 0.4, 1.0)), automatic=True).any()
    assert relevant(evidence((np.nan, 0.4, 1.0)), automatic=True, dense=False).any()


@given(st.lists(st.tuples(st.floats(-1, 1, width=32), share, share), min_size=1, max_size=20))
def test_scores_stay_within_one_and_more_evidence_never_lowers_them(
    candidates: list[tuple[float, float, float]],
) -> None:
    scores = fused(evidence(*candidates))
    assert np.all(scores <= 1 + 1e-6)
    better = fused(evidence(*[(min(c + 0.1, 1), min(s + 0.1, 1), min(v + 0.1, 1)) for c, s, v in candidates]))
    assert np.all(better >= scores - 1e-6)


@given(st.lists(st.tuples(st.floats(-1, 1, width=32), share, share), max_size=20))
def test_the_automatic_gate_lets_through_no_more_than_the_explicit_one(
    candidates: list[tuple[float, float, float]],
) -> None:
    asked = relevant(evidence(*candidates), automatic=False)
    unasked = relevant(evidence(*candidates), automatic=True)
    assert np.all(asked | ~unasked)
