from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from generating import never

import tiny_llama
from remanence.models.choosing import Chosen, choose_backend
from remanence.models.language_model import ChatMessage, Generation, LanguageModelError, Usage
from remanence.models.model_client import GivenUp, ModelProcess
from remanence.models.profiles import profile_of
from remanence.models.residency import Residency
from remanence.models.resident import ModelReport
from remanence.settings import LanguageModelSettings, LanguageModelsSettings

TESTS = str(Path(__file__).parents[1])
MB = 2**20
SAY = Generation(prompt="say 2")
SAID = "wordé0 wordé1 "


@pytest.fixture(autouse=True)
def scripted_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker process finds the scripted model by its name."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([TESTS, os.environ.get("PYTHONPATH", "")]))


Make = Callable[..., Residency]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """A residency of scripted models, given as name=words (see scripted_model): a number of MB, or
    `refuse`, `crash`, `hang`. `sizes` are what their files are said to have, in MB."""
    made: list[Residency] = []

    def make(
        *,
        sizes: dict[str, float] | None = None,
        free_mb: float = 10_000.0,
        silence: float = 20.0,
        room_seconds: float = 20.0,
        most_loaded: int = 2,
        most_mb: int = 5_000,
        idle_minutes: float = 10.0,
        **models: str,
    ) -> Residency:
        for name, words in models.items():
            (tmp_path / name).write_text(words, encoding="utf-8")

        def choose(path: Path, wanted: str) -> Chosen:
            chosen = choose_backend(tiny_llama.gguf("Q8_0"))
            size = (sizes or {}).get(path.name, 1.0)
            return replace(chosen, backend="models.scripted_model", size_bytes=round(size * MB))

        residency = Residency(
            LanguageModelsSettings(
                models={name: LanguageModelSettings(path=str(tmp_path / name)) for name in models},
                most_loaded=most_loaded,
                most_mb=most_mb,
                idle_minutes=idle_minutes,
            ),
            choose=choose,
            free=lambda: free_mb,
            process=lambda backend: ModelProcess(backend, silence=silence),
            room_seconds=room_seconds,
        )
        made.append(residency)
        return residency

    yield make
    for residency in made:
        residency.close()


def ask(residency: Residency, id: str, asked: Generation = SAY, window: str = "") -> str:
    parts = residency.generate(id, asked, never, window=window)
    return "".join(part for part in parts if isinstance(part, str))


def state(residency: Residency, id: str) -> ModelReport:
    return next(each for each in residency.states() if each.id == id)


def loaded(residency: Residency) -> list[str]:
    return [each.id for each in residency.states() if each.pid is not None]


class Loading:
    """A request to load a model, in a thread of its own."""

    def __init__(self, residency: Residency, id: str) -> None:
        self._wanted = (residency, id)
        self._error: str | None = None
        self._thread = threading.Thread(target=self._load)
        self._thread.start()

    def error(self) -> str | None:
        """How it ended, once it has."""
        self._thread.join(20)
        return self._error

    def _load(self) -> None:
        residency, id = self._wanted
        try:
            residency.load(id)
        except LanguageModelError as error:
            self._error = str(error)


def until(happens: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not happens():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def test_a_model_is_loaded_by_its_first_request_and_stays_for_the_next(make: Make):
    residency = make(one="1")
    assert loaded(residency) == []
    assert state(residency, "one").state == "unloaded"
    assert ask(residency, "one") == SAID
    first = state(residency, "one")
    assert (first.state, first.context) == ("loaded", 1000)
    assert first.pid is not None
    assert first.rss_mb > 5
    assert first.idle_seconds is not None
    assert ask(residency, "one") == SAID
    assert state(residency, "one").pid == first.pid


def test_the_least_recently_used_goes_first(make: Make):
    residency = make(one="1", two="1", three="1")
    ask(residency, "one")
    ask(residency, "two")
    ask(residency, "one")
    ask(residency, "three")
    assert loaded(residency) == ["one", "three"]


def test_models_go_until_the_new_one_fits_into_the_limit_and_no_more(make: Make):
    sizes = {"small": 100.0, "middle": 300.0, "large": 1000.0}
    # with the worker's share they take 190, 450 and 1,360 MB
    residency = make(sizes=sizes, most_loaded=5, most_mb=1700, small="1", middle="1", large="1")
    ask(residency, "small")
    ask(residency, "middle")
    ask(residency, "large")
    assert loaded(residency) == ["large"]
    ask(residency, "small")
    assert loaded(residency) == ["small", "large"]


def test_a_model_in_use_is_never_unloaded_and_the_other_waits_for_its_end(make: Make):
    residency = make(most_loaded=1, one="1", two="1")
    cancelled = threading.Event()
    first = residency.generate("one", Generation(prompt="for ever"), cancelled.is_set)
    assert next(first) == "wordé0 "
    said: list[str] = []
    second = threading.Thread(target=lambda: said.append(ask(residency, "two")))
    second.start()
    until(lambda: state(residency, "two").state == "loading")
    assert next(first) == "wordé1 "
    assert loaded(residency) == ["one"]
    with pytest.raises(LanguageModelError, match="one is in use"):
        residency.unload("one")
    cancelled.set()
    list(first)
    second.join(20)
    assert said == [SAID]
    assert loaded(residency) == ["two"]


def test_one_that_waits_too_long_for_room_is_told_who_has_it(make: Make):
    residency = make(most_loaded=1, room_seconds=0.3, one="1", two="1")
    first = residency.generate("one", Generation(prompt="for ever"), never)
    next(first)
    with pytest.raises(LanguageModelError, match=r"two cannot be loaded while one is in use: at most 1"):
        ask(residency, "two")
    assert next(first) == "wordé1 "


def test_one_larger_than_the_limit_is_refused_with_what_would_fit_and_nothing_is_unloaded(make: Make):
    residency = make(sizes={"huge": 7000.0}, most_mb=3000, small="1", huge="1")
    ask(residency, "small")
    with pytest.raises(LanguageModelError) as refused:
        ask(residency, "huge")
    assert str(refused.value) == (
        "huge needs about 9,160 MB (its file has 7,000), and models may take 3,000 MB. A file of up to"
        " 2,262 MB would fit, such as Llama-3.2-3B-Instruct Q4_K_M (2,020 MB), or raise `most_mb`."
    )
    assert loaded(residency) == ["small"]
    assert state(residency, "huge").state == "failed"
    assert state(residency, "huge").problem == str(refused.value)


def test_one_for_which_the_machine_has_no_memory_free_is_refused(make: Make):
    residency = make(sizes={"large": 2000.0}, free_mb=1200.0, large="1")
    with pytest.raises(LanguageModelError, match=r"1,200 MB of memory are free\. A file of up to 877 MB"):
        ask(residency, "large")
    residency = make(free_mb=10.0, small="1")
    with pytest.raises(LanguageModelError, match="None would fit now: unload a model, or close other"):
        ask(residency, "small")


def test_unloading_gives_the_memory_back(make: Make):
    residency = make(one="100")
    ask(residency, "one")
    report = state(residency, "one")
    assert report.pid is not None
    assert report.rss_mb > 100
    residency.unload("one")
    assert not psutil.pid_exists(report.pid)
    assert state(residency, "one").state == "unloaded"
    assert state(residency, "one").rss_mb == 0
    residency.unload("one")
    assert ask(residency, "one") == SAID


def test_one_that_is_not_asked_for_a_while_is_unloaded(make: Make):
    residency = make(idle_minutes=0.6 / 60, one="1")
    residency.load("one")
    pid = state(residency, "one").pid
    assert pid is not None
    until(lambda: not psutil.pid_exists(pid))
    assert state(residency, "one").state == "unloaded"
    assert ask(residency, "one") == SAID
    until(lambda: state(residency, "one").state == "unloaded")


def test_one_that_answers_for_longer_than_the_idle_time_is_not_idle(make: Make):
    residency = make(idle_minutes=0.3 / 60, one="1")
    assert len(ask(residency, "one", Generation(prompt="say 80")).split()) == 80


def test_a_crash_is_one_error_told_in_the_list_and_the_next_request_works(make: Make):
    residency = make(one="1")
    with pytest.raises(LanguageModelError, match=r"signal 6|ended with code"):
        ask(residency, "one", Generation(prompt="crash"))
    assert state(residency, "one").state == "failed"
    assert ask(residency, "one") == SAID
    assert state(residency, "one").state == "loaded"
    assert state(residency, "one").problem is None


def test_a_worker_that_is_killed_while_idle_is_no_error_at_all(make: Make):
    residency = make(one="1")
    ask(residency, "one")
    pid = state(residency, "one").pid
    assert pid is not None
    psutil.Process(pid).kill()
    until(lambda: not psutil.pid_exists(pid))
    assert not residency.is_loaded("one")
    assert ask(residency, "one") == SAID


def test_a_hang_is_one_error_and_the_next_request_works(make: Make):
    residency = make(silence=0.5, one="1")
    with pytest.raises(LanguageModelError, match="hung"):
        ask(residency, "one", Generation(prompt="hang"))
    assert ask(residency, "one") == SAID


def test_one_that_cannot_be_loaded_says_so_to_all_who_wait_and_is_tried_again(make: Make):
    residency = make(one="refuse")
    waiting = [Loading(residency, "one") for _ in range(3)]
    assert [each.error() for each in waiting] == ["This model does not want to."] * 3
    path = Path(state(residency, "one").place)
    path.write_text("1", encoding="utf-8")
    assert ask(residency, "one") == SAID


def test_a_cancelled_request_leaves_at_once_and_the_loading_goes_on_for_the_next(make: Make):
    residency = make(one="1")
    assert list(residency.generate("one", SAY, lambda: True)) == [Usage(finish="cancelled")]
    with pytest.raises(GivenUp):
        residency.capabilities("one", lambda: True)
    until(lambda: residency.is_loaded("one"))
    assert ask(residency, "one") == SAID


def test_loading_can_be_broken_off(make: Make):
    residency = make(one="hang")
    waiting = Loading(residency, "one")
    until(lambda: state(residency, "one").pid is not None)
    assert state(residency, "one").state == "loading"
    residency.unload("one")
    assert waiting.error() == "The model worker was unloaded."


def test_two_windows_share_a_model_fairly(make: Make):
    residency = make(one="1")
    residency.load("one")
    order: list[str] = []
    first = residency.generate("one", SAY, never, window="a")
    next(first)

    def want(window: str) -> None:
        ask(residency, "one", SAY, window)
        order.append(window)

    threads: list[threading.Thread] = []
    for window in ("a", "a", "a", "b", "b"):
        threads.append(threading.Thread(target=want, args=(window,)))
        threads[-1].start()
        time.sleep(0.05)  # so that they stand in this order
    list(first)
    for thread in threads:
        thread.join(20)
    assert order == ["a", "b", "a", "b", "a"]


def test_a_request_that_waits_for_its_turn_can_be_cancelled(make: Make):
    residency = make(one="1")
    first = residency.generate("one", Generation(prompt="for ever"), never, window="a")
    next(first)
    assert list(residency.generate("one", SAY, lambda: True, window="b")) == [Usage(finish="cancelled")]
    assert next(first) == "wordé1 "


def test_tokens_are_counted_while_another_window_has_the_model(make: Make):
    residency = make(one="1")
    first = residency.generate("one", Generation(prompt="for ever"), never)
    next(first)
    assert residency.count_tokens("one", "three little words") == 3


def test_memory_is_freed_from_the_least_recently_used_on_until_it_is_enough(make: Make):
    residency = make(most_loaded=3, one="1", two="1", three="1")
    for id in ("two", "one", "three"):
        ask(residency, id)
    busy = residency.generate("two", Generation(prompt="for ever"), never)
    next(busy)
    assert residency.unload_idle(lambda: len(loaded(residency)) == 2) == ["one"]
    assert residency.unload_idle() == ["three"]
    assert loaded(residency) == ["two"]


def test_a_model_that_the_settings_do_not_name_is_said_with_those_they_do(make: Make):
    residency = make(one="1", two="1")
    with pytest.raises(
        LanguageModelError, match=r"no language model 'three' in the settings; known: one, two"
    ):
        ask(residency, "three")


def test_a_file_that_is_not_there_is_said_in_the_list_and_when_asked(make: Make):
    residency = make(one="1")
    Path(state(residency, "one").place).unlink()
    report = state(residency, "one")
    assert report.state == "failed"
    assert "cannot be read: No such file" in (report.problem or "")
    with pytest.raises(LanguageModelError, match="cannot be read"):
        ask(residency, "one")


def test_after_closing_nothing_runs_and_nothing_is_loaded_any_more(make: Make):
    residency = make(one="1", two="hang")
    ask(residency, "one")
    waiting = Loading(residency, "two")
    until(lambda: state(residency, "two").pid is not None)
    pids = [each.pid for each in residency.states()]
    residency.close()
    assert waiting.error() == "The model worker was unloaded."
    assert not any(pid is not None and psutil.pid_exists(pid) for pid in pids)
    with pytest.raises(LanguageModelError, match="engine is ending"):
        residency.load("one")


def test_a_real_model_is_found_loaded_asked_switched_and_unloaded():
    models = {
        "small": LanguageModelSettings(path=str(tiny_llama.gguf("Q4_0")), threads=1),
        "large": LanguageModelSettings(path=str(tiny_llama.gguf("F16")), threads=1),
    }
    residency = Residency(LanguageModelsSettings(models=models, most_loaded=1), profile=profile_of(8000))
    fact = tiny_llama.FACTS[1]
    asked = Generation(messages=(ChatMessage("user", fact.question),), max_tokens=32)
    try:
        for id in ("small", "large", "small"):
            assert ask(residency, id, asked).strip() == fact.answer
            assert loaded(residency) == [id]
        report = state(residency, "small")
        assert report.backend == choose_backend(tiny_llama.gguf("Q4_0")).backend
        assert report.context == tiny_llama.CONTEXT
        assert report.size_mb == pytest.approx(tiny_llama.gguf("Q4_0").stat().st_size / MB, abs=0.1)
    finally:
        residency.close()
