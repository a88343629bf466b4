"""The summariser: a tiny T5 that was really trained, in its real worker process."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from generating import never

import tiny_model
import tiny_summariser
from remanence.models.language_model import ChatMessage, Generation, LanguageModelError, LoadRequest, Usage
from remanence.models.summariser import Summariser
from remanence.models.summariser_backend import SummariserModel, load
from tiny_summariser import summary

TEXT = "It was then that we had some {} to do with this one here, and more of it was there when we had it."
PATIENT = 300.0


@pytest.fixture(scope="module")
def folder() -> Path:
    """The model, trained on the first run and kept."""
    return tiny_model.made("tiny_summariser", "model", Path(tiny_summariser.__file__), recipe=())


@pytest.fixture(scope="module")
def model(folder: Path) -> SummariserModel:
    return load(LoadRequest(path=str(folder), threads=1))


@pytest.fixture
def summariser(folder: Path) -> Iterator[Summariser]:
    summariser = Summariser(str(folder), wait_seconds=PATIENT, text_seconds=PATIENT)
    yield summariser
    summariser.close()


def shortened(
    model: SummariserModel,
    text: str,
    query: str = "",
    tokens: int = 12,
    cancelled: Callable[[], bool] = never,
) -> tuple[str, Usage]:
    turns = (ChatMessage("system", query), ChatMessage("user", text))
    *pieces, usage = model.generate(Generation(messages=turns, max_tokens=tokens), cancelled)
    assert isinstance(usage, Usage)
    return "".join(piece for piece in pieces if isinstance(piece, str)), usage


@pytest.mark.parametrize("topic", tiny_summariser.TOPICS)
def test_it_says_what_it_was_trained_to_say_of_a_text(model: SummariserModel, topic: str):
    said, usage = shortened(model, TEXT.format(topic))
    assert (said, usage.finish) == (summary(topic), "stop")


def test_a_text_that_is_short_enough_is_left_alone(model: SummariserModel):
    said, usage = shortened(model, "we had some redis", tokens=10)
    assert said == ""
    assert usage.written_tokens == 0


def test_a_summary_that_was_cut_off_keeps_whole_sentences_only(model: SummariserModel):
    said, usage = shortened(model, TEXT.format("redis"), tokens=3)
    assert (said, usage.written_tokens, usage.finish) == ("", 3, "length")


def test_of_a_text_over_the_window_the_sentences_nearest_to_the_query_are_read(model: SummariserModel):
    noise = "Then we had the one of it with that here. " * 30
    for topic in tiny_summariser.TOPICS:
        long = f"{noise}More unheard {topic} of wanted. {noise}"
        assert shortened(model, long, f"what of {topic}?")[0] == summary(topic)


def test_any_text_can_be_shortened(model: SummariserModel):
    for text in ("", "\0", "\ud800" * 50, "数据库" * 400, "a" * 5000, "\n" * 500, "x. " * 3000):
        said, _ = shortened(model, text, "\ud800")
        said.encode("utf-8")


def test_cancelling_gives_nothing(model: SummariserModel):
    said, usage = shortened(model, TEXT.format("redis"), cancelled=lambda: True)
    assert (said, usage.finish) == ("", "cancelled")


def test_what_is_no_summariser_is_refused_with_what_to_do(folder: Path, tmp_path: Path):
    with pytest.raises(LanguageModelError, match="hf download nobody/nothing"):
        load(LoadRequest(path="nobody/nothing"))
    cut = Path(shutil.copytree(folder, tmp_path / "cut"))
    (cut / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:3000])
    with pytest.raises(LanguageModelError, match="cannot shorten texts"):
        load(LoadRequest(path=str(cut)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(LanguageModelError, match=r"not on this machine|cannot shorten"):
        load(LoadRequest(path=str(tmp_path / "empty")))


@pytest.mark.e2e
def test_it_works_in_a_process_that_ends_when_nobody_asks(folder: Path):
    summariser = Summariser(str(folder), wait_seconds=PATIENT, text_seconds=PATIENT, idle_seconds=0.3)
    try:
        assert summariser.pid is None
        assert summariser.shorten(TEXT.format("redis"), "redis", 12) == summary("redis")
        while summariser.pid is not None:
            time.sleep(0.02)
        assert summariser.shorten(TEXT.format("caches"), "caches", 12) == summary("caches")
    finally:
        summariser.close()
    assert summariser.pid is None


@pytest.mark.e2e
def test_a_worker_that_is_killed_is_one_text_without_a_summary(summariser: Summariser):
    assert summariser.shorten(TEXT.format("redis"), "", 12) == summary("redis")
    pid = summariser.pid
    assert pid is not None
    assert summariser.rss_mb > 0
    process = psutil.Process(pid)
    process.suspend()
    killing = threading.Timer(0.3, process.kill)
    killing.start()
    assert summariser.shorten(TEXT.format("redis"), "", 12) is None
    assert summariser.problem is not None
    assert "ended by signal 9" in summariser.problem
    assert summariser.shorten(TEXT.format("redis"), "", 12) == summary("redis")
    assert summariser.problem is None


@pytest.mark.e2e
def test_nobody_waits_longer_than_allowed_for_the_model_or_for_a_text(folder: Path):
    summariser = Summariser(str(folder), wait_seconds=0.01, text_seconds=PATIENT)
    try:
        assert summariser.shorten(TEXT.format("redis"), "", 12) is None
        while (said := summariser.shorten(TEXT.format("redis"), "", 12)) is None:
            assert summariser.problem is None
            time.sleep(0.05)
        assert said == summary("redis")
        hurried = Summariser(str(folder), wait_seconds=PATIENT, text_seconds=0.0)
        try:
            assert hurried.shorten(TEXT.format("redis"), "", 12) is None
            assert hurried.problem is not None
            assert "took longer than 0 s" in hurried.problem
        finally:
            hurried.close()
    finally:
        summariser.close()


@pytest.mark.e2e
def test_a_model_that_is_not_there_is_said_so_and_not_tried_at_every_text():
    summariser = Summariser("nobody/nothing", wait_seconds=PATIENT)
    try:
        assert summariser.shorten(TEXT.format("redis"), "", 12) is None
        assert summariser.problem is not None
        assert "hf download nobody/nothing" in summariser.problem
        assert summariser.pid is None
        assert summariser.shorten(TEXT.format("redis"), "", 12) is None
        assert summariser.pid is None
    finally:
        summariser.close()
