"""Where a prompt is being typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.lsp.options import CompletionOptions
from remanence.lsp.prompts import Passage, Place, passage_at

MARKS = CompletionOptions().marks


def at(text: str, language_id: str = "python", *, chat: bool = False) -> Passage | None:
    """The passage that ends where `|` stands."""
    lines = text.splitlines(keepends=True)
    line = next(index for index, said in enumerate(lines) if "|" in said)
    column = lines[line].index("|")
    lines[line] = lines[line].replace("|", "", 1)
    return passage_at(lines, line, column, language_id, MARKS, chat=chat)


@pytest.mark.parametrize(
    ("text", "language", "leader"),
    [
        ("    #? parse a date|", "python", "    # "),
        ("//? parse a date|", "typescript", "// "),
        ("--? parse a date|", "sql", "-- "),
        (";;? parse a date|", "clojure", ";; "),
        ("x = 1  #? parse a date|", "python", "# "),
    ],
)
def test_a_marked_comment_is_a_prompt(text: str, language: str, leader: str) -> None:
    passage = at(text, language)
    assert passage is not None
    assert (passage.place, passage.text, passage.leader) == (Place.COMMENT, "parse a date", leader)
    assert passage.opened == passage.first_column == text.index("parse")
    assert text[passage.outer :].startswith(passage.mark)


def test_comment_lines_below_a_mark_belong_to_the_prompt() -> None:
    passage = at("x = 1\n  #? how do I parse\n  # dates in|\n")
    assert passage is not None
    assert passage.text == "how do I parse\ndates in"
    assert (passage.first_line, passage.first_column, passage.line, passage.opened) == (1, 5, 2, 4)


@pytest.mark.parametrize(
    "text",
    ["x = parse(|", "# parse a date|", '"#?" + x|', "#? earlier\ny = 2\n# parse a date|", "#| ? parse"],
)
def test_code_and_ordinary_comments_are_no_prompts(text: str) -> None:
    assert at(text) is None


def test_a_paragraph_of_markdown_up_to_the_cursor_is_a_prompt() -> None:
    passage = at("# Title\n\nFirst.\n\nHow do I parse\na date| in pandas?\n", "markdown")
    assert passage is not None
    assert (passage.place, passage.text) == (Place.PROSE, "How do I parse\na date")
    assert (passage.first_line, passage.first_column, passage.opened) == (4, 0, 0)


def test_a_list_item_is_a_paragraph_of_its_own() -> None:
    passage = at("- one\n- parse a date|\n", "markdown")
    assert passage is not None
    assert (passage.text, passage.first_line, passage.first_column) == ("parse a date", 1, 2)


@pytest.mark.parametrize(
    "text", ["# A headi|ng\n", "```python\nparse a date|\n```\n", "| a | b\n", "---\n|", "<!-- no|te -->\n"]
)
def test_headings_tables_and_fenced_code_are_no_prose(text: str) -> None:
    assert at(text, "markdown") is None


def test_a_marked_comment_in_fenced_code_is_a_prompt_of_its_language() -> None:
    passage = at("```py\n#? parse a date|\n```\n", "markdown")
    assert passage is not None
    assert (passage.place, passage.language) == (Place.COMMENT, "python")


def test_the_whole_turn_of_a_chat_is_the_prompt() -> None:
    text = "## Me\n\nOld\n\n## CodeCompanion (x)\n\nYes\n\n## Me\n\n> Context:\n> - a.py\n\nOne.\n\nTwo|\n"
    passage = at(text, "codecompanion")
    assert passage is not None
    assert (passage.place, passage.text, passage.first_line) == (Place.CHAT, "One.\n\nTwo", 13)


def test_an_answer_in_a_chat_is_no_prompt() -> None:
    assert at("## Me\n\nOld\n\n## CodeCompanion (x)\n\nYes it|\n", "codecompanion") is None
    assert at("## User\n\nOld\n\n## Assistant\n\nYes it|\n", "markdown", chat=True) is None


def test_a_chat_without_headings_has_paragraphs() -> None:
    passage = at("One.\n\nparse a date|", "AvanteInput")
    assert passage is not None
    assert (passage.place, passage.text) == (Place.CHAT, "parse a date")


def test_too_little_is_a_prompt_that_says_nothing_yet() -> None:
    passage = at("#? a|")
    assert passage is not None
    assert not passage.says_enough


@given(
    st.lists(
        st.sampled_from(["#? a b", "# c", "x", "", "## Me", "```py", "- d", "> e", "//? f", "    # g"]),
        max_size=8,
    ),
    st.integers(0, 9),
    st.integers(0, 12),
    st.sampled_from(["python", "markdown", "codecompanion", "typescript", ""]),
    st.booleans(),
)
def test_a_passage_lies_before_the_cursor(
    said: list[str], line: int, column: int, language_id: str, chat: bool
) -> None:
    lines = [f"{text}\n" for text in said]
    passage = passage_at(lines, line, column, language_id, MARKS, chat=chat)
    if passage is not None:
        assert (passage.line, passage.column) == (line, column)
        assert passage.opened <= column
        assert (passage.first_line, min(passage.outer, passage.first_column)) <= (line, column)
