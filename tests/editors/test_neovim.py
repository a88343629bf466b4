"""The shipped Neovim folder in real Neovims (0.11; the system's, 0.7 on Debian 12) and the real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from neovim_session import RUNTIME, Session, accept, end, menu, start

from remanence.lsp.options import Options

pytestmark = pytest.mark.e2e

CODE = "def parse_invoice_total(text):\n    return Decimal(text)\n"
INVOICE = "Why does parse_invoice_total raise decimal.InvalidOperation?"
LIST_OF_ROOTS = """local roots = {}
for _, client in ipairs(require("remanence.client").running()) do
  table.insert(roots, client.config.root_dir or "none")
end
return roots"""


@pytest.fixture(params=["wheel", "system"])
def bare(request: pytest.FixtureRequest, editor_environment: Path) -> Iterator[Session]:
    """Neovim before setup()."""
    session = start(request.param, editor_environment)
    yield session
    end(session)


@pytest.fixture
def session(bare: Session) -> Session:
    """Neovim after setup()."""
    bare.lua("require('remanence').setup()")
    return bare


def listed(session: Session, query: str) -> list[str]:
    """The quickfix window's lines for a query."""
    session.nvim.command(f"RemanenceRecall {query}")
    session.until(lambda: session.lua("return vim.bo.buftype") == "quickfix", "the quickfix window")
    return session.lines()


def test_a_file_is_attached_with_the_root_of_its_project(session: Session) -> None:
    session.edit(session.write("invoice.py", CODE))
    session.edit(session.write("other.py", CODE))

    assert session.lua(LIST_OF_ROOTS) == [str(session.project)]


def test_two_projects_have_a_client_each(session: Session, tmp_path: Path) -> None:
    (tmp_path / "second" / ".git").mkdir(parents=True)
    elsewhere = tmp_path / "second" / "b.py"
    elsewhere.write_text(CODE)

    session.edit(session.write("invoice.py", CODE))
    session.edit(elsewhere)

    assert sorted(session.lua(LIST_OF_ROOTS)) == [str(session.project), str(tmp_path / "second")]


def test_files_that_were_open_before_setup_are_attached(bare: Session) -> None:
    bare.nvim.command(f"edit {bare.write('invoice.py', CODE)}")
    bare.lua("require('remanence').setup()")

    bare.until(lambda: bare.lua("return vim.lsp.buf_is_attached(0, 1)"), "attached")


def test_views_that_are_no_files_start_no_server(session: Session) -> None:
    session.nvim.command("edit plugin://view")
    session.nvim.command("set filetype=python")
    session.nvim.command("enew | set buftype=nofile filetype=markdown")
    session.edit(session.write("invoice.py", CODE))

    assert session.lua(LIST_OF_ROOTS) == [str(session.project)]


def test_hover_shows_a_memory_in_a_floating_window(session: Session) -> None:
    session.edit(session.write("invoice.py", CODE))
    session.answered("status")
    session.nvim.current.window.cursor = (1, 8)
    session.lua("vim.lsp.buf.hover()")

    shown = session.until(session.floating_text, "a floating window")
    assert "Why does parse_invoice_total raise decimal.InvalidOperation?" in shown


def test_an_earlier_question_completes_a_marked_comment_as_it_is_typed(session: Session) -> None:
    session.edit(session.write("invoice.py", CODE))
    session.lua(
        """vim.ui.select = function(items, opts, choose)
          local names = vim.tbl_map(opts.format_item, items)
          for index, name in ipairs(names) do
            if name:find("InvalidOperation") then return choose(items[index], index) end
          end
          error("not among " .. vim.inspect(names))
        end"""
    )
    session.answered("status")  # completion and hover never wait for an engine that is still starting
    session.nvim.input("Go#? why does parse_invoice_tot<Cmd>RemanenceComplete<CR>")

    completed = "    #? Why does parse_invoice_total raise decimal.InvalidOperation?"
    session.until(lambda: session.lines()[2] == completed, "the question in place of what was typed")
    session.nvim.input(" again<Esc>")
    session.until(lambda: session.lines()[2] == completed + " again", "the cursor behind it")
    assert session.lines()[:2] == CODE.splitlines()


def test_the_prompt_with_memory_becomes_comment_lines(session: Session) -> None:
    session.edit(session.write("invoice.py", CODE + "#? why does parse_invoice_total fail\n"))
    session.lua(
        """vim.ui.select = function(items, opts, choose)
          for _, item in ipairs(items) do
            if item.label == "Prompt with memory" then return choose(item) end
          end
        end"""
    )
    session.answered("status")
    session.nvim.input("GA<Cmd>RemanenceComplete<CR><Esc>")

    session.until(lambda: len(session.lines()) > 3, "the memories")
    lines = session.lines()
    assert lines[-1] == "#? why does parse_invoice_total fail"
    assert all(line.startswith("#") for line in lines[2:])
    assert any("thousands separator" in line for line in lines)


def test_the_menu_inserts_a_prompt_with_memory_whole(session: Session) -> None:
    prompt = "    #? why does parse_invoice_total fail"
    session.edit(session.write("invoice.py", CODE + prompt + "\n"))
    labels = menu(session, "GA")
    accept(session, labels, "Prompt with memory")

    session.until(lambda: len(session.lines()) > 3, "the memories")
    lines = session.lines()
    assert lines[-1] == prompt
    assert all(line.startswith("    #") for line in lines[2:])
    assert any("thousands separator" in line for line in lines)
    assert any("Decimal(text.replace(',', ''))" in line for line in lines)


def test_the_menu_inserts_an_earlier_question_and_code_too(session: Session) -> None:
    session.edit(session.write("invoice.py", CODE))
    labels = menu(session, "Go#? why does parse_invoice_tot")
    accept(session, labels, "Why does parse_invoice_total")

    session.until(lambda: session.lines()[2] == f"    #? {INVOICE}", "the question")
    session.nvim.input("<Esc>")
    labels = menu(session, "A")
    accept(session, labels, "Decimal(")
    session.until(lambda: len(session.lines()) == 4, "the code")
    assert session.lines()[2:] == [f"    #? {INVOICE}", "    Decimal(text.replace(',', ''))"]


def test_the_menu_replaces_a_prompt_of_several_lines(session: Session) -> None:
    session.edit(session.write("invoice.py", CODE + "#? why does parse_invoice_total\n# fail here\n"))
    accept(session, menu(session, "GA"), "Why does parse_invoice_total")

    session.until(lambda: session.lines()[2:] == [f"#? {INVOICE}"], "the question in place of both lines")


def test_typing_on_closes_the_menu_and_inserts_nothing_else(session: Session) -> None:
    session.edit(session.write("invoice.py", CODE))
    menu(session, "Go#? why does parse_invoice_total")
    session.nvim.input(" fail<Esc>")

    session.until(lambda: session.lua("return vim.fn.mode()") == "n", "Normal mode")
    assert session.lines() == [*CODE.splitlines(), "    #? why does parse_invoice_total fail"]


def test_the_quickfix_list_opens_a_memory_read_only(session: Session) -> None:
    session.edit(session.write("invoice.py", CODE))
    lines = listed(session, "decimal InvalidOperation thousands separator")
    assert lines[0].startswith("2026-03-02 · aider · qwen2.5-coder  Why does parse_invoice_total")

    session.nvim.input("<CR>")
    session.until(lambda: session.lua("return vim.b.remanence_id"), "the memory's buffer")
    assert "Decimal(text.replace(',', ''))" in session.lines()
    assert session.lua("return {vim.bo.filetype, vim.bo.modifiable, vim.bo.modeline}") == [
        "markdown",
        False,
        False,
    ]


def test_a_captured_range_is_recalled_at_once_with_its_project(session: Session) -> None:
    answer = f"Use zstandard with a dictionary\nas {session.project} does."  # each Neovim's own
    session.edit(session.write("answer.md", answer + "\n"))
    session.nvim.command("1,2RemanenceCapture How should the telemetry blobs be compressed?")
    session.notified("stored")

    assert "telemetry blobs" in listed(session, "compress telemetry blobs zstandard")[0]
    request = {"query": "telemetry blobs zstandard", "workspace": str(session.project)}
    found = session.answered("recall", request)["memories"][0]
    assert found["answer"] == answer
    assert found["workspace"] == str(session.project)
    assert found["uri"] == (session.project / "answer.md").as_uri()


def test_commands_work_before_any_file_is_open(session: Session) -> None:
    lines = listed(session, "websocket retry exponential backoff")

    assert "exponential backoff" in lines[0]
    assert session.lua(LIST_OF_ROOTS) == [str(session.project)]


def test_enrichment_replaces_the_range(session: Session) -> None:
    session.edit(
        session.write("prompt.md", "before\nWhy does parse_invoice_total raise InvalidOperation?\nafter\n")
    )
    session.nvim.command("2RemanenceEnrich")
    session.notified("used")

    lines = session.lines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "Why does parse_invoice_total raise InvalidOperation?" in lines[1:-1]
    assert any("thousands separator" in line for line in lines)


def test_enrichment_leaves_text_alone_that_changed_meanwhile(session: Session) -> None:
    session.edit(session.write("prompt.md", "Why does parse_invoice_total raise InvalidOperation?\n"))
    session.lua("vim.cmd('1RemanenceEnrich'); vim.fn.setline(1, 'typed on')")
    session.notified("left alone")

    assert any("thousands separator" in line for line in session.shows("remanence://prompt"))
    assert session.lua("return vim.fn.getbufline('prompt.md', 1, '$')") == ["typed on"]


def test_a_given_prompt_is_enriched_into_a_buffer_and_a_register(session: Session) -> None:
    session.edit(session.write("invoice.py", CODE))
    session.nvim.command("RemanenceEnrich Why does parse_invoice_total raise InvalidOperation?")

    shown = "\n".join(session.shows("remanence://prompt"))
    assert "thousands separator" in shown
    assert session.lua("""return vim.fn.getreg('"')""") == shown


def test_a_forgotten_memory_leaves_every_view(session: Session) -> None:
    session.edit(session.write("answer.md", f"The toy rocket starts in {session.project}.\n"))
    session.nvim.command("1RemanenceCapture What launches the toy rocket?")
    session.notified("stored")
    listed(session, "where the toy rocket starts")
    session.nvim.input("<CR>")
    memory = session.until(lambda: session.lua("return vim.b.remanence_id"), "the memory's buffer")

    session.nvim.command("RemanenceForget!")
    session.notified("1 memory forgotten")

    assert session.lua("return vim.fn.bufexists('remanence://memory/' .. ...)", memory) == 0
    assert "rocket" not in json.dumps(session.lua("return vim.fn.getqflist()"))
    session.nvim.command("RemanenceRecall where the toy rocket starts")
    session.until(
        lambda: (
            "Remanence: nothing remembered about that" in session.notices()
            or all("rocket" not in entry["text"] for entry in session.lua("return vim.fn.getqflist()"))
        ),
        "the rocket forgotten",
    )


def test_an_import_shows_among_the_jobs(session: Session, tmp_path: Path) -> None:
    exchange = {"question": "What is the airspeed of a swallow?", "answer": "About 11 m/s.", "source": "demo"}
    file = tmp_path / "demo.jsonl"
    file.write_text(json.dumps(exchange) + "\n")
    session.edit(session.write("invoice.py", CODE))

    session.nvim.command(f"RemanenceImport {file}")
    job = session.notified("started as job").split()[4].rstrip(";")

    def jobs() -> str:
        session.nvim.command("RemanenceJobs")
        return "\n".join(session.shows("remanence://jobs"))

    session.until(lambda: f"import {job}: done, 100 %" in jobs(), "the import done")
    assert "swallow" in listed(session, "airspeed of a swallow")[0]


def test_status_tells_what_is_remembered(session: Session) -> None:
    session.nvim.command("RemanenceStatus")

    lines = session.shows("remanence://status")
    memories = next(line for line in lines if line.startswith("- memories: "))
    assert int(memories.removeprefix("- memories: ")) >= 3


def test_a_refused_request_is_told(session: Session) -> None:
    session.edit(session.write("invoice.py", CODE))
    session.nvim.command("RemanenceForget! nonsense-id-that-is-nowhere")
    said = session.until(session.notices, "a notice")

    assert said[0].startswith("Remanence: ")
    assert "1 memory forgotten" not in said[0]


def test_checkhealth_is_content_when_the_server_answers(session: Session) -> None:
    session.edit(session.write("invoice.py", CODE))
    session.nvim.command("checkhealth remanence")

    session.until(lambda: any("Neovim" in line for line in session.lines()), "the report")
    report = "\n".join(session.lines())
    assert "OK" in report
    assert "remanence, version" in report
    assert "not yet indexed" in report
    assert "ERROR" not in report


def test_checkhealth_says_that_the_server_is_missing(bare: Session) -> None:
    bare.lua("require('remanence').setup({ cmd = { 'no-such-remanence', 'lsp' } })")
    bare.nvim.command("checkhealth remanence")

    report = "\n".join(bare.lines())
    assert "ERROR" in report
    assert "`no-such-remanence` is not found" in report


def test_the_help_shows_the_servers_defaults(session: Session) -> None:
    text = (RUNTIME / "doc" / "remanence.txt").read_text()
    shown = text.partition("*remanence-options*")[2].partition(">\n")[2].partition("\n<")[0]
    given = session.lua(
        """local given
        package.loaded["remanence"] = { setup = function(opts) given = opts.init_options end }
        assert(loadstring(...))()
        return given""",
        shown,
    )

    assert given == json.loads(msgspec.json.encode(Options()))


def test_the_way_of_older_versions_works_on_the_newest(editor_environment: Path) -> None:
    """0.8 to 0.10 are not at hand: what they use is tried on the versions on both sides of them."""
    session = start("wheel", editor_environment)
    session.lua("require('remanence.attach').setup({})")
    session.edit(session.write("invoice.py", CODE))
    session.answered("status")
    session.nvim.current.window.cursor = (1, 8)
    session.lua("vim.lsp.buf.hover()")

    assert "decimal.InvalidOperation" in session.until(session.floating_text, "a floating window")
    end(session)
