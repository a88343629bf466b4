"""Which of the query's words a piece holds is what its index terms say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_prompt import row

from remanence.memory import terms
from remanence.memory.extracts import Piece, pieces, signs

WORDS = st.sampled_from(
    [
        *("get_user_name", "getUserName", "users", "name", "C++", "C", "asp.net", ".NET", "3.11.7", "3.11"),
        *("größe", "groesse", "Straße", "café", "functions", "función", "import", "port", "os.path.join"),
        *("path", "数据库", "据"),
    ]
)
BETWEEN = st.sampled_from([" ", "\n", ", ", ". ", "(", "-", "/", "::"])
TEXTS = st.lists(st.tuples(WORDS, BETWEEN).map("".join), max_size=12).map("".join)


def _piece(text: str) -> Piece:
    return Piece(0, in_answer=False, text=text, gap="")


@settings(deadline=None, max_examples=300)
@given(st.lists(WORDS, min_size=1, max_size=4), st.lists(TEXTS, min_size=1, max_size=5))
def test_a_piece_holds_the_words_that_its_terms_say(words: list[str], texts: list[str]) -> None:
    query = " ".join(words)
    wanted = set(terms.query_stems(query))
    found = signs(query, [[_piece(text)] for text in texts])
    for text, share in zip(texts, found.words.tolist(), strict=True):
        held = wanted & set(terms.stems(text))
        assert (share > 0) == bool(held)
        assert (share > 0.999) == (held == wanted)


@pytest.mark.parametrize("quick", [False, True])
def test_pieces_and_what_stands_between_them_are_the_text(quick: bool) -> None:
    text = "One. Two is said.\n\n```py\nx = 1\n```\nThree… and four!  " * 400
    answer = [piece for piece in pieces(0, row(1, "How?", text), quick=quick) if piece.in_answer]
    cuts = [i for i, piece in enumerate(answer) if piece.after_cut]
    assert len(cuts) == 1
    assert "".join(piece.gap + piece.text for piece in answer) == text.rstrip()
    assert text.rstrip().endswith("".join(piece.gap + piece.text for piece in answer[cuts[0] + 1 :]))
