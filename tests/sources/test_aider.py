from __future__ import annotations

from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence.memory.exchange import Exchange, Status
from remanence.sources.aider import AIDER, locate, read

START = "2026-03-01 09:00:00"


def user(text: str) -> str:
    """As aider/io.py logs what the user typed."""
    lines = "  \n#### ".join(text.split("\n"))
    return f"\n#### {lines}".rstrip() + "  \n"


def model(text: str) -> str:
    return f"\n{text.strip()}\n\n"


def tool(text: str) -> str:
    return f"> {text.strip()}  \n"


def session(*said: str, start: str = START) -> str:
    return f"\n# aider chat started at {start}\n\n" + "".join(said)


def history(tmp_path: Path, *sessions: str, name: str = ".aider.chat.history.md") -> Path:
    path = tmp_path / name
    path.write_text("".join(sessions), "utf-8")
    return path


def exchanges(path: Path) -> list[Exchange]:
    items = list(read(path))
    assert all(isinstance(item, Exchange) for item in items)
    return [item for item in items if isinstance(item, Exchange)]


def test_a_question_and_its_answer_are_read_with_model_time_and_repository(tmp_path: Path) -> None:
    path = history(
        tmp_path,
        session(
            tool("Aider v0.90.0"),
            tool("Main model: vendor/model-4 with diff edit format, prompt cache"),
            user("How do I reverse\na list?"),
            model("Call `reverse()` on it, or slice it with a step of -1."),
            tool("Tokens: 1k sent, 20 received."),
        ),
    )

    [exchange] = exchanges(path)

    assert exchange.question == "How do I reverse\na list?"
    assert exchange.answer == "Call `reverse()` on it, or slice it with a step of -1."
    assert exchange.model == "vendor/model-4"
    assert exchange.asked_at == int(datetime.fromisoformat(START).timestamp() * 1000)
    assert exchange.workspace == str(tmp_path)
    assert (exchange.tool, exchange.conversation_id, exchange.status) == ("aider", START, Status.COMPLETE)
    assert (exchange.turn_key, exchange.occurrence) == (None, 0)


def test_equal_questions_of_a_session_are_told_apart_by_their_occurrence(tmp_path: Path) -> None:
    said = [user("hi"), model("Hello."), user("hi "), model("Hello again.")]
    path = history(tmp_path, session(*said), session(user("hi"), model("Ahoy."), start="2026-03-02 09:00:00"))

    read_ = exchanges(path)

    assert [(it.conversation_id, it.occurrence) for it in read_] == [
        (START, 0),
        (START, 1),
        ("2026-03-02 09:00:00", 0),
    ]
    assert read_[0].asked_at is not None
    assert read_[1].asked_at == read_[0].asked_at + 1


def test_a_history_that_grows_keeps_the_names_of_its_turns(tmp_path: Path) -> None:
    said = [user("hi"), model("Hello."), user("hi"), model("Again."), user("bye"), model("Bye."), user("hi")]

    def names(count: int) -> list[tuple[str, int]]:
        path = history(tmp_path, session(*said[:count]))
        return [(it.question, it.occurrence) for it in exchanges(path)]

    assert names(7) == [("hi", 0), ("hi", 1), ("bye", 0), ("hi", 2)]
    assert all(names(count) == names(7)[: count // 2] for count in (2, 4, 6))


def test_commands_are_dropped_but_those_that_ask_keep_their_question(tmp_path: Path) -> None:
    path = history(
        tmp_path,
        session(
            user("/add notes.py"),
            tool("Added notes.py to the chat"),
            user("!ls"),
            user("/run pytest"),
            model("This is what a command left behind."),
            user("/ask why is it slow?"),
            user(" why is it slow?"),
            model("It sorts the list on every call."),
            user("<blank>"),
        ),
    )

    [exchange] = exchanges(path)

    assert (exchange.question, exchange.tags) == ("why is it slow?", ("cmd:ask",))
    assert exchange.answer == "It sorts the list on every call."


def test_a_question_without_an_answer_is_unanswered(tmp_path: Path) -> None:
    path = history(
        tmp_path, session(user("first"), tool("^C KeyboardInterrupt"), user("second"), model("Yes."))
    )

    assert [(it.question, it.status) for it in exchanges(path)] == [
        ("first", Status.UNANSWERED),
        ("second", Status.COMPLETE),
    ]


def test_headings_and_quotations_in_an_answer_stay_in_it(tmp_path: Path) -> None:
    answer = "Two parts:\n\n#### First\n\n> as the manual says\n> at length\n\n#### Second\n\nDone with both."
    path = history(tmp_path, session(user("explain"), model(answer), tool("Tokens: 1k sent.")))

    [exchange] = exchanges(path)

    assert exchange.answer == answer


def test_output_of_several_lines_is_not_the_answer(tmp_path: Path) -> None:
    path = history(
        tmp_path,
        session(
            user("hi"),
            tool("Tokens: 1k sent, 2 received.\nCost: $0.01 message,\n$0.01 session."),
            user("fix it"),
            model("I changed the bound of the loop in `run()`."),
            tool("Traceback:\n  boom\nend of it"),
        ),
    )

    assert [it.answer for it in exchanges(path)] == ["", "I changed the bound of the loop in `run()`."]


def test_the_last_of_several_tries_is_the_answer_unless_it_says_next_to_nothing(tmp_path: Path) -> None:
    long = "I corrected the search block so that it matches the file."
    retried = session(
        user("do it"), model("First try, which failed to apply."), tool("did not apply"), model(long)
    )
    short = session(
        user("do it"),
        model("Here is the change."),
        tool("Edit? y"),
        model("Done."),
        start="2026-03-02 09:00:00",
    )

    first, second = exchanges(history(tmp_path, retried, short))

    assert first.answer == long
    assert second.answer == "Here is the change.\n\nDone."


def test_an_edit_without_a_word_is_told_with_what_was_said_before_it(tmp_path: Path) -> None:
    plan = "Let the loop end one row earlier."
    change = "<<<<<<< SEARCH\nfor row in rows:\n=======\nfor row in rows[:-1]:\n>>>>>>> REPLACE"
    edit = f"app/rows.py\n```python\n{change}\n```"
    path = history(tmp_path, session(user("plan it"), model(plan), tool("Edit the files? y"), model(edit)))

    assert [it.answer for it in exchanges(path)] == [f"{plan}\n\n{edit}"]


def test_fences_decide_where_an_editor_removed_trailing_spaces(tmp_path: Path) -> None:
    text = session(
        tool("Model: demo-7b with whole edit format"),
        user("show me markdown"),
        model("Here:\n\n```md\n> quoted\n#### heading\n```\nThat is all."),
        tool("Tokens: 1k"),
    )
    path = history(tmp_path, "\n".join(line.rstrip() for line in text.split("\n")))

    [exchange] = exchanges(path)

    assert exchange.answer == "Here:\n\n```md\n> quoted\n#### heading\n```\nThat is all."
    assert exchange.model == "demo-7b"


def test_reasoning_is_not_the_answer(tmp_path: Path) -> None:
    tag = "thinking-content-" + "0a" * 16
    raw = f"<{tag}>\nLet me see.\n</{tag}>\n\nUse a set."
    ruled = "--------------\n► **THINKING**\n\nHm.\n\n------------\n► **ANSWER**\n\nUse a dict."
    path = history(tmp_path, session(user("raw"), model(raw), user("ruled"), model(ruled)))

    assert [it.answer for it in exchanges(path)] == ["Use a set.", "Use a dict."]


def test_what_stands_before_the_first_session_belongs_to_none(tmp_path: Path) -> None:
    path = history(tmp_path, user("lost"), model("gone"), session(user("kept"), model("here")))

    assert [it.question for it in exchanges(path)] == ["kept"]


def test_the_file_the_environment_names_and_the_home_folders_are_located(tmp_path: Path) -> None:
    named, own = tmp_path / "elsewhere.md", tmp_path / ".aider.chat.history.md"
    assert locate({"AIDER_CHAT_HISTORY_FILE": str(named)}, tmp_path) == []
    named.touch()
    own.touch()
    assert locate({"AIDER_CHAT_HISTORY_FILE": str(named)}, tmp_path) == [named, own]


@pytest.mark.parametrize(
    ("name", "head", "recognised"),
    [
        (".aider.chat.history.md", b"", True),
        ("history.md", b"\n# aider chat started at 2026-03-01 09:00:00\n", True),
        ("notes.md", b"The header is `# aider chat started at ...`.", False),
    ],
)
def test_a_history_is_recognised_by_its_name_or_header(name: str, head: bytes, recognised: bool) -> None:
    assert AIDER.recognises(Path(name), head) is recognised


_WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=12
)
_LINE = st.one_of(
    _WORDS, st.sampled_from(["> quoted", "#### heading", "```", "```python", "", "# title", "- item"])
).map(str.rstrip)
_ANSWER = st.lists(_LINE, min_size=1, max_size=8).map("\n".join).map(str.strip).filter(bool)
_QUESTION = (
    st.lists(_WORDS.map(str.strip), min_size=1, max_size=4)
    .map("\n".join)
    .map(str.strip)
    .filter(lambda text: bool(text) and not text.startswith(("/", "!", "<blank>")))
)
_OUTPUT = st.lists(_WORDS.map(str.strip).filter(bool), min_size=1, max_size=3).map("\n".join)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(_QUESTION, _ANSWER, st.lists(_OUTPUT, max_size=2)), min_size=1, max_size=5))
def test_what_aider_logs_is_read_back(turns: list[tuple[str, str, list[str]]]) -> None:
    said = [
        part
        for question, answer, outputs in turns
        for part in (user(question), model(answer), *(tool(output) for output in outputs))
    ]
    with TemporaryDirectory() as folder:
        path = history(Path(folder), session(tool("Aider v0.90.0"), *said))
        found = [(it.question, it.answer) for it in exchanges(path)]

    def bare(text: str) -> str:
        return "\n".join(line.rstrip() for line in text.split("\n"))

    assert [(bare(question), answer) for question, answer in found] == [
        (bare(question), answer) for question, answer, _ in turns
    ]
