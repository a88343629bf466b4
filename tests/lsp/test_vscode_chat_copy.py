"""What VS Code's "Copy All" gives of a Copilot chat, read back as exchanges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.lsp.transcripts import parse_transcript

COPY = """\
octo-cat: How do I close the socket?

It leaks: see below.

GitHub Copilot: ```python
with closing(sock):
    ...

octo-cat: not a turn
GitHub Copilot: nor this
```

That closes it.

octo-cat: And on error?

GitHub Copilot: Also then.
"""


def test_a_copied_chat_is_read_with_its_paragraphs_and_code() -> None:
    first, last = parse_transcript(COPY)
    assert first.question == "How do I close the socket?\n\nIt leaks: see below."
    assert first.answer.startswith("```python\nwith closing(sock):\n    ...\n\nocto-cat: not a turn\n")
    assert first.answer.endswith("\n```\n\nThat closes it.")
    assert (last.question, last.answer) == ("And on error?", "Also then.")
    assert [(turn.tool, turn.finished) for turn in (first, last)] == [("copilot", True), ("copilot", False)]


def test_a_question_without_an_answer_yet_is_no_exchange() -> None:
    turns = parse_transcript(f"{COPY}\nocto-cat: One more?")
    assert [turn.question for turn in turns][1:] == ["And on error?"]
    assert turns[-1].finished


@pytest.mark.parametrize(
    "text",
    [
        "Note: tools compared\n\nGitHub Copilot: an assistant.\n",
        "a: 1\n\nGitHub Copilot: 2\n\nGitHub Copilot: 3\n\na: 4\n\nGitHub Copilot: 5\n",
        "a: 1\n\na: 2\n\nGitHub Copilot: 3\n\na: 4\n\nGitHub Copilot: 5\n",
        "a: 1\nGitHub Copilot: 2\na: 3\nGitHub Copilot: 4\n",
        "# Minutes\n\na: 1\n\nGitHub Copilot: 2\n\na: 3\n\nGitHub Copilot: 4\n",
        "two words: 1\n\nGitHub Copilot: 2\n\ntwo words: 3\n\nGitHub Copilot: 4\n",
        "GitHub Copilot: 1\n\na: 2\n\nGitHub Copilot: 3\n\na: 4\n",
    ],
)
def test_what_may_be_another_document_is_left_alone(text: str) -> None:
    assert parse_transcript(text) == []


SAID = (
    st.lists(
        st.text("abc .,!?`:", min_size=1, max_size=20) | st.just("```\nme: x\n\nme: y\n```"),
        min_size=1,
        max_size=3,
    )
    .map("\n\n".join)
    .map(str.strip)
    .filter(lambda said: any(char.isalpha() for char in said) and said.count("```") % 2 == 0)
)


@given(st.lists(st.tuples(SAID, SAID), min_size=2, max_size=4))
def test_whatever_was_said_is_read_back_as_it_was_said(chat: list[tuple[str, str]]) -> None:
    text = "\n\n".join(f"me: {question}\n\nGitHub Copilot: {answer}" for question, answer in chat)
    assert [(turn.question, turn.answer) for turn in parse_transcript(text)] == chat
