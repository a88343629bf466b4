"""Chat transcripts in Markdown, recognised by structure and read back as exchanges."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.lsp.transcripts import parse_transcript
from remanence.lsp.turns import Turn

Exchanges = list[tuple[str, str]]

CODECOMPANION = """\
## Me

> Context:
> - <buf>app.py</buf>

How do I close the socket?

## CodeCompanion (copilot)

### Reasoning

It leaks on timeouts.

### Response

Use a `with` block:

```python
with closing(sock):
    ...
```

## Me

"""

GP_NVIM = """\
# topic: Sockets
- file: 2026-01-02.10-00-00.000.md
- model: {"model":"gpt-4o","temperature":1.1}

Write your queries after 💬:.

---

💬: How do I close it?

🤖:[Writer]
Call `close()`.

💬: And on error?

🤖: Use `finally`.
"""

CURSOR = """\
# Sockets
_Exported on 1/2/2026_

---

**User**

How do I close it?

---

**Cursor**

Call `close()`.

---
"""

ORDINARY = [
    "",
    "# Notes\n\nJust prose.\n",
    "# Roles\n\n## User\n\nSees pages.\n\n## Assistant\n\nHelps.\n\n## Admin\n\nOwns all.\n",
    "# API\n\n## Prompt\n\nA string.\n\n## Response\n\nA string.\n",
    "## User\n\nOnly a question, no answer.\n",
    "## Assistant\n\nHello.\n\n## User\n\nHi.\n",
    "## Usage\n\nRun it.\n\n## User\n\nx\n\n## Assistant\n\ny\n",
    "## User\n\nx\n\n## User\n\nz\n\n## Assistant\n\ny\n",
    "```markdown\n## Me\n\nq\n\n## CodeCompanion (x)\n\na\n```\n",
    "💬: How?\n\n🤖: So.\n",
    "> ## User\n> x\n> ## Assistant\n> y\n",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_document_is_no_transcript(text: str) -> None:
    assert parse_transcript(text) == []


def test_codecompanion_buffers_are_read_without_their_context_and_reasoning() -> None:
    [turn] = parse_transcript(CODECOMPANION)
    assert turn.question == "How do I close the socket?"
    assert turn.answer == "Use a `with` block:\n\n```python\nwith closing(sock):\n    ...\n```"
    assert (turn.tool, turn.model, turn.finished) == ("codecompanion", "copilot", True)


def test_the_last_answer_is_unfinished_until_another_turn_opens() -> None:
    growing = CODECOMPANION.removesuffix("## Me\n\n")
    assert [turn.finished for turn in parse_transcript(growing)] == [False]
    assert [turn.finished for turn in parse_transcript(growing + "## Me\n")] == [True]


def test_gp_nvim_chats_are_read_with_their_model() -> None:
    turns = parse_transcript(GP_NVIM)
    assert [(turn.question, turn.answer) for turn in turns] == [
        ("How do I close it?", "Call `close()`."),
        ("And on error?", "Use `finally`."),
    ]
    assert {(turn.tool, turn.model) for turn in turns} == {("gp.nvim", "gpt-4o")}


def test_gp_nvim_leaves_private_answers_out() -> None:
    text = GP_NVIM + "\n💬: Once more?\n\n🤖: Yes.\n\n🔒: a note to myself\n"
    assert parse_transcript(text)[-1].answer == "Yes."


def test_rules_between_exported_turns_are_not_part_of_them() -> None:
    [turn] = parse_transcript(CURSOR)
    assert (turn.question, turn.answer, turn.tool) == ("How do I close it?", "Call `close()`.", "cursor")


@pytest.mark.parametrize(
    "template",
    [
        "## User\n\n{q}\n\n## Assistant\n\n{a}\n",
        "# You\n{q}\n# ChatGPT\n{a}\n",
        "#### You:\n{q}\n\n#### ChatGPT:\n{a}\n",
        "**You:** {q}\n\n**ChatGPT:** {a}\n",
        "**Human**: {q}\n\n**Claude**: {a}\n",
        "## 👤 User\n\n{q}\n\n## 🤖 Assistant (gpt-4o)\n\n{a}\n",
        "# Title\n\n## System\n\nBe brief.\n\n## User\n\n{q}\n\n## Assistant\n\n{a}\n",
    ],
)
def test_labelled_turns_are_read_in_each_common_shape(template: str) -> None:
    turns = parse_transcript(template.format(q="How deep is it?", a="Eleven kilometres."))
    assert [(turn.question, turn.answer) for turn in turns] == [("How deep is it?", "Eleven kilometres.")]


def test_headings_inside_the_answers_of_a_longer_chat_are_content() -> None:
    chat = "## User\n\na?\n\n## Assistant\n\n## Plan\n\nb\n\n## User\n\nc?\n\n## Assistant\n\nd\n"
    assert [turn.answer for turn in parse_transcript(chat)] == ["## Plan\n\nb", "d"]


def test_equal_questions_are_told_apart_by_their_occurrence() -> None:
    chat = "## User\n\nagain\n\n## Assistant\n\none\n\n## User\n\nagain\n\n## Assistant\n\ntwo\n"
    first, second = parse_transcript(chat)
    assert (first.occurrence, second.occurrence) == (0, 1)
    assert first.key != second.key


def test_a_growing_answer_keeps_its_key() -> None:
    chat = "## User\n\nWhy?\n\n## Assistant\n\nBecause"
    [before] = parse_transcript(chat)
    [after] = parse_transcript(f"{chat} it is so.")
    assert before.key == after.key
    assert before.answer != after.answer


# Round trips: whatever was said, it is read back as it was said.

WORDS = st.text(st.sampled_from("abcxyz ÄÖ日,.!?`*_"), min_size=1, max_size=30).filter(
    lambda text: (
        any(char.isalpha() for char in text) and "```" not in text and not text.lstrip().startswith("**")
    )
)
FENCED = st.sampled_from(
    [
        "```markdown\n## Me\n## User\n# aider chat started at 2026-01-01 10:00:00x\n💬: no\n```",
        "~~~\n## Assistant\n~~~",
    ]
)
SAID = st.lists(WORDS | FENCED, min_size=1, max_size=3).map("\n\n".join).map(str.strip).filter(bool)
CHAT = st.lists(st.tuples(SAID, SAID), min_size=1, max_size=4)


def render_codecompanion(chat: Exchanges) -> str:
    turns = (f"## Me\n\n{question}\n\n## CodeCompanion (ollama)\n\n{answer}\n\n" for question, answer in chat)
    return "".join(turns)


def render_headings(chat: Exchanges) -> str:
    return "".join(f"## User\n\n{question}\n\n## Assistant\n\n{answer}\n\n" for question, answer in chat)


def render_gp(chat: Exchanges) -> str:
    turns = (f"💬:\n{question}\n\n🤖:[Agent]\n{answer}\n\n" for question, answer in chat)
    return "# topic: any\n\n- model: m\n\n---\n\n" + "".join(turns)


@pytest.mark.parametrize("render", [render_codecompanion, render_headings, render_gp])
@given(chat=CHAT)
def test_a_chat_is_read_back_as_it_was_written(render: Callable[[Exchanges], str], chat: Exchanges) -> None:
    turns = parse_transcript(render(chat))
    assert [(turn.question, turn.answer) for turn in turns] == chat
    assert [turn.finished for turn in turns] == [True] * (len(chat) - 1) + [False]


STRUCTURE = [
    "## Me", "## CodeCompanion (x)", "## User", "## Assistant", "**You:** a", "```", "~~~", "#### q", "> t",
    "---", "# aider chat started at 2026-01-01 10:00:00", "# topic: t", "💬: q", "🤖: a", "🔒: p", "text", "",
]  # fmt: skip
MARKED = st.lists(
    st.sampled_from(STRUCTURE) | st.text(max_size=8),
    max_size=25,
).map("\n".join)


@given(MARKED | st.text(max_size=200))
def test_no_text_stops_the_parser_and_every_turn_has_both_sides(text: str) -> None:
    turns = parse_transcript(text)
    assert all(isinstance(turn, Turn) and turn.question and turn.answer for turn in turns)
    assert len({(turn.session, turn.key) for turn in turns}) == len(turns)
