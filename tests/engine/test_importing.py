"""Imports of files that are odd, damaged or gone: nothing stops the rest or is missed for good."""

from __future__ import annotations

import gzip
import json
import os
import threading
import time
from pathlib import Path

import pytest
from service_in_process import finished, never

from remanence.engine import messages as m
from remanence.engine.service import Service, open_service
from remanence.paths import Home
from remanence.sources import AIDER

TURNS = 500
CHAT = "# aider chat started at 2025-03-04 10:00:00\n\n#### How do I {}?  \n\nLike this, and like that.\n"


def sync(service: Service, *sources: str) -> m.Job:
    return finished(service, service.jobs.sync(m.SyncRequest(sources=list(sources)), never).job_id)


def test_a_file_that_could_not_be_read_is_read_by_the_next_sync(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = tmp_path / "history.md.gz"
    monkeypatch.setenv("AIDER_CHAT_HISTORY_FILE", str(history))
    monkeypatch.setenv("HOME", str(tmp_path))
    history.write_bytes(gzip.compress(CHAT.format("begin").encode())[:-4])
    first = sync(service, AIDER.name)
    assert first.figures.get("failed") == 1
    assert sync(service).figures.get("failed") == 1


def test_a_file_that_is_gone_is_one_failure_and_the_rest_is_read(service: Service, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(CHAT.format("stay"))
    (tmp_path / "link.md").symlink_to(tmp_path / "nowhere.md")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "folder.md").mkdir()
    job = finished(service, service.jobs.import_(m.ImportRequest(path=str(tmp_path)), never).job_id)
    assert job.state == "done"
    assert job.figures["stored"] == 1


@pytest.mark.skipif(os.name == "nt", reason="its file names are Unicode")
def test_a_file_whose_name_is_not_unicode_is_imported(service: Service, tmp_path: Path) -> None:
    place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.md"))
    place.write_text(CHAT.format("name a file"))
    job = finished(service, service.jobs.import_(m.ImportRequest(path=str(tmp_path)), never).job_id)
    assert (job.state, job.error) == ("done", None)
    assert job.figures["stored"] == 1


def test_a_lone_surrogate_in_any_field_stops_nothing(service: Service, tmp_path: Path) -> None:
    lines = [
        {
            "question": "First?",
            "answer": "Yes.",
            "conversation_id": "a\ud800",
            "model": "m\udfff",
            "id": "\ud83d",
        },
        {"question": "Second?", "answer": "Yes too."},
    ]
    path = tmp_path / "odd.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines))
    job = finished(service, service.jobs.import_(m.ImportRequest(path=str(path)), never).job_id)
    assert (job.state, job.error) == ("done", None)
    assert job.figures["stored"] == 2


def test_a_sync_that_turns_a_source_on_reads_it_though_another_sync_runs(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = tmp_path / "history.md"
    history.write_text(CHAT.format("join in"))
    monkeypatch.setenv("AIDER_CHAT_HISTORY_FILE", str(history))
    monkeypatch.setenv("HOME", str(tmp_path))
    over = threading.Event()
    running = service.jobs_queue.start("sync", "{}", lambda control: over.wait(60) and None)
    try:
        assert service.jobs.sync(m.SyncRequest(), never).job_id == running.job_id
        assert sync(service, AIDER.name).figures["stored"] == 1
    finally:
        over.set()


def test_an_import_that_is_taken_up_again_reads_no_file_twice_and_names_turns_as_before(
    home: Home, tmp_path: Path
) -> None:
    # of equal questions without an id of their own, a turn's name tells which one it is
    for name in ("a", "b", "c"):
        lines = [
            {"question": "And then?", "answer": f"Step {name}{number}.", "conversation_id": name}
            for number in range(TURNS)
        ]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    service = open_service(home)
    job_id = service.jobs.import_(m.ImportRequest(path=str(tmp_path), source="jsonl"), never).job_id
    while service.jobs_queue.list(job_id)[0].figures.get("read", 0) < TURNS * 1.5:
        time.sleep(0.001)
    service.close()
    service = open_service(home)
    try:
        before = service.store.count()
        job = finished(service, job_id)
        assert TURNS * 1.5 <= before < TURNS * 3
        assert (job.state, job.figures) == ("done", {"read": TURNS * 3, "stored": TURNS * 3})
    finally:
        service.close()


def test_a_file_that_changed_while_no_engine_ran_is_read_whole(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    lines = [json.dumps({"id": str(n), "question": f"Question {n}?", "answer": "Yes."}) for n in range(TURNS)]
    path.write_text("\n".join(lines))
    service = open_service(home)
    job_id = service.jobs.import_(m.ImportRequest(path=str(path)), never).job_id
    while not service.jobs_queue.list(job_id)[0].figures.get("read", 0):
        time.sleep(0.001)
    service.close()
    first = json.dumps({"id": "new", "question": "What came first?", "answer": "This."})
    path.write_text("\n".join([first, *lines]))
    service = open_service(home)
    try:
        assert finished(service, job_id).state == "done"
        assert service.store.count() == TURNS + 1
    finally:
        service.close()
