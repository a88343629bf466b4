"""Facts, training and adapters in real Neovims, with a real, tiny model to train."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from neovim_session import Session, end, start
from shipped_command import remanence

import tiny_llama
from remanence.paths import Home

pytestmark = pytest.mark.e2e

FACTS = [fact.adapted for fact in tiny_llama.FACTS[:2]]


@pytest.fixture(params=["wheel", "system"])
def session(
    request: pytest.FixtureRequest,
    editor_environment: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    embedder_folder: Path,
) -> Iterator[Session]:
    """Neovim on a memory of its own in which two facts were said, one of them changed later."""
    home = Home(tmp_path / "learning-home").create()
    (home.models / embedder_folder.name).symlink_to(embedder_folder, target_is_directory=True)
    model = f'[language_models.models.t]\npath = "{tiny_llama.folder().as_posix()}"\n'
    home.settings.write_text(f'[language_models]\nuse = "t"\n{model}')
    monkeypatch.setenv("REMANENCE_HOME", str(home.root))
    session = start(request.param, editor_environment)
    session.lua("require('remanence').setup()")
    session.edit(session.write("a.py", "x = 1\n"))
    for fact, port in [(FACTS[0], "1111"), *((fact, fact.port) for fact in FACTS)]:
        said = f"{fact.service} runs on port {port} now."
        session.answered("capture", {"question": said, "answer": "Noted, it is set."})
    yield session
    end(session)
    remanence(home, "stop")


def shown(session: Session, command: str, name: str, text: str, without: str = "\0") -> list[str]:
    """The buffer of this name once the command shows the one text in it, and not the other."""
    session.nvim.command(command)

    def lines() -> list[str] | None:
        said = "\n".join(session.lines())
        is_there = session.nvim.current.buffer.name.endswith(name)
        return said.splitlines() if is_there and text in said and without not in said else None

    return session.until(lines, f"{text} in {name}")


def settled(session: Session) -> bool:
    """Whether what was said was read and compared."""
    facts = session.answered("facts", {"state": "all"})
    return len(facts["facts"]) == 3 and not facts["undecided"]


def test_facts_and_decisions_are_shown_and_a_decision_is_taken_back(session: Session) -> None:
    session.until(lambda: settled(session), "three facts")
    facts = "\n".join(shown(session, "RemanenceFacts", "remanence://facts", " to "))
    assert FACTS[1].port in facts
    shown(session, "RemanenceFacts 1111", "remanence://facts", "1111", without=FACTS[1].service)
    shown(session, "RemanenceDecisions", "remanence://decisions", "update, done")
    undone = shown(session, "RemanenceDecisions undo 1", "remanence://decisions", "update, undone")
    assert any("1111" in line for line in undone)
    session.nvim.command("RemanenceDecisions forget 1")
    session.notified("undo or redo")


def test_a_run_is_planned_agreed_to_and_cancelled(session: Session) -> None:
    session.until(lambda: settled(session), "three facts")
    session.lua("vim.ui.select = function(items, _, choose) choose(items[2]) end")
    plan = "\n".join(shown(session, "RemanenceTrain", "remanence://training", "Learns 2 facts"))
    assert "by the recipe cpu-tiny" in plan
    assert session.answered("jobs")["jobs"] == []
    session.lua("vim.ui.select = function(items, _, choose) choose(items[1]) end")
    session.nvim.command("RemanenceTrain")
    session.notified("started as job ")
    (job,) = session.answered("jobs")["jobs"]
    session.nvim.command("RemanenceTrain!")
    session.notified("under way already")
    session.nvim.command(f"RemanenceCancel {job['jobId']}")
    session.notified(f"train {job['jobId']}: ")

    def state() -> bool:
        return session.answered("jobs")["jobs"][0]["state"] == "cancelled"

    session.until(state, "cancelled")
    assert "There are none" in "\n".join(session_adapters(session))
    session.nvim.command("RemanenceAdapters activate nothing")
    session.notified("no adapter 'nothing'")


def session_adapters(session: Session) -> list[str]:
    session.nvim.command("RemanenceAdapters")
    return session.shows("remanence://adapters")
