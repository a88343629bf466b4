"""A window whose engine has the tests' tiny Llama for its language model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any

import pytest
from editor_window import Window, editor_window
from lsprotocol import types

import tiny_llama
from remanence.paths import Home
from slow_endpoint import SlowEndpoint

MODEL = "tiny"
FACT = tiny_llama.FACTS[0]
LONG = {"prompt": "Tick for ever.", "model": "slow", "withMemory": False, "maxTokens": 2000}
"""A question whose answer takes most of a minute."""


def set_models(home: Home, slow: SlowEndpoint | None = None, use: str = MODEL, **more: object) -> None:
    """Name the tiny model in the settings, and the slow one; `more` stands in [language_models]."""
    lines = ["[language_models]", f'use = "{use}"', *(f"{name} = {said}" for name, said in more.items())]
    lines += [f"[language_models.models.{MODEL}]", 'backend = "llama_cpp"', "threads = 1"]
    lines.append(f'path = "{tiny_llama.gguf("Q8_0").as_posix()}"')
    if slow is not None:
        lines += ["[language_models.models.slow]", f'url = "{slow.url}"', 'model = "slow"']
    home.settings.write_text("\n".join(lines) + "\n")


def knows_all(capabilities: types.ClientCapabilities) -> None:
    """A client of LSP 3.18, as VS Code and Neovim 0.12 are."""
    assert capabilities.text_document is not None
    capabilities.text_document.inline_completion = types.InlineCompletionClientCapabilities()


@asynccontextmanager
async def model_window(
    home: Home,
    client: str = "visual_studio_code",
    *,
    options: object = None,
    slow: SlowEndpoint | None = None,
    **settings: object,
) -> AsyncIterator[Window]:
    """A window on a home whose language model is the tiny one. Skips where llama.cpp is not installed."""
    pytest.importorskip("llama_cpp")
    set_models(home, slow, **settings)
    async with editor_window(home, client, adjust=knows_all, options=options) as window:
        yield window


class Parts:
    """What comes to one partial result token. (pytest-lsp knows work done progress only.)"""

    def __init__(self, window: Window, token: str) -> None:
        self.values: list[dict[str, str]] = []
        features = window.client.protocol.fm._features
        usual = features[types.PROGRESS]

        def progress(params: types.ProgressParams) -> Any:
            if params.token != token:
                return usual(params)
            self.values.append(dict(params.value))
            return None

        features[types.PROGRESS] = progress

    @property
    def answer(self) -> str:
        """The pieces of text, one behind the other."""
        return "".join(value.get("answer", "") for value in self.values)

    @property
    def states(self) -> list[str]:
        """What was waited for."""
        return [value["state"] for value in self.values if "state" in value]


def ask(window: Window, request: dict[str, Any], msg_id: str, **beside: object) -> asyncio.Future[Any]:
    """A raw request: `beside` stands next to the command, where lsprotocol knows no partial result token."""
    protocol = window.client.protocol
    params = {"command": "remanence.ask", "arguments": [request], **beside}
    answer: Future[Any] = Future()
    protocol._request_futures[msg_id] = answer
    method = types.WORKSPACE_EXECUTE_COMMAND
    protocol._send_data({"jsonrpc": "2.0", "id": msg_id, "method": method, "params": params})
    return asyncio.wrap_future(answer)


@asynccontextmanager
async def slow_window(home: Home, slow: SlowEndpoint, options: object) -> AsyncIterator[Window]:
    """A window on a home whose language model is the slow one, which has not been asked yet."""
    slow.asked.clear()
    async with model_window(home, options=options, slow=slow, use="slow") as window:
        yield window
