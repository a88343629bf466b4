"""The peers' benchmark on what needs no environment of theirs: the protocol, the figures, the failures."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import peer_environments
import pytest
from evaluation_sets import CASES, DEMO, load
from peer_environments import REMANENCE, SYSTEMS, NotInstalled, System, environment
from peer_processes.process import BENCHMARKS, SERVER, PeerFailed, PeerProcess
from peer_report import costs
from peer_runs import Ask, Measurement, Run, Store
from peers import key, quality

TANTIVY = next(each for each in SYSTEMS if each.name == "tantivy")
PROTOTYPE = next(each for each in SYSTEMS if each.name == "prototype")
HERE = Path(sys.executable)
SAID = [
    {"id": "a", "question": "How do I rename a branch?", "answer": "git branch -m", "conversation_id": "one"},
    {"id": "b", "question": "Which port does the broker use?", "answer": "1883", "conversation_id": "one"},
    {"id": "c", "question": "Renaming the branches", "answer": "see before", "conversation_id": "two"},
]
STORE = Store(
    "three",
    SAID,
    np.eye(3, 384, dtype=np.float32),
    [Ask("all", "renamed branches"), Ask("scoped", "renamed branches", "two")],
)


@pytest.fixture
def in_folder(tmp_path: Path) -> Iterator[PeerProcess]:
    """Tantivy's process, in this environment: it needs no embedder."""
    (tmp_path / "tantivy").mkdir()
    process = PeerProcess(HERE, "tantivy", tmp_path / "tantivy", tmp_path / "no model")
    yield process
    process.end()


def test_a_peer_is_imported_started_anew_and_asked(tmp_path: Path) -> None:
    measurement = Measurement(STORE, {TANTIVY: HERE}, tmp_path)
    run = measurement.runs[TANTIVY]
    measurement.import_all(len, embed=False, keywords=0)
    measurement.ask_all(starts=1)
    assert run.failed is None
    assert set(run.found["all"]) == {"a", "c"}
    assert run.found["scoped"] == ["c"]
    assert len(run.ms) == 2
    assert run.cpu_s >= 0
    assert run.network == set()
    assert run.disk_mb > 0
    assert run.rss_mb[""] > 0
    assert 0 < run.cold_s[0] < 60


def test_a_peer_that_fails_says_why_and_the_rest_go_on(tmp_path: Path) -> None:
    absent = System("absent", "absent", "absent")
    measurement = Measurement(STORE, {absent: HERE, TANTIVY: HERE}, tmp_path)
    measurement.import_all(len, embed=False, keywords=0)
    measurement.ask_all(starts=1)
    assert "No module named peer_processes.absent" in (measurement.runs[absent].failed or "")
    assert set(measurement.runs[TANTIVY].found["all"]) == {"a", "c"}


def test_a_peer_that_does_not_answer_in_time_is_ended(in_folder: PeerProcess) -> None:
    with pytest.raises(PeerFailed, match="no answer to 'find' within 0 s"):
        in_folder.ask({"do": "find", "text": "x", "most": 1, "conversation": None}, 0.0)


def test_a_peer_reaches_no_network_and_what_it_tried_is_told() -> None:
    tried = """
import socket, sys
sys.path[:0] = sys.argv[1:]
from peer_processes.peer import refuse_network
refused = refuse_network()
for reach in (
    lambda: socket.create_connection(("192.0.2.1", 80), 1),
    lambda: socket.getaddrinfo("name.invalid", 80),
    lambda: socket.socket().connect(("192.0.2.1", 80)),
):
    try:
        reach()
    except PermissionError:
        print("refused")
print(refused)
"""
    done = subprocess.run([HERE, "-c", tried, BENCHMARKS, SERVER], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["refused"] * 3 + [
        "['192.0.2.1', 'name.invalid', \"('192.0.2.1', 80)\"]"
    ]


def test_what_pip_refuses_is_told_in_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_environments, "PLACE", tmp_path)
    monkeypatch.setenv("PIP_FLAGS", "--no-index")
    nothing = System("nothing", "nothing", "nothing", ("remanence-no-such-peer==1.0",))
    with pytest.raises(NotInstalled, match=r"No matching distribution|Could not find a version"):
        environment(nothing)


def test_each_systems_cost_is_told_beside_remanences_share_of_it() -> None:
    runs = {
        REMANENCE: _run([4.0, 4.0], {"seconds": 3.0, "stored": 1.0, "with keywords": 9.0}),
        PROTOTYPE: _run([2.0, 2.0], {"seconds": 1.0}),
        TANTIVY: Run(failed="import: no room"),
    }
    figures = costs(runs, exchanges=1000, bare_s=0.005)
    assert figures["Remanence"]["import ms an exchange"] == 3.0
    assert figures["prototype"]["import ms an exchange"] == 6.0
    assert figures["prototype"]["import ms an exchange, its own work"] == 1.0
    assert figures["prototype"]["Remanence's share of it"]["p50 ms"] == 2.0
    assert figures["prototype"]["Remanence's share of it"]["import ms an exchange"] == 0.5
    assert figures["tantivy alone"] == {"failed": "import: no room"}


def test_exchanges_that_say_the_same_count_as_one() -> None:
    evaluated = load(DEMO, None)
    twin = dataclasses.replace(evaluated.rows[0], row=len(evaluated.rows), id="twin")
    doubled = dataclasses.replace(evaluated, rows=[*evaluated.rows, twin])
    asked = dataclasses.replace(evaluated.questions[0], relevant=frozenset({twin.row}))
    case = next(each for each in CASES if each.set == DEMO and not each.scoped)
    run = Run(found={key(asked, False): ["twin", evaluated.rows[0].id]})
    line = quality(doubled, {case: [asked]}, {PROTOTYPE: run})[case.name]
    assert line["prototype"] == {"R@5": 1.0, "R@10": 1.0, "hit@10": 1.0, "MRR": 1.0}


def _run(ms: list[float], imported: dict[str, float]) -> Run:
    return Run(imported, disk_mb=1.0, cold_s=[1.0], ms=ms, cpu_s=0.01, rss_mb={"": 100.0})
