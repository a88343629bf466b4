"""Memories as the client can show them."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol.types import MarkupContent, MarkupKind
from markdown_it import MarkdownIt

from remanence.engine.messages import Memory
from remanence.lsp.markdown import (
    Rendering,
    age,
    answer_markdown,
    document,
    documentation,
    escape,
    hover_text,
    memory_uri,
)

NOW = 1_800_000_000_000
DAY = 86_400_000
MARKDOWN = Rendering(MarkupKind.Markdown)
PLAIN = Rendering(MarkupKind.PlainText)


def memory(**said: object) -> Memory:
    fields: dict[str, object] = {
        "id": "0f",
        "question": "How do I close the socket?",
        "answer": "Use `closing`. It also closes on errors.",
        "excerpt": "Use `closing`.",
        "score": 0.9,
        "tool": "aider",
        "model": "gpt-4o",
        "asked_at": NOW - 21 * DAY,
        "keywords": ["socket", "closing"],
    }
    return Memory(**{**fields, **said})  # type: ignore[arg-type]


def test_a_hover_says_question_extract_age_tool_model_and_keywords() -> None:
    text = hover_text([memory()], MARKDOWN, NOW)
    assert text == MarkupContent(
        MarkupKind.Markdown,
        "**How do I close the socket?**\n\nUse `closing`.\n\n"
        "3 weeks ago · aider · gpt-4o · `socket` · `closing`",
    )


def test_a_hover_in_plain_text_has_no_marks() -> None:
    text = hover_text([memory(question="What is *a*?")], PLAIN, NOW)
    assert text.kind is MarkupKind.PlainText
    assert text.value.splitlines()[0] == "What is *a*?"


def test_the_whole_answer_is_linked_only_where_it_can_be_opened() -> None:
    assert "](" not in hover_text([memory()], MARKDOWN, NOW).value
    linked = hover_text([memory(id="a/b")], Rendering(MarkupKind.Markdown, links=True), NOW).value
    assert "[whole answer](remanence:/memory/a%2Fb/how-do-i-close-the-socket.md)" in linked


@pytest.mark.parametrize(
    ("question", "uri"),
    [
        ("", "remanence:/memory/0f.md"),
        ("?!", "remanence:/memory/0f.md"),
        ("Is [this](command:evil) \x00\ud800 a/../b?", "remanence:/memory/0f/is-this-command-evil-a-b.md"),
        ("Größe", "remanence:/memory/0f/gr%C3%B6%C3%9Fe.md"),
        ("word " * 30, f"remanence:/memory/0f/{'word-' * 11}word.md"),
        ("w" * 99, f"remanence:/memory/0f/{'w' * 60}.md"),
    ],
)
def test_the_document_of_a_memory_is_named_after_its_question(question: str, uri: str) -> None:
    assert memory_uri("0f", question) == uri


def test_a_long_extract_ends_with_a_sentence() -> None:
    text = hover_text([memory(excerpt="One sentence here. " * 40)], PLAIN, NOW).value.splitlines()[1]
    assert len(text) <= 400
    assert text.endswith("here.")


def test_what_is_not_known_is_left_out() -> None:
    text = hover_text([memory(asked_at=None, model=None, keywords=[])], MARKDOWN, NOW).value
    assert text.endswith("\n\naider")


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (0, "just now"),
        (-5 * DAY, "just now"),
        (60_000, "1 minute ago"),
        (3 * 3_600_000, "3 hours ago"),
        (DAY, "1 day ago"),
        (20 * DAY, "2 weeks ago"),
        (70 * DAY, "2 months ago"),
        (800 * DAY, "2 years ago"),
    ],
)
def test_ages_are_in_the_largest_whole_unit(ago: int, words: str) -> None:
    assert age(NOW - ago, NOW) == words


class Seen(HTMLParser):
    """Which elements a renderer makes of a text, and the words that are left."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)

    def handle_data(self, data: str) -> None:
        self.words += data


def rendered(markdown: str) -> Seen:
    seen = Seen()
    seen.feed(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown))
    return seen


PIECES = [
    "[a](command:evil)", "![x](http://h/p.png)", "<img src=x>", "<https://h>", "`", "``", "**", "_", "~~",
    "&#91;", "# ", "- ", "1. ", "> ", "| a | b |", "---", "===", "\\", "\\[", "[r]: http://h", "word", " ",
]  # fmt: skip
HOSTILE = st.lists(
    st.sampled_from(PIECES),
    max_size=12,
).map("".join)


@given(HOSTILE | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
def test_nothing_remembered_becomes_structure(text: str) -> None:
    seen = rendered(escape(" ".join(text.split())))
    assert seen.elements <= {"p", "code"}


@given(st.text(st.sampled_from("abc XYZ.,:;!?()[]{}<>#*_~|&=+-/\\\"'"), min_size=1, max_size=40))
def test_escaped_words_read_as_they_were_written(text: str) -> None:
    flat = " ".join(text.split())
    assert rendered(escape(flat)).words.strip() == flat


@pytest.mark.parametrize(
    "text",
    [
        "Strip it before Decimal(text.replace(',', '')) is called (twice).",
        "std::vector at 10:30 in dict(a:int), note:this",
        "x -> y, AT&T, a >= b",
        "metadata:x",
    ],
)
def test_words_that_mean_nothing_to_markdown_stand_as_they_are(text: str) -> None:
    assert escape(text) == text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("[a](command:evil)", r"\[a\]\(command\:evil)"),
        ("see command:evil or Command:evil", r"see command\:evil or Command\:evil"),
        ("https://h mailto:a@b.c", r"https\://h mailto\:a@b.c"),
        ("<https://h> &amp; &#91;", r"\<https\://h> \&amp; \&#91;"),
        ("> quoted", r"\> quoted"),
    ],
)
def test_what_could_become_a_link_an_entity_or_a_quotation_is_escaped(text: str, escaped: str) -> None:
    assert escape(text) == escaped


@given(HOSTILE)
def test_no_target_follows_a_bracket(text: str) -> None:
    words = re.sub(r"(?<!`)`[^`]+`(?!`)", "", escape(" ".join(text.split())))
    assert "](" not in words
    assert re.search(r"(?i)\b(?:command|https?):\S", words) is None


def test_inline_code_stays_code() -> None:
    assert escape("use `a_b[0]` *now*") == "use `a_b[0]` \\*now\\*"


def test_documentation_keeps_code_blocks_and_escapes_the_rest() -> None:
    answer = "See [x](command:evil):\n\n```python\nprint('[y](z)')\n```\n\nDone."
    text = documentation(memory(answer=answer), MARKDOWN, NOW)
    assert isinstance(text, MarkupContent)
    seen = rendered(text.value)
    assert "a" not in seen.elements
    assert "print('[y](z)')" in seen.words
    assert "```python\n" in text.value


def test_documentation_is_a_plain_string_for_clients_that_announced_no_format() -> None:
    text = documentation(memory(), None, NOW)
    assert isinstance(text, str)
    assert text.startswith("How do I close the socket?\n\nUse `closing`.")


@given(
    st.lists(st.sampled_from(["```", "````", "~~~", "```js", "x", "", "<b>", "[a](b)", "    y"]), max_size=10)
)
def test_no_answer_escapes_its_fences(lines: list[str]) -> None:
    assert rendered(answer_markdown("\n".join(lines))).elements <= {"p", "pre", "code"}


def test_a_document_holds_the_whole_memory() -> None:
    text = document(memory(answer="a\n\n" * 300, superseded_by="1e", uri="file:///a.py"), NOW)
    assert text.startswith(
        "# How do I close the socket?\n\n- 3 weeks ago\n- aider\n- gpt-4o\n- Keywords: socket, closing\n"
    )
    assert "- Asked from: file:///a.py\n" in text
    assert "remanence:/memory/1e.md" in text
    assert text.count("\na\n") == 300
