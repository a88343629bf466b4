"""What the endpoint costs: until the server behind it has a question, beside asking that server directly.

    python tests/benchmarks/proxy_overhead.py                       # on the demo conversations: needs no data
    python tests/benchmarks/proxy_overhead.py --data DIR --size N   # on a store of N exchanges of real texts

DIR holds sets as `recall_quality.py` reads them. The server is the tests' own, which answers at once; each
question goes to it both ways in turn, over connections that stay open, and each is new to the endpoint, so
that memory is searched for each. `patient` asks once more with all the time that recall wants, and tells how
many questions the usual patience sends off without their memories. Exchanges are not captured meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from big_store import big_store, read_queries, read_rows
from results import run_facts, write_results
from vector_cache import CACHE, ROOT, VectorCache, load_embedder

sys.path.insert(0, str(ROOT / "tests" / "proxy"))

from upstream_server import UpstreamServer, running

from remanence.engine.client import connect
from remanence.engine.starting import drain
from remanence.paths import Home
from remanence.proxy.state import key_of, read_endpoint
from remanence.settings import ProxySettings

_WARM = 20  # questions that are not counted: the embedder is loaded, connections are made
_SYSTEM = "You are a careful assistant. " * 40
_ALL_THE_TIME_MS = 10_000


@dataclass(frozen=True)
class Times:
    """Milliseconds a question, both ways: until the server has it, and until its answer is read. `memories`
    is how many each went with."""

    asked_direct: list[float]
    asked_through: list[float]
    whole_direct: list[float]
    whole_through: list[float]
    memories: list[int]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="the folder of the sets; without it the demo conversations")
    parser.add_argument("--size", type=int, metavar="N", help="exchanges (all there are)")
    parser.add_argument("--questions", type=int, default=300, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    given = parser.parse_args()
    rows = read_rows(given.data)
    size = given.size or len(rows)
    questions = read_queries(given.data, given.questions + _WARM)
    patience = ProxySettings().patience_ms
    with tempfile.TemporaryDirectory() as temporary, running() as upstream:
        kept = CACHE / f"bench-{'' if given.data else 'demo-'}{size}"
        place = kept if given.size else Path(temporary) / "home"
        home = big_store(rows, VectorCache(load_embedder()), size, place)
        found: dict[str, Times] = {}
        for name, waits in (("usual", patience), ("patient", _ALL_THE_TIME_MS)):
            with _open(home, upstream, waits) as endpoint:
                found[name] = _ask(upstream, endpoint, questions)
    figures = {"exchanges": size, "patience_ms": patience, **{name: _figures(found[name]) for name in found}}
    went = np.array(found["usual"].memories) > 0
    could = np.array(found["patient"].memories) > 0
    in_time = float(went[could].mean()) if could.any() else 1.0
    figures["with_memories"] = {
        "usual": float(went.mean()),
        "patient": float(could.mean()),
        "in_time": in_time,
    }
    _print(figures)
    if given.json:
        write_results(given.json, "proxy_overhead", run_facts(questions=len(questions) - _WARM), figures)


@contextmanager
def _open(home: Home, upstream: UpstreamServer, patience_ms: int) -> Generator[str]:
    """The endpoint in an engine of its own; its address with the key. The settings are put back."""
    before = home.settings.read_text(encoding="utf-8") if home.settings.exists() else None
    chosen = f"port = 0\ncapture = false\npatience_ms = {patience_ms}\nupstream_ollama = '{upstream.url}'"
    home.settings.write_text(f"{before or ''}\n[proxy]\nenabled = true\n{chosen}\n", encoding="utf-8")
    try:
        asyncio.run(_started(home))
        while (endpoint := read_endpoint(home)) is None or not endpoint.port:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{endpoint.port}/{key_of(home)}"
    finally:
        asyncio.run(drain(home))
        if before is None:
            home.settings.unlink()
        else:
            home.settings.write_text(before, encoding="utf-8")


async def _started(home: Home) -> None:
    """Once the engine has all its indexes: they may be of an earlier version."""
    client = await connect(home)
    while (status := await client.status()).degraded or any(each.state != "ready" for each in status.indexes):
        await asyncio.sleep(0.2)
    await client.close()


def _ask(upstream: UpstreamServer, endpoint: str, questions: Sequence[str]) -> Times:
    times = Times([], [], [], [], [])
    with httpx.Client(timeout=60) as client:
        for number, question in enumerate(questions):
            messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": question}]
            asked = {"model": "tiny", "messages": messages}
            ways = [(upstream.url, times.asked_direct, times.whole_direct)]
            ways.append((endpoint, times.asked_through, times.whole_through))
            for address, until_asked, whole in ways if number % 2 else reversed(ways):
                begun = time.perf_counter()
                answer = client.post(f"{address}/v1/chat/completions", json=asked)
                ended = time.perf_counter()
                if number >= _WARM:
                    until_asked.append((upstream.last.at - begun) * 1000)
                    whole.append((ended - begun) * 1000)
                    if address == endpoint:
                        times.memories.append(int(answer.headers["x-remanence-memories"]))
    return times


def _figures(times: Times) -> dict[str, Any]:
    return {
        "until_asked_ms": _compared(times.asked_direct, times.asked_through),
        "whole_ms": _compared(times.whole_direct, times.whole_through),
    }


def _compared(direct: Sequence[float], through: Sequence[float]) -> dict[str, dict[str, float]]:
    rows = {"direct": direct, "through": through, "more": np.subtract(through, direct).tolist()}
    return {
        name: {f"p{share}": round(float(np.percentile(values, share)), 2) for share in (50, 95, 99)}
        for name, values in rows.items()
    }


def _print(figures: dict[str, Any]) -> None:
    print(f"{figures['exchanges']:,} exchanges; patience {figures['patience_ms']} ms; milliseconds")
    print(f"{'':28}{'direct':>22}{'through':>22}{'more':>22}")
    for name in ("usual", "patient"):
        for part, row in figures[name].items():
            cells = [" / ".join(f"{value:.1f}" for value in row[each].values()) for each in row]
            print(f"{name + ', ' + part:28}" + "".join(f"{cell:>22}" for cell in cells))
    shares = figures["with_memories"]
    print(
        f"with memories: {shares['usual']:.0%} of the questions, {shares['patient']:.0%} given all the time;"
        f" in time for {shares['in_time']:.0%} of those"
    )


if __name__ == "__main__":
    main()
