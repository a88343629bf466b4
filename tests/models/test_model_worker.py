from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from generating import never

import tiny_llama
from remanence.models.language_model import (
    ChatMessage,
    Generation,
    LanguageModelError,
    LoadRequest,
    Usage,
)
from remanence.models.model_client import ModelProcess, WorkerGone

SCRIPTED = "models.scripted_model"
TESTS = str(Path(__file__).parents[1])


@pytest.fixture(autouse=True)
def scripted_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker process finds the scripted model by its name."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([TESTS, os.environ.get("PYTHONPATH", "")]))


@pytest.fixture
def model(tmp_path: Path) -> Iterator[ModelProcess]:
    process = ModelProcess(SCRIPTED)
    process.load(LoadRequest(path=written(tmp_path, "1")))
    yield process
    process.close()


def written(folder: Path, words: str) -> str:
    path = folder / f"{words}.txt"
    path.write_text(words, encoding="utf-8")
    return str(path)


def text_of(parts: Iterator[str | Usage]) -> str:
    return "".join(part for part in parts if isinstance(part, str))


def test_pieces_come_as_they_are_written_and_the_usage_last(model: ModelProcess):
    parts = list(model.generate(Generation(prompt="say 3"), never))
    assert parts == ["wordé0 ", "wordé1 ", "wordé2 ", Usage(prompt_tokens=2, written_tokens=3)]


def test_cancelling_ends_the_answer_and_stops_the_worker_writing(model: ModelProcess):
    cancelled = threading.Event()
    parts = model.generate(Generation(prompt="for ever"), cancelled.is_set)
    assert next(parts) == "wordé0 "
    cancelled.set()
    *_, end = parts
    assert isinstance(end, Usage)
    assert end.finish == "cancelled"
    assert text_of(model.generate(Generation(prompt="say 1"), never)) == "wordé0 "  # so it writes no more


def test_an_iteration_that_is_dropped_stops_the_worker_too(model: ModelProcess):
    parts = model.generate(Generation(prompt="for ever"), never)
    next(parts)
    del parts
    assert text_of(model.generate(Generation(prompt="say 1"), never)) == "wordé0 "


def test_a_cancelled_request_does_not_wait_for_the_prompt_to_be_read_but_the_next_one_does(
    model: ModelProcess,
):
    cancelled = threading.Event()
    threading.Timer(0.1, cancelled.set).start()
    (end,) = model.generate(Generation(prompt="read 1.5"), cancelled.is_set)
    assert end == Usage(finish="cancelled")  # the worker's own would have counted a token
    pid = model.pid
    assert text_of(model.generate(Generation(prompt="say 2"), never)) == "wordé0 wordé1 "
    assert model.pid == pid


def test_one_that_waits_for_its_turn_can_be_cancelled(model: ModelProcess):
    first = model.generate(Generation(prompt="for ever"), never)
    next(first)
    assert list(model.generate(Generation(prompt="say 1"), lambda: True)) == [Usage(finish="cancelled")]
    assert isinstance(next(first), str)


def test_tokens_are_counted_while_an_answer_is_written(model: ModelProcess):
    parts = model.generate(Generation(prompt="say 200"), never)
    next(parts)
    assert model.count_tokens("three little words") == 3
    assert len(list(parts)) > 1  # the answer had not ended


def test_an_adapter_is_changed_between_answers_without_a_new_process(model: ModelProcess):
    pid = model.pid
    model.use_adapter("/adapters/mine")
    assert text_of(model.generate(Generation(prompt="say 1"), never)) == "mineé0 "
    model.use_adapter(None)
    assert text_of(model.generate(Generation(prompt="say 1"), never)) == "wordé0 "
    assert model.pid == pid


def test_a_refusal_in_the_middle_is_passed_on_and_the_worker_lives(model: ModelProcess):
    with pytest.raises(LanguageModelError, match=r"^This model does not want to\.$"):
        list(model.generate(Generation(prompt="refuse"), never))
    assert text_of(model.generate(Generation(prompt="say 1"), never)) == "wordé0 "


def test_a_failure_tells_its_kind_and_no_word_of_the_prompt(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    model = ModelProcess(SCRIPTED)
    model.load(LoadRequest(path=written(tmp_path, "1")))
    with pytest.raises(LanguageModelError, match=r"^The model failed: ValueError\.$"):
        list(model.generate(Generation(prompt="blurt hunter2"), never))
    model.close()
    out, err = capfd.readouterr()
    assert out == ""
    assert "this goes to the log" in err  # and not among the replies
    assert "hunter2" not in err


def test_a_crash_is_one_error_and_what_comes_next_is_told_that_it_is_gone(model: ModelProcess):
    parts = model.generate(Generation(prompt="crash"), never)
    assert next(parts) == "wordé0 "
    with pytest.raises(LanguageModelError, match=r"was ended by signal 6|ended with code"):
        list(parts)
    assert not model.is_alive
    with pytest.raises(WorkerGone):
        list(model.generate(Generation(prompt="say 1"), never))


def test_one_that_crashed_can_be_loaded_again(tmp_path: Path, model: ModelProcess):
    with pytest.raises(LanguageModelError):
        list(model.generate(Generation(prompt="crash"), never))
    model.load(LoadRequest(path=written(tmp_path, "1")))
    assert text_of(model.generate(Generation(prompt="say 1"), never)) == "wordé0 "


def test_one_that_hangs_is_ended_and_said_to_have_hung(tmp_path: Path):
    model = ModelProcess(SCRIPTED, silence=0.5)
    model.load(LoadRequest(path=written(tmp_path, "1")))
    pid = model.pid
    assert pid is not None
    with pytest.raises(LanguageModelError, match="hung"):
        list(model.generate(Generation(prompt="hang"), never))
    assert not psutil.pid_exists(pid)


def test_one_that_does_not_even_take_requests_is_ended(tmp_path: Path):
    model = ModelProcess(SCRIPTED, silence=0.5)
    model.load(LoadRequest(path=written(tmp_path, "1")))
    assert model.pid is not None
    psutil.Process(model.pid).suspend()
    with pytest.raises(LanguageModelError, match="takes no more requests"):
        list(model.generate(Generation(prompt="say 1" + " " * 2**20), never))  # more than a pipe holds
    assert not model.is_alive


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("refuse", "does not want to"),
        ("crash", "signal 6|ended with code"),
        ("hang", "took too long to load"),
    ],
)
def test_what_cannot_be_loaded_leaves_no_process(tmp_path: Path, words: str, said: str):
    model = ModelProcess(SCRIPTED, load_seconds=1.5)
    with pytest.raises(LanguageModelError, match=said):
        model.load(LoadRequest(path=written(tmp_path, words)))
    assert model.pid is None
    with pytest.raises(WorkerGone, match="not loaded"):
        list(model.generate(Generation(prompt="say 1"), never))


def test_a_load_can_be_broken_off_by_closing(tmp_path: Path):
    model = ModelProcess(SCRIPTED)
    threading.Timer(0.3, model.close).start()
    with pytest.raises(LanguageModelError, match="was unloaded"):
        model.load(LoadRequest(path=written(tmp_path, "hang")))


def test_a_backend_that_is_not_installed_is_said_by_name(tmp_path: Path):
    with pytest.raises(LanguageModelError, match=r"no\.such_module cannot be used: no is not installed"):
        ModelProcess("no.such_module").load(LoadRequest(path=written(tmp_path, "1")))


def test_unloading_gives_the_memory_back_at_once_also_in_the_middle_of_an_answer(tmp_path: Path):
    model = ModelProcess(SCRIPTED)
    model.load(LoadRequest(path=written(tmp_path, "120")))
    pid = model.pid
    assert pid is not None
    assert model.rss_mb > 120
    parts = model.generate(Generation(prompt="for ever"), never)
    next(parts)
    model.close()
    assert not psutil.pid_exists(pid)
    assert model.rss_mb == 0
    with pytest.raises(LanguageModelError, match="was unloaded"):
        list(parts)
    model.close()


def test_a_stopped_process_is_unloaded_all_the_same(model: ModelProcess):
    pid = model.pid
    assert pid is not None
    psutil.Process(pid).suspend()
    model.close()
    assert not psutil.pid_exists(pid)


def test_text_that_is_no_unicode_arrives_as_question_marks(model: ModelProcess):
    assert model.count_tokens("a \ud800 b") == 3


@pytest.mark.e2e
@pytest.mark.skipif(os.name != "posix", reason="only there can a process be killed and leave its child")
@pytest.mark.parametrize("prompt", ["for ever", "hang"])
def test_the_worker_ends_when_the_engine_is_killed_in_the_middle_of_an_answer(tmp_path: Path, prompt: str):
    script = (
        "import os, signal, sys; "
        "from remanence.models.language_model import Generation, LoadRequest; "
        "from remanence.models.model_client import ModelProcess; "
        "model = ModelProcess(sys.argv[1]); model.load(LoadRequest(path=sys.argv[2])); "
        "next(model.generate(Generation(prompt=sys.argv[3]), lambda: False)); "
        "print(model.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    arguments = [sys.executable, "-c", script, SCRIPTED, written(tmp_path, "1"), prompt]
    done = subprocess.run(arguments, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == -9
    orphan = int(done.stdout)
    if psutil.pid_exists(orphan):
        psutil.Process(orphan).wait(timeout=10)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_in_the_terminal_is_not_the_workers_business(model: ModelProcess):
    assert model.pid is not None
    psutil.Process(model.pid).send_signal(2)
    time.sleep(0.2)
    assert text_of(model.generate(Generation(prompt="say 1"), never)) == "wordé0 "


@pytest.mark.parametrize("backend", ["ctransformers", "llama_cpp", "transformers"])
def test_a_real_model_answers_through_its_worker(backend: str):
    if backend == "llama_cpp":
        pytest.importorskip("llama_cpp")
    path = tiny_llama.folder() if backend == "transformers" else tiny_llama.gguf("Q8_0")
    fact = tiny_llama.FACTS[0]
    asked = Generation(messages=(ChatMessage("user", fact.question),), max_tokens=32)
    model = ModelProcess(backend)
    try:
        assert model.load(LoadRequest(path=str(path), threads=1)).context > 0
        assert text_of(model.generate(asked, never)).strip() == fact.answer
        assert model.count_tokens(fact.answer) > 3

        cancelled = threading.Event()
        endless = Generation(messages=(ChatMessage("user", tiny_llama.ENDLESS),), max_tokens=400)
        parts = model.generate(endless, cancelled.is_set)
        next(parts)
        cancelled.set()
        *_, end = parts
        assert isinstance(end, Usage)
        assert end.finish == "cancelled"
        assert text_of(model.generate(asked, never)).strip() == fact.answer
    finally:
        model.close()
