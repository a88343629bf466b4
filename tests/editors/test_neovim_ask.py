"""Questions, code actions and proposals in real Neovims: without a model, where memory alone answers, and
with one that writes slowly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from neovim_session import Session, accept, end, menu, start
from shipped_command import remanence

from remanence.paths import Home
from slow_endpoint import SlowEndpoint, slow_endpoint

pytestmark = pytest.mark.e2e

CODE = "def parse_invoice_total(text):\n    return Decimal(text)\n"
BACKOFF = "How do I retry a websocket connection with exponential backoff?"


@pytest.fixture(params=["wheel", "system"])
def session(request: pytest.FixtureRequest, editor_environment: Path) -> Iterator[Session]:
    session = start(request.param, editor_environment)
    session.lua("require('remanence').setup()")
    yield session
    end(session)


@pytest.fixture
def slow(
    editor_environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, embedder_folder: Path
) -> Iterator[SlowEndpoint]:
    """A memory of its own whose language model is the slow one."""
    home = Home(tmp_path / "slow-home").create()
    (home.models / embedder_folder.name).symlink_to(embedder_folder, target_is_directory=True)
    monkeypatch.setenv("REMANENCE_HOME", str(home.root))
    with slow_endpoint() as endpoint:
        model = f'[language_models.models.slow]\nurl = "{endpoint.url}"\nmodel = "slow"\n'
        home.settings.write_text(f'[language_models]\nuse = "slow"\n{model}')
        yield endpoint
        remanence(home, "stop")


def answered(session: Session, text: str) -> list[str]:
    """The lines of the answer's buffer once `text` is in it."""
    session.until(
        lambda: (
            session.nvim.current.buffer.name.endswith("remanence://answer")
            and text in "\n".join(session.lines())
        ),
        f"{text} in the answer",
    )
    return session.lines()


def choose(session: Session, title: str) -> None:
    """Open Neovim's own menu of code actions and take the one of this title."""
    session.lua(
        """local title = ...
        vim.ui.select = function(items, opts, choose)
          for index, item in ipairs(items) do
            if opts.format_item(item):find(title, 1, true) then return choose(item, index) end
          end
          error(title .. " is not among " .. vim.inspect(items))
        end
        vim.lsp.buf.code_action()""",
        title,
    )


def test_an_answer_opens_in_a_buffer_that_cannot_be_changed(session: Session) -> None:
    session.edit(session.write("invoice.py", CODE))
    session.nvim.command(f"RemanenceAsk {BACKOFF}")

    lines = answered(session, "cap it at a minute")
    assert lines[0] == f"# {BACKOFF}"
    assert any("no language model is set" in line for line in lines)
    assert session.lua("return {vim.bo.filetype, vim.bo.modifiable, vim.bo.modified}") == [
        "markdown",
        False,
        False,
    ]


def test_a_question_can_be_asked_about_lines_before_any_file_is_on_disk(session: Session) -> None:
    session.nvim.command("enew")
    session.nvim.current.buffer[:] = ["retry websocket connection exponential backoff ```"]
    session.nvim.command("1RemanenceAsk what was said about")

    assert answered(session, "cap it at a minute")[0] == "# what was said about"


def test_the_next_question_takes_the_place_of_the_answer(session: Session) -> None:
    session.edit(session.write("invoice.py", CODE))
    session.nvim.command(f"RemanenceAsk {BACKOFF}")
    answered(session, "cap it at a minute")
    session.nvim.command("RemanenceAsk Why does parse_invoice_total raise decimal.InvalidOperation?")

    lines = answered(session, "Decimal:")
    assert lines[0] == "# Why does parse_invoice_total raise decimal.InvalidOperation?"


def test_a_refused_question_says_why_in_its_buffer(session: Session) -> None:
    session.edit(session.write("invoice.py", CODE))
    session.lua("require('remanence.ask').ask({ prompt = 'why', tokenBudget = 'much' })")

    assert "tokenBudget" in "\n".join(answered(session, "*tokenBudget"))


def test_a_code_action_asks_into_the_buffer(session: Session) -> None:
    session.edit(session.write("invoice.py", CODE + f"#? {BACKOFF}\n"))
    session.nvim.current.window.cursor = (3, len(BACKOFF))
    choose(session, "Ask with memory")

    assert answered(session, "cap it at a minute")[0] == f"# {BACKOFF}"


def test_a_symbol_is_explained(session: Session) -> None:
    session.edit(session.write("invoice.py", CODE))
    session.nvim.current.window.cursor = (1, 8)
    choose(session, "Explain with memory")

    assert answered(session, "Decimal:")[0].startswith("# Explain `parse_invoice_total`")


def test_a_selection_is_remembered(session: Session) -> None:
    code = "# Which bolt holds the capstan?\nBOLT = 'M12'  # capstan\n"
    session.edit(session.write(f"{session.nvim.channel_id}.py", code))
    session.nvim.input("ggVj")
    session.until(lambda: session.lua("return vim.fn.mode()") == "V", "Visual mode")
    if session.lua("return vim.fn.has('nvim-0.8') == 1"):
        choose(session, "Remember this")
    else:  # it takes a selection only once the visual mode has ended
        session.nvim.input("<Esc>")
        session.lua("vim.lsp.buf.code_action = vim.lsp.buf.range_code_action")
        choose(session, "Remember this")

    def found() -> list[str]:
        recalled = session.answered("recall", {"query": "capstan bolt M12"})["memories"]
        return [each["answer"] for each in recalled if each["question"] == "Which bolt holds the capstan?"]

    [answer] = session.until(found, "the memory")
    assert "BOLT = 'M12'" in answer


def test_the_models_are_listed(session: Session) -> None:
    session.nvim.command("RemanenceModels")

    assert any("None is set" in line for line in session.shows("remanence://models"))


def test_a_proposal_is_given_to_a_client_that_asks_for_one(editor_environment: Path) -> None:
    """0.11 does not show proposals; that the server gives it one is what can be seen here."""
    session = start("wheel", editor_environment)
    session.lua(
        """local capabilities = vim.lsp.protocol.make_client_capabilities()
        capabilities.textDocument.inlineCompletion = { dynamicRegistration = false }
        require('remanence').setup({ capabilities = capabilities })"""
    )
    session.edit(session.write("new.py", "def parse_invoice_total(text):\n    Decimal(text.re\n"))
    session.answered("status")
    [item] = session.lua(
        """local client = require("remanence.client").running()[1]
        local params = {
          textDocument = vim.lsp.util.make_text_document_params(),
          position = { line = 1, character = 19 },
          context = { triggerKind = 1 },
        }
        local answer = client:request_sync("textDocument/inlineCompletion", params, 20000, 0)
        return answer.result.items"""
    )
    assert item["insertText"] == "place(',', ''))"
    end(session)


@pytest.mark.parametrize("version", ["wheel", "system"])
def test_an_answer_streams_and_is_ended_by_a_key(
    version: str, slow: SlowEndpoint, editor_environment: Path
) -> None:
    session = start(version, editor_environment)
    session.lua("require('remanence').setup()")
    session.edit(session.write("invoice.py", CODE))
    session.nvim.command("RemanenceAsk tick for ever")

    answered(session, "tick tick tick")
    assert slow.listening == 1
    session.nvim.input("<C-c>")
    lines = answered(session, "*cancelled*")
    session.until(lambda: slow.listening == 0, "the model ended")
    assert session.lines() == lines
    end(session)


def test_the_models_item_of_the_menu_writes_below_the_prompt(
    slow: SlowEndpoint, editor_environment: Path
) -> None:
    session = start("wheel", editor_environment)
    session.lua(
        """require('remanence').setup({
          init_options = { completion = { model = true }, ask = { maxTokens = 5 } },
        })"""
    )
    session.edit(session.write("invoice.py", "#? write ticks\n" + CODE))
    session.nvim.command("set completeopt=menuone")  # else a menu of one item is not shown
    accept(session, menu(session, "ggA"), "Answer of the language model")

    session.until(lambda: len(session.lines()) > 3, "the answer")
    assert session.lines() == ["#? write ticks", "# tick tick tick tick tick", *CODE.splitlines()]
    end(session)
