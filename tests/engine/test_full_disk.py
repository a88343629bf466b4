"""A full disk: a clear error, nothing lost, and everything works again once there is room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_process import ask, stop, wait_for_indexing

from remanence.engine.client import EngineError
from remanence.engine.messages import CaptureRequest, DoctorRequest, RecallRequest
from remanence.paths import Home
from small_disk import mounted

pytestmark = pytest.mark.e2e


@pytest.fixture
def small_home(tmp_path: Path, embedder_folder: Path) -> Iterator[Home]:
    with mounted(tmp_path, "size=6m") as place:
        home = Home(place / "home").create()
        (home.models / embedder_folder.name).symlink_to(embedder_folder, target_is_directory=True)
        yield home
        stop(home)


def test_a_full_disk_is_said_in_words_and_loses_nothing(small_home: Home) -> None:
    kept = ask(
        small_home, lambda client: client.capture(CaptureRequest(question="What is kept?", answer="This."))
    )
    ask(small_home, wait_for_indexing)
    filler = small_home.root / "filler"
    with open(filler, "wb", buffering=0) as file:
        while True:
            try:
                file.write(os.urandom(1 << 16))
            except OSError:
                break
    big = "word " * 100_000
    with pytest.raises(EngineError, match=r"disk .* is full"):
        ask(small_home, lambda client: client.capture(CaptureRequest(question="Too much?", answer=big)))
    found = ask(small_home, lambda client: client.recall(RecallRequest(query="what is kept")))
    assert [memory.id for memory in found.memories] == [kept.id]
    filler.unlink()
    stored = ask(
        small_home, lambda client: client.capture(CaptureRequest(question="Room again?", answer="Yes."))
    )
    assert stored.status == "stored"
    ask(small_home, wait_for_indexing)
    findings = ask(small_home, lambda client: client.doctor(DoctorRequest())).findings
    assert [finding for finding in findings if not finding.ok] == []
