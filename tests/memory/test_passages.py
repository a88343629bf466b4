"""Sentences, code blocks and excerpts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.memory import terms
from remanence.memory.passages import (
    CodeBlock,
    clues,
    code_blocks,
    excerpt,
    mentions,
    sentences,
    split_code,
)

ANSWER = """Sure, here is what happened.

The socket was closed by the peer. Set `keepalive` on the Redis connection to stop that:

```python
client = Redis(socket_keepalive=True)
```

Then restart the worker, e.g. with systemd. Unrelated closing words."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Use it, e.g. here. Done.", ["Use it, e.g. here.", "Done."]),
        (
            "Python 3.11 is needed. See docs.python.org now.",
            ["Python 3.11 is needed.", "See docs.python.org now."],
        ),
        ("C'est fait ! Et après ? Oui.", ["C'est fait !", "Et après ?", "Oui."]),
        ("これは文です。次の文です！終わり", ["これは文です。", "次の文です！", "終わり"]),
        ("1. First step\n2. Second step", ["1. First step", "2. Second step"]),
        ('He said "stop." Then left.', ['He said "stop."', "Then left."]),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text(max_size=300))
def test_sentences_lose_nothing_but_space(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


def test_code_is_told_from_prose() -> None:
    parts = split_code(ANSWER)
    assert [type(part) for part in parts] == [str, CodeBlock, str]
    assert code_blocks(ANSWER) == [CodeBlock("python", "client = Redis(socket_keepalive=True)")]


def test_a_longer_fence_holds_a_shorter_one() -> None:
    text = "````markdown\n```python\nx = 1\n```\n````"
    assert code_blocks(text) == [CodeBlock("markdown", "```python\nx = 1\n```")]


def test_a_fence_left_open_runs_to_the_end() -> None:
    assert code_blocks("~~~Rust\nfn main() {}") == [CodeBlock("rust", "fn main() {}")]


def test_an_excerpt_starts_at_the_sentence_that_answers() -> None:
    found = excerpt(ANSWER, terms.query_stems("redis keepalive"))
    assert found.startswith("Set `keepalive` on the Redis connection")
    assert "\n" not in found


def test_an_excerpt_of_a_query_that_shares_nothing_is_the_beginning() -> None:
    assert excerpt(ANSWER, ["zebra"]).startswith("Sure, here is what happened. The socket was closed")


def test_an_excerpt_finds_words_without_their_accents() -> None:
    answer = "Rien ici. La mémoire partagée est libérée à la fin."
    assert excerpt(answer, terms.query_stems("memoire")).startswith("La mémoire partagée")


def test_where_only_code_speaks_of_it_the_excerpt_is_code() -> None:
    assert excerpt("Try:\n```py\nimport os\nos.getrandom(4)\n```\n", ["getrandom"]).endswith(
        "os.getrandom(4)"
    )


def test_a_sentence_too_long_is_cut_around_the_word() -> None:
    answer = "word " * 200 + "needle " + "word " * 200
    found = excerpt(answer, ["needl"], limit=100)
    assert len(found) <= 100
    assert "needle" in found
    assert found.startswith("…")
    assert found.endswith("…")


@given(st.text(max_size=600), st.lists(st.text(min_size=1, max_size=8), max_size=5), st.integers(10, 300))
def test_an_excerpt_fits_and_is_one_line(answer: str, query_terms: list[str], limit: int) -> None:
    found = excerpt(answer, query_terms, limit)
    assert len(found) <= limit
    assert "\n" not in found


def test_an_answer_of_a_megabyte_is_no_trouble() -> None:
    assert len(excerpt("a" * 1_000_000 + "```" * 1000, ["b"])) <= 240


def test_an_excerpt_finds_the_forms_and_relatives_of_a_word() -> None:
    answer = "Nada de eso. Cierra las conexiones que quedan abiertas. Después reinicia."
    for query in ("conexión", "connection", "abierto"):
        assert excerpt(answer, terms.query_stems(query), limit=60).startswith("Cierra las conexiones")


@pytest.mark.parametrize(
    "word",
    """
    connection conexión conexiones connexion commands installed queries happy using runs created crear
    creation listens photographie dictionary sección suspicion actual function_name getUserName utf_8 os.path
    C++ 3.11.7 .NET größe données Größenänderung подключения 数据库 llama running callbacks files
    """.split(),  # noqa: SIM905
)
def test_a_word_holds_a_clue_to_each_of_its_stems(word: str) -> None:
    written = terms.folded(word).lower().replace("_", "")
    stems = [term for _, term in terms.mentions(word, _Everything())]
    assert stems
    assert all(any(clue in written for clue in clues(term)) for term in stems)


class _Everything:
    def __contains__(self, term: object) -> bool:
        return True


def test_an_excerpt_looks_for_the_terms_that_the_answer_may_hold_alone() -> None:
    wanted = terms.query_stems("redis keepalive")
    whole = excerpt(ANSWER, wanted)
    assert excerpt(ANSWER, wanted, held=[True, True]) == whole
    assert excerpt(ANSWER, wanted, held=[False, False]) == excerpt(ANSWER, ["zebra"])


_SENTENCES = st.lists(st.sampled_from(["redis", "numpy", "socket", "and", "so"]), min_size=1, max_size=5)


@given(st.lists(st.lists(_SENTENCES, min_size=1, max_size=4), min_size=1, max_size=6))
def test_an_excerpt_starts_at_the_first_of_the_sentences_that_say_most(lines: list[list[list[str]]]) -> None:
    each = [" ".join(words) + "." for line in lines for words in line]
    answer = "\n".join(" ".join(" ".join(words) + "." for words in line) for line in lines)
    (redis,), (numpy,) = terms.query_stems("redis"), terms.query_stems("numpy")
    best = max(each, key=lambda sentence: 2 * ("redis" in sentence) + 1.5 * ("numpy" in sentence))
    assert excerpt(answer, [redis, numpy], limit=len(best)) == best


_WORDS = st.lists(
    st.sampled_from(["Redis", "socket", "sockets,", "getSocket", "keep-alive", "and", "¿", "İ"])
)


@given(_WORDS, st.sampled_from([" ", "\n", "\t", " \n "]))
def test_however_its_words_are_looked_through_a_text_mentions_the_same(words: list[str], gap: str) -> None:
    text, wanted = terms.folded(gap.join(words)), terms.query_stems("redis sockets")
    found = terms.mentions(text, wanted)
    assert mentions(text, wanted) == found
    assert mentions(f"{text} _", wanted) == found
    assert mentions(f"{text} {'so ' * 5000}", wanted) == found
