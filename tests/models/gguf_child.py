"""A backend in a process of its own, for texts on which it might crash: a JSON text a line in, counts out.

python gguf_child.py BACKEND FILE
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from remanence.models.language_model import ChatMessage, Generation, Infill, LanguageModelError, LoadRequest


class GGUFChild:
    """The process, asked from the test's."""

    def __init__(self, backend: str, file: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, backend, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self) -> GGUFChild:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, text: str) -> dict[str, Any]:
        """Its tokens, and how many each kind of prompt with it takes; null where that is more than fit."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(text).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the process died with {self._process.wait()} of {text!r}"
        return json.loads(line)


def main(backend: str, file: str) -> None:
    model = importlib.import_module(f"remanence.models.{backend}_backend").load(
        LoadRequest(path=file, threads=1)
    )
    for line in sys.stdin:
        text = json.loads(line)
        asked = {
            "prompt": Generation(prompt=text, max_tokens=2),
            "messages": Generation(messages=(ChatMessage("user", text),), max_tokens=2),
            "infill": Generation(infill=Infill(text, text), max_tokens=2),
        }
        said = {"tokens": model.count_tokens(text)}
        for kind, generation in asked.items():
            try:
                *pieces, usage = model.generate(generation, lambda: False)
            except LanguageModelError:  # longer than the window
                said[kind] = None
                continue
            "".join(pieces).encode()
            said[kind] = usage.prompt_tokens
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
