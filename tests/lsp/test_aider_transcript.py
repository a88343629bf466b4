"""aider's history file, as it grows in the editor."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from remanence.lsp.transcripts import parse_transcript

HISTORY = """\

# aider chat started at 2026-01-02 10:00:00

> Aider v0.86.0
> Main model: qwen2.5-coder with diff edit format

#### /add app.py

> Added app.py to the chat

#### how do I close it?
#### it leaks on timeouts

Use a `with` block:

app.py
```python
<<<<<<< SEARCH
#### not a question
> not the tool
=======
with closing(sock): ...
>>>>>>> REPLACE
```

> Tokens: 2.1k sent, 300 received.
> Applied edit to app.py

# aider chat started at 2026-01-03 11:00:00

#### /ask how do I close it?

Call `close()`
"""


def test_user_lines_are_questions_and_tool_lines_are_neither() -> None:
    first, second = parse_transcript(HISTORY)
    assert first.question == "how do I close it?\nit leaks on timeouts"
    assert first.answer.startswith("Use a `with` block:\n\napp.py\n```python")
    assert "#### not a question\n> not the tool" in first.answer
    assert first.answer.endswith("```")
    assert second.question == "how do I close it?"


def test_each_start_of_aider_is_a_session_with_its_time_and_model() -> None:
    first, second = parse_transcript(HISTORY)
    assert (first.session, second.session) == ("2026-01-02 10:00:00", "2026-01-03 11:00:00")
    assert (first.model, second.model) == ("qwen2.5-coder", None)
    assert first.asked_at is not None
    assert second.asked_at is not None
    assert second.asked_at - first.asked_at == 25 * 3_600_000


def test_an_answer_is_finished_once_the_tool_or_another_question_follows() -> None:
    assert [turn.finished for turn in parse_transcript(HISTORY)] == [True, False]
    assert [turn.finished for turn in parse_transcript(f"{HISTORY}\n> Tokens: 1k sent\n")] == [True, True]
    assert [turn.finished for turn in parse_transcript(f"{HISTORY}\n#### next\n")] == [True, True]


def test_commands_of_aider_are_no_questions() -> None:
    text = (
        "# aider chat started at 2026-01-02 10:00:00\n\n#### /run make\n\nsome output\n\n#### why?\n\nSo.\n"
    )
    assert [turn.question for turn in parse_transcript(text)] == ["why?"]


def test_of_several_attempts_the_last_that_says_something_is_the_answer() -> None:
    text = (
        "# aider chat started at 2026-01-02 10:00:00\n\n#### fix it\n\nFirst try.\n\n"
        "> The LLM did not conform to the edit format.\n\nSecond try.\n\n> Applied edit to a.py\n"
    )
    assert [turn.answer for turn in parse_transcript(text)] == ["Second try."]


def test_thinking_is_left_out() -> None:
    tag = "thinking-content-" + "0" * 32
    text = f"# aider chat started at 2026-01-02 10:00:00\n\n#### q?\n\n<{tag}>\nhm\n</{tag}>\n\nSo.\n"
    assert [turn.answer for turn in parse_transcript(text)] == ["So."]


SAID = st.text(st.sampled_from("abc xyz.,?!é"), min_size=1, max_size=30).map(str.strip).filter(bool)


@given(st.lists(st.tuples(st.lists(SAID, min_size=1, max_size=3), SAID), min_size=1, max_size=4))
def test_a_session_is_read_back_as_aider_writes_it(chat: list[tuple[list[str], str]]) -> None:
    text = "\n# aider chat started at 2026-01-02 10:00:00\n\n> Model: m\n\n"
    for question, answer in chat:
        text += "".join(f"#### {line}  \n" for line in question) + f"\n{answer}\n\n> Tokens: 1k sent\n\n"
    turns = parse_transcript(text)
    assert [(turn.question, turn.answer) for turn in turns] == [("\n".join(q), a) for q, a in chat]
    assert all(turn.finished and turn.model == "m" for turn in turns)
