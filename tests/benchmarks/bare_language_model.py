"""A language model by its library alone, as a program of its own would use it: what ours stands beside.

    python tests/benchmarks/bare_language_model.py BACKEND PATH THREADS

Says `{"ready": true}` once the model is loaded; then, for each line `{"prompt": …, "tokens": N}`, writes so
many tokens and says how long that took: `{"first_s", "seconds", "tokens"}`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_CONTEXT = 512

_PROMPTS: dict[str, Any] = {}

Write = Callable[[str, int], Iterator[str]]  # one piece a token


def main() -> None:
    backend, path, threads = sys.argv[1:]
    write = {"ctransformers": ctransformers, "llama_cpp": llama_cpp, "transformers": transformers}[backend](
        path, int(threads)
    )
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        begun = time.perf_counter()
        first_at = 0.0
        count = 0
        for _ in write(asked["prompt"], asked["tokens"]):
            first_at = first_at or time.perf_counter()
            count += 1
        seconds = time.perf_counter() - begun
        print(json.dumps({"first_s": first_at - begun, "seconds": seconds, "tokens": count}), flush=True)


def llama_cpp(path: str, threads: int) -> Write:
    from llama_cpp import Llama

    model = Llama(path, n_ctx=_CONTEXT, n_threads=threads, n_threads_batch=threads, verbose=False)

    def tokenized(text: str) -> list[int]:
        return model.tokenize(text.encode(), add_bos=False)

    def write(prompt: str, tokens: int) -> Iterator[str]:
        model.reset()
        ids = _ids(path, prompt, tokenized)
        for count, token in enumerate(model.generate(ids, top_k=1, temp=0.0), start=1):
            yield model.detokenize([token]).decode(errors="replace")
            if count == tokens or token == model.token_eos():
                return

    return write


def ctransformers(path: str, threads: int) -> Write:
    from ctransformers.llm import LLM, Config

    model = LLM(path, "llama", config=Config(context_length=_CONTEXT, threads=threads), lib="avx2")

    def tokenized(text: str) -> list[int]:
        return list(model.tokenize(text, add_bos_token=False))

    def write(prompt: str, tokens: int) -> Iterator[str]:
        ids = _ids(path, prompt, tokenized)
        for count, token in enumerate(model.generate(ids, top_k=1, repetition_penalty=1.0), start=1):
            yield model.detokenize([token])
            if count == tokens or model.is_eos_token(token):
                return

    return write


def _ids(path: str, prompt: str, tokenized: Callable[[str], list[int]]) -> list[int]:
    """The tokens of the prompt as a chat, made as our backends make them: ctransformers has no templates."""
    from remanence.models.gguf_header import read_header
    from remanence.models.gguf_prompt import Prompts
    from remanence.models.language_model import ChatMessage, Generation

    if path not in _PROMPTS:
        _PROMPTS[path] = Prompts(read_header(Path(path), special=True))
    parts = _PROMPTS[path].parts(Generation(messages=(ChatMessage("user", prompt),)))
    return [id for part in parts for id in ([part] if isinstance(part, int) else tokenized(part))]


def transformers(path: str, threads: int) -> Write:
    import queue
    import threading

    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.generation.streamers import TextIteratorStreamer

    torch.set_num_threads(threads)
    tokenizer: Any = AutoTokenizer.from_pretrained(path)
    model: Any = AutoModelForCausalLM.from_pretrained(path).eval()

    def write(prompt: str, tokens: int) -> Iterator[str]:
        ids = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        streamer: Any = TextIteratorStreamer(tokenizer, skip_prompt=True)
        asked = {**ids, "max_new_tokens": tokens, "do_sample": False, "streamer": streamer}
        pieces: queue.SimpleQueue[int] = queue.SimpleQueue()
        put = streamer.put

        def counted(value: Any) -> None:  # the streamer holds words back: what is counted are tokens
            pieces.put(1)
            put(value)

        streamer.put = counted
        worker = threading.Thread(target=lambda: (model.generate(**asked), pieces.put(0)))
        worker.start()
        pieces.get()  # the prompt
        while pieces.get():
            yield ""
        worker.join()

    return write


if __name__ == "__main__":
    main()
