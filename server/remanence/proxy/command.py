"""`remanence proxy`: where the endpoint answers, with which key, and how tools are pointed at it."""

from __future__ import annotations

import asyncio
import sys
import time

import click
import msgspec

from remanence.paths import Home
from remanence.settings import Settings, SettingsError, load_settings

_START_SECONDS = 20.0
_POLL_SECONDS = 0.05


class EndpointState(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What `remanence proxy --json` prints. `openai` and `ollama` are the addresses for clients."""

    on: bool
    answers: bool
    openai: str
    ollama: str
    key: str
    upstream_openai: str
    upstream_ollama: str
    problem: str | None = None


@click.command()
@click.option("--start/--stop", "on", default=None, help="Turn it on, now and later, or off.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@click.pass_obj
def proxy(home: Home, on: bool | None, as_json: bool) -> None:
    """Show the endpoint for OpenAI and Ollama clients: its address, its key, how tools use it."""
    from remanence.proxy.state import is_turned_on, turn

    try:
        settings = load_settings(home.settings)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    if on is not None:
        turn(home, on=on)
    if on is False and settings.proxy.enabled:
        raise click.ClickException(f"{home.settings} turns it on: set `enabled = false` under [proxy].")
    is_on = settings.proxy.enabled or is_turned_on(home)
    state = asyncio.run(_state(home, settings, is_on=is_on, wanted=on))
    click.echo(msgspec.json.encode(state).decode() if as_json else _in_words(state))
    if on and not state.answers:
        sys.exit(1)


async def _state(home: Home, settings: Settings, *, is_on: bool, wanted: bool | None) -> EndpointState:
    """How it stands, once it has followed what was just wanted. Raises EngineError."""
    from remanence.engine.starting import ensure_engine
    from remanence.proxy.state import key_of, read_endpoint

    if wanted:
        await ensure_engine(home)
    deadline = time.monotonic() + (_START_SECONDS if wanted is not None else 0)
    while True:
        endpoint = read_endpoint(home)
        answers = endpoint is not None and endpoint.port > 0 and await _answers(endpoint.port)
        if answers == wanted or (endpoint is not None and endpoint.problem) or time.monotonic() >= deadline:
            break
        await asyncio.sleep(_POLL_SECONDS)
    port = endpoint.port if endpoint is not None and endpoint.port else settings.proxy.port
    return EndpointState(
        on=is_on,
        answers=answers,
        openai=f"http://127.0.0.1:{port}/v1",
        ollama=f"http://127.0.0.1:{port}",
        key=key_of(home.create()),
        upstream_openai=settings.proxy.upstream_openai,
        upstream_ollama=settings.proxy.upstream_ollama,
        problem=endpoint.problem if endpoint is not None and is_on else None,
    )


async def _answers(port: int) -> bool:
    """Whether something listens there: the file stays behind where an engine was killed."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _in_words(state: EndpointState) -> str:
    if not state.on:
        return "The endpoint is off. `remanence proxy --start` turns it on."
    if state.problem:
        return f"The endpoint is on, and does not answer: {state.problem}."
    openai = state.upstream_openai or f"{state.upstream_ollama}/v1"
    lines = [
        f"OpenAI clients:  {state.openai}  (passed on to {openai})",
        f"Ollama clients:  {state.ollama}  (passed on to {state.upstream_ollama or 'nothing'})",
        f"Key:             {state.key}",
        "" if state.answers else "It answers once an engine runs: `remanence proxy --start` starts one.",
        *_how_to(state),
    ]
    return "\n".join(lines)


def _how_to(state: EndpointState) -> list[str]:
    """One line a tool."""
    key, keyed = state.key, f"{state.ollama}/{state.key}"
    return [
        f"aider     OPENAI_API_BASE={state.openai} OPENAI_API_KEY={key} aider --model openai/MODEL",
        f"ollama    OLLAMA_HOST={keyed} ollama run MODEL",
        "llm       in extra-openai-models.yaml: "
        f"{{model_id: NAME, model_name: MODEL, api_base: {state.openai}, api_key_name: remanence}}; "
        f"llm keys set remanence --value {key}",
        f"Continue  provider: openai, apiBase: {state.openai}, apiKey: {key}  "
        f"(or provider: ollama, apiBase: {keyed})",
        f"Cline     provider OpenAI Compatible, base URL {state.openai}, API key {key}",
        f"avante    endpoint = '{state.openai}', the key in the variable that api_key_name names",
        f"Copilot   custom endpoint, url {state.openai}/chat/completions, API key {key}",
        f"Any tool that needs its own key for the server behind: base URL {keyed}/v1, and its own key.",
    ]
