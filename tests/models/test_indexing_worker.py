import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from remanence.models.embedder import Embedder
from remanence.models.keyword_client import KeywordRequest, KeywordWorker, WorkerError

TEXT = "How do I keep a database connection pool from running out? Close the session, set pool_recycle."
PHRASES = (
    "connection pool",
    "connection",
    "pool",
    "database connection",
    "session",
    "pool_recycle",
    "running",
)


@pytest.fixture(scope="module")
def embedder(embedder_folder: Path) -> Embedder:
    return Embedder.load(embedder_folder)


@pytest.fixture(scope="module")
def worker(embedder_folder: Path) -> Iterator[KeywordWorker]:
    worker = KeywordWorker(embedder_folder)
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def request_of_text(embedder: Embedder) -> KeywordRequest:
    return KeywordRequest(PHRASES, embedder.encode([TEXT])[0])


def test_keywords_are_candidates_with_their_cosine_best_first(
    worker: KeywordWorker, request_of_text: KeywordRequest, embedder: Embedder
):
    (keywords,) = worker.extract([request_of_text])
    assert {keyword.phrase for keyword in keywords} <= set(PHRASES)
    assert keywords[0].phrase in {"connection pool", "database connection"}
    scores = [keyword.score for keyword in keywords]
    assert scores == sorted(scores, reverse=True)
    cosine = float(embedder.encode([keywords[0].phrase])[0] @ request_of_text.vector)
    assert scores[0] == pytest.approx(cosine, abs=0.05)


def test_no_keyword_is_a_variant_of_another(worker: KeywordWorker, request_of_text: KeywordRequest):
    (keywords,) = worker.extract([request_of_text])
    words = [set(keyword.phrase.split()) for keyword in keywords]
    assert not any(a <= b for i, a in enumerate(words) for j, b in enumerate(words) if i != j)


def test_each_document_of_a_batch_gets_its_own_in_order(worker: KeywordWorker, embedder: Embedder):
    texts = ["kittens sleep in the sun", "the compiler rejects the borrow", "a violin concerto in d"]
    candidates = (("kittens", "sun"), ("compiler", "borrow"), ("violin", "concerto"))
    vectors = embedder.encode(texts).astype(np.float16)
    batch = [KeywordRequest(phrases, vector) for phrases, vector in zip(candidates, vectors, strict=True)]
    found = worker.extract([*batch, KeywordRequest((), vectors[0])])
    assert [{keyword.phrase for keyword in keywords} for keywords in found] == [*map(set, candidates), set()]


def test_top_bounds_how_many(worker: KeywordWorker, request_of_text: KeywordRequest):
    assert [len(keywords) for keywords in worker.extract([request_of_text], top=2)] == [2]
    assert worker.extract([]) == []


def test_identifiers_and_other_scripts_come_back_unchanged(worker: KeywordWorker, embedder: Embedder):
    phrases = ("createEngine", "数据库", "requête", "app/db.py", "line\nbreak")
    (keywords,) = worker.extract([KeywordRequest(phrases, embedder.encode(["x"])[0])])
    assert {keyword.phrase for keyword in keywords} == set(phrases)


def test_a_refused_batch_is_one_error_and_the_worker_lives(
    worker: KeywordWorker, request_of_text: KeywordRequest
):
    worker.extract([request_of_text])
    before = worker.pid
    with pytest.raises(WorkerError, match="3 dimensions where 384 are needed"):
        worker.extract([KeywordRequest(("a",), np.ones(3, np.float32))])
    assert worker.extract([request_of_text], top=1) != [[]]
    assert worker.pid == before


@pytest.mark.e2e
def test_a_killed_worker_is_one_error_and_the_next_call_starts_another(
    embedder_folder: Path, request_of_text: KeywordRequest
):
    worker = KeywordWorker(embedder_folder)
    try:
        expected = worker.extract([request_of_text])
        killed = worker.pid
        assert killed is not None
        psutil.Process(killed).suspend()  # in the middle of the batch that comes next
        with pytest.raises(WorkerError, match="ended with code"):
            _extract_while(worker, request_of_text, lambda: psutil.Process(killed).kill())
        assert worker.pid is None
        assert worker.extract([request_of_text]) == expected
        assert worker.pid not in (None, killed)
    finally:
        worker.close()


@pytest.mark.e2e
@pytest.mark.skipif(os.name != "posix", reason="only there can a process be killed and leave its child")
def test_the_worker_ends_when_its_parent_is_killed(embedder_folder: Path):
    script = (
        "import os, signal, sys; from pathlib import Path; "
        "from remanence.models.keyword_client import KeywordWorker; "
        "worker = KeywordWorker(Path(sys.argv[1])); worker.extract([]); print(worker.pid, flush=True); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, embedder_folder], stdout=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == -9
    orphan = int(done.stdout)
    if psutil.pid_exists(orphan):
        psutil.Process(orphan).wait(timeout=10)


def test_a_batch_that_takes_too_long_is_an_error(embedder_folder: Path, request_of_text: KeywordRequest):
    worker = KeywordWorker(embedder_folder, timeout=0.05)
    with pytest.raises(WorkerError, match=r"took longer than 0\.05 s"):
        worker.extract([request_of_text])
    assert worker.pid is None


@pytest.mark.e2e
def test_close_ends_the_process_and_may_be_called_again(
    embedder_folder: Path, request_of_text: KeywordRequest
):
    worker = KeywordWorker(embedder_folder)
    worker.close()
    worker.extract([request_of_text])
    pid = worker.pid
    assert pid is not None
    if os.name == "posix":
        assert psutil.Process(pid).nice() >= 10
    worker.close()
    worker.close()
    assert worker.pid is None
    assert not psutil.pid_exists(pid)


@pytest.mark.e2e
def test_closing_at_any_moment_is_one_clear_error_for_who_asks(embedder_folder: Path):
    worker = KeywordWorker(embedder_folder)
    met: list[Exception] = []

    def ask() -> None:
        for _ in range(3):
            try:
                worker.extract([KeywordRequest(("a" * 100_000,) * 20, np.ones(384, np.float32))])
            except Exception as error:  # noqa: BLE001  whatever it is, the test names it
                met.append(error)

    for pause in (0.0, 0.001, 0.01, 0.05, 0.2):  # while it is started, written to, read from
        asking = threading.Thread(target=ask)
        asking.start()
        while asking.is_alive():
            worker.close()
            asking.join(timeout=pause)
    worker.close()
    assert len(met) == 15
    assert {type(error) for error in met} == {WorkerError}
    assert any("was closed" in str(error) for error in met)
    assert worker.pid is None


def test_an_unprepared_embedder_is_said_so(tmp_path: Path):
    worker = KeywordWorker(tmp_path / "none")
    try:
        with pytest.raises(WorkerError, match="run `remanence prepare`"):
            worker.extract([KeywordRequest(("a",), np.ones(384, np.float32))])
    finally:
        worker.close()


@pytest.mark.e2e
def test_the_worker_ends_with_its_input_and_answers_nonsense_with_an_error(embedder_folder: Path):
    command = [sys.executable, "-m", "remanence.models.indexing_worker", str(embedder_folder)]
    done = subprocess.run(command, input=b"not json\n{}\n", capture_output=True, check=False)
    assert done.returncode == 0
    assert [b'"error":"' in line for line in done.stdout.splitlines()] == [True, True]


def test_keybert_comes_without_torch():
    script = (
        "import sys; import remanence.models.keybert_backend as backend; assert backend.KeyBERT; "
        "heavy = ('torch', 'transformers', 'sentence_transformers'); "
        "print([name for name in heavy if sys.modules.get(name)])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_nothing_a_library_prints_reaches_a_claimed_stdout():
    script = (
        "import os; from remanence.models.child_stdout import claim_stdout; print('before'); "
        "protocol = claim_stdout(); print('python', flush=True); os.write(1, b'c'); os.system('echo child'); "
        "protocol.write(b'reply'); protocol.flush()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["before", "reply"]
    assert all(word in done.stderr for word in ("python", "c", "child"))


def _extract_while(worker: KeywordWorker, item: KeywordRequest, meanwhile: Callable[[], None]) -> None:
    timer = threading.Timer(0.2, meanwhile)
    timer.start()
    try:
        worker.extract([item])
    finally:
        timer.join()
