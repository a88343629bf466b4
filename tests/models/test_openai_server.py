"""The openai backend against a real server with a real model."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import pytest
from generating import at, chat, never, said, written
from jsonschema import validate

import tiny_llama
from remanence.models.language_model import (
    Generation,
    LanguageModelError,
)
from remanence.models.structured import generate_json

FACT = tiny_llama.FACTS[0]
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"action": {"enum": ["delete", "ignore"]}},
    "required": ["action"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def llama_server() -> Iterator[str]:
    """llama-cpp-python's own server with the tiny model."""
    pytest.importorskip("llama_cpp.server.app")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = ["--model", str(tiny_llama.gguf("F16")), "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", "llama_cpp.server", *place, "--n_threads", "1", "--n_ctx", "512"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=1).close()
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.mark.e2e
def test_a_real_server_answers_word_for_word_in_pieces(llama_server: str):
    model = at(llama_server)
    for fact in tiny_llama.FACTS[:4]:
        assert said(model, chat(fact.question)) == fact.answer
    pieces, usage = written(model, chat(FACT.question))
    assert len(pieces) > 3
    assert usage.finish == "stop"
    assert usage.prompt_tokens > 5
    assert usage.written_tokens > 3


@pytest.mark.e2e
def test_a_real_server_goes_on_with_a_text_and_stops_where_it_is_told(llama_server: str):
    model = at(f"{llama_server}/v1/chat/completions")
    begun, rest = FACT.statement
    assert said(model, Generation(prompt=begun, max_tokens=20)) == rest
    assert (
        said(model, chat(FACT.question, stop=("zzz", "zz1", "zz2", "zz3", "uses port"))) == f"{FACT.service} "
    )
    assert written(model, chat(tiny_llama.ENDLESS, max_tokens=6))[1].finish == "length"


@pytest.mark.e2e
def test_a_real_server_is_held_to_a_schema_in_the_way_it_knows(llama_server: str):
    model = at(llama_server)
    for seed in range(3):
        asked = chat("decide", json_schema=SCHEMA, temperature=1.0, seed=seed, max_tokens=60)
        validate(json.loads(said(model, asked)), SCHEMA)
    validate(generate_json(model, chat("decide", json_schema=SCHEMA, max_tokens=60), never), SCHEMA)


@pytest.mark.e2e
def test_cancelling_a_real_server_leaves_it_free_for_the_next(llama_server: str):
    model = at(llama_server)
    got: list[str] = []
    usage = None
    for part in model.generate(chat(tiny_llama.ENDLESS, max_tokens=400), lambda: len(got) >= 2):
        if isinstance(part, str):
            got.append(part)
        else:
            usage = part
    assert usage is not None
    assert usage.finish == "cancelled"
    assert said(model, chat(FACT.question)) == FACT.answer


@pytest.mark.e2e
def test_a_prompt_over_a_real_servers_window_is_one_error_in_words(llama_server: str):
    with pytest.raises(LanguageModelError, match="window"):
        written(at(llama_server), chat("a " * 2000))
