"""The lexical index: what a query finds, that no text is query syntax, and that damage costs only time."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lexical_samples import row

from remanence.memory.backlog import LexicalRow
from remanence.memory.lexical import LexicalIndex
from remanence.memory.lexical_files import is_whole
from remanence.memory.rows import Scope


def filled(folder: Path, *rows: LexicalRow) -> LexicalIndex:
    index = LexicalIndex.open(folder)
    index.add(rows)
    index.commit(len(rows))
    return index


def found(index: LexicalIndex, query: str, limit: int = 10, **restriction: object) -> list[int]:
    return index.search(query, limit, **restriction)[0].tolist()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Où est la mémoire partagée ?", "memoire partagee"),
        ("La ruta está caída", "caida"),
        ("def getUserName(self): ...", "user name"),
        ("the user name is wrong", "getUserName"),
        ("parse_http_response fails", "response"),
        ("parse_http_response fails", "parse_http_response"),
        ("HTTPServerError again", "server"),
        ("error E0382: use of moved value", "E0382"),
        ("fails with ERR_MODULE_NOT_FOUND here", "err_module_not_found"),
        ("see src/engine/service.py for it", "service.py"),
        ("we connect with socket.io", "socket.io"),
        ("exit code 0x80070005 on Windows", "0x80070005"),
        ("configuring the linker", "configured"),
        ("如何连接数据库", "数据库"),
        ("データベースに接続する", "接続"),
        ("re\u0301sume\u0301 parsing", "résumé"),
    ],
)
def test_a_query_finds_the_text(tmp_path: Path, text: str, query: str) -> None:
    index = filled(tmp_path, row(1, "Something else entirely", "unrelated"), row(2, text))
    assert found(index, query) == [2]


@pytest.mark.parametrize("field", ["question", "answer", "keywords", "title"])
def test_every_part_of_a_memory_is_searched(tmp_path: Path, field: str) -> None:
    value = ("quaternions",) if field == "keywords" else "about quaternions"
    fields = {"question": "a question", "answer": "an answer", field: value}
    index = filled(tmp_path, row(1, **fields))  # type: ignore[arg-type]
    assert found(index, "quaternion") == [1]


def test_scores_fall_and_the_rarer_word_wins(tmp_path: Path) -> None:
    index = filled(tmp_path, *(row(n, "fix the build") for n in range(20)), row(99, "fix the flux capacitor"))
    rowids, scores = index.search("fix the capacitor", 5)
    assert rowids[0] == 99
    assert np.all(np.diff(scores) <= 0)
    assert len(rowids) == 5


@pytest.mark.parametrize(
    "query",
    [
        "tool:aider AND (body:* OR -x)",
        '"unbalanced',
        "a^b~2 [1 TO *] {x}",
        "../../etc/passwd; DROP TABLE exchanges;--",
        '\\ + - && || ! ( ) { } [ ] ^ " ~ * ? : /',
        "\x00\ud800",
        "IN [a b]",
        "x" * 300_000,
        " ".join(f"w{n}" for n in range(5000)),
        "",
        "   ",
    ],
)
def test_no_query_text_is_syntax_or_an_error(tmp_path: Path, query: str) -> None:
    index = filled(tmp_path, row(1, "hello world"))
    assert found(index, query) == []
    assert index.continue_prompt(query, 5).tolist() == []


@pytest.fixture(scope="module")
def reused(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    return filled(tmp_path_factory.mktemp("lexical"), row(2, "zzqqx"))


@settings(max_examples=40, deadline=None)
@given(text=st.text(min_size=1, max_size=80))
def test_any_text_is_found_by_itself(reused: LexicalIndex, text: str) -> None:
    reused.add([row(1, text)])
    reused.commit(1)
    query = reused.query(text)
    assert query.known.all()
    assert (1 in found(reused, text)) == bool(query.terms)


def test_function_words_count_only_when_there_is_nothing_else(tmp_path: Path) -> None:
    index = filled(tmp_path, row(1, "to be or not to be"), row(2, "how to bind a socket"))
    assert found(index, "how to be a socket") == [2]
    assert found(index, "to be") == [1, 2]


def test_a_row_added_again_is_replaced_and_a_removed_one_gone(tmp_path: Path) -> None:
    index = filled(tmp_path, row(1, "alpha"), row(2, "beta"), row(3, "gamma"))
    index.add([row(1, "delta"), row(1, "epsilon")])
    index.remove([2, 77])
    assert found(index, "alpha") == [1]
    index.commit(4)
    assert [found(index, word) for word in ("alpha", "delta", "epsilon", "beta", "gamma")] == [
        [],
        [],
        [1],
        [],
        [3],
    ]
    assert (len(index), index.revision) == (2, 4)


def test_it_is_there_after_reopening(tmp_path: Path) -> None:
    index = filled(tmp_path, row(1, "alpha"), row(2, "beta"))
    index.add([row(3, "never committed")])
    index.close()
    again = LexicalIndex.open(tmp_path)
    assert (len(again), again.revision, again.note) == (2, 2, None)
    assert found(again, "beta") == [2]


def test_the_same_rows_given_again_after_a_crash_do_no_harm(tmp_path: Path) -> None:
    index = filled(tmp_path, row(1, "alpha"))
    state = (tmp_path / "state.json").read_bytes()
    index.add([row(2, "beta")])
    index.commit(2)
    index.close()
    (tmp_path / "state.json").write_bytes(state)  # the crash came before the revision was written
    again = LexicalIndex.open(tmp_path)
    assert again.revision == 1
    again.add([row(2, "beta")])
    again.commit(2)
    assert (len(again), found(again, "beta")) == (2, [2])


def test_the_scope_restricts_by_whole_values(tmp_path: Path) -> None:
    index = filled(
        tmp_path,
        row(1, "socket", tool="aider", conversation_id="a b", workspace="/w/one"),
        row(2, "socket", tool="codex", conversation_id="a", workspace="/w/one"),
        row(3, "socket", tool="codex", conversation_id="b", workspace="/w/\udcfftwo"),
    )
    assert sorted(found(index, "socket", scope=Scope(tool="codex"))) == [2, 3]
    assert found(index, "socket", scope=Scope(conversation_id="a b")) == [1]
    assert found(index, "socket", scope=Scope(tool="codex", workspace="/w/one")) == [2]
    assert found(index, "socket", scope=Scope(workspace="/w")) == []
    assert found(index, "socket", scope=Scope(workspace="/w/\udcfftwo")) == [3]


@pytest.mark.parametrize("size", [0, 3, 900])
def test_rows_given_restrict_the_search(tmp_path: Path, size: int) -> None:
    index = filled(tmp_path, *(row(n, "socket error") for n in range(1200)))
    among = np.random.default_rng(0).permutation(1200)[:size].astype(np.int64)
    rowids = found(index, "socket", limit=1200, among=among)
    assert sorted(rowids) == sorted(among.tolist())
    assert set(found(index, "socket", limit=2, among=among)) <= set(among.tolist())


def test_evidence_repeats_the_scores_and_names_the_words(tmp_path: Path) -> None:
    index = filled(
        tmp_path, row(1, "jwt token expired"), row(2, "socket token", "expired"), row(3, "nothing of it")
    )
    query = index.query("why has the jwt socket expired on Jupiter")
    rowids, scores = index.search(query, 10)
    asked = np.array([3, 2, 1], dtype=np.int64)
    body, question, held = index.evidence(query, asked)
    again = body + 0.5 * question  # as a search weighs them
    assert dict(zip(rowids.tolist(), scores.tolist(), strict=True)) == pytest.approx(
        {1: again[2], 2: again[1]}
    )
    assert (body[0], question[0]) == (0, 0)
    assert question[1] < question[2]  # of the second only half stands in the question
    held_words = [{t for t, h in zip(query.terms, each, strict=True) if h} for each in held]
    assert held_words == [set(), {"socket", "expir"}, {"jwt", "expir"}]
    assert not query.known[query.terms.index("jupit")]


def test_evidence_tells_many_words_apart(tmp_path: Path) -> None:
    words = [f"zq{n}x" for n in range(40)]
    index = filled(tmp_path, *(row(n, " ".join(words[: n + 1])) for n in range(40)))
    query = index.query(" ".join(words))
    _, _, held = index.evidence(query, np.arange(40, dtype=np.int64))
    assert held.sum(axis=1).tolist() == list(range(1, 41))


def test_a_typed_prompt_is_continued(tmp_path: Path) -> None:
    index = filled(
        tmp_path,
        row(1, "How do I configure the Rust linker?", "prefixes"),
        row(2, "Configuring nginx: how do I start?"),
        row(3, "Unrelated", "How do I configure everything"),
    )
    assert index.continue_prompt("how do I conf", 5).tolist() == [1, 2]
    assert index.continue_prompt("How do I configure the Rust li", 5).tolist() == [1]
    assert index.continue_prompt("conf", 5).tolist() in ([1, 2], [2, 1])
    assert index.continue_prompt("conf ", 5).tolist() == []
    assert index.continue_prompt("linker configure ", 5).tolist() == [1]
    assert index.continue_prompt("how do I conf", 1).tolist() == [1]


@pytest.mark.parametrize(
    "damage", ["state", "garbled state", "meta", "segment", "truncated", "schema", "lost"]
)
def test_a_damaged_index_starts_empty_and_can_be_filled_again(tmp_path: Path, damage: str) -> None:
    index = filled(tmp_path, *(row(n, f"alpha beta number{n}") for n in range(200)))
    index.close()
    segments = tmp_path / "segments"
    largest = max(segments.glob("*.*"), key=lambda path: path.stat().st_size)
    data = largest.read_bytes()
    if damage == "state":
        (tmp_path / "state.json").unlink()
    elif damage == "garbled state":
        (tmp_path / "state.json").write_bytes(b"\x00\xff")
    elif damage == "schema":
        (tmp_path / "state.json").write_text(json.dumps({"schema": 0, "revision": 200}))
    elif damage == "meta":
        (segments / "meta.json").write_text("{")
    elif damage == "segment":
        largest.write_bytes(data[:40] + bytes([data[40] ^ 255]) + data[41:])
    elif damage == "truncated":
        largest.write_bytes(data[: len(data) // 2])
    else:
        shutil.rmtree(segments)
    again = LexicalIndex.open(tmp_path)
    assert (len(again), again.revision) == (0, 0)
    assert again.note
    again.add([row(1, "alpha")])
    again.commit(201)
    again.close()
    last = LexicalIndex.open(tmp_path)
    assert (found(last, "alpha"), last.revision, last.note) == ([1], 201, None)


def test_a_whole_index_with_deletions_is_not_taken_for_damaged(tmp_path: Path) -> None:
    index = filled(tmp_path, *(row(n, "alpha") for n in range(50)))
    for n in range(10):
        index.remove([n])
        index.commit(100 + n)
    index.close()
    again = LexicalIndex.open(tmp_path)
    assert (again.note, len(again)) == (None, 40)


def damaged_unseen(folder: Path) -> Path:
    """The largest file, one bit of it changed, its size and time as they were."""
    largest = max((folder / "segments").glob("*.*"), key=lambda path: path.stat().st_size)
    before, data = largest.stat(), largest.read_bytes()
    largest.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
    os.utime(largest, ns=(before.st_atime_ns, before.st_mtime_ns))
    return largest


def test_opening_reads_no_file_that_nobody_touched_and_a_check_reads_all(tmp_path: Path) -> None:
    filled(tmp_path, *(row(n, f"alpha beta number{n}") for n in range(200))).close()
    assert is_whole(tmp_path / "segments")
    largest = damaged_unseen(tmp_path)
    again = LexicalIndex.open(tmp_path)
    assert (len(again), again.note) == (200, None)
    assert not is_whole(tmp_path / "segments")
    again.close()
    os.utime(largest)  # touched: now it is read
    assert LexicalIndex.open(tmp_path).note == "the index is damaged"


def test_an_index_that_never_closed_opens_as_quickly(tmp_path: Path) -> None:
    filled(tmp_path, *(row(n, f"alpha beta number{n}") for n in range(200)))
    damaged_unseen(tmp_path)
    assert LexicalIndex.open(tmp_path).note is None


def test_pages_given_back_come_again_and_what_is_being_written_is_not_lost(tmp_path: Path) -> None:
    index = filled(tmp_path, *(row(n, f"alpha number{n}") for n in range(50)))
    index.add([row(99, "delta")])
    index.give_back_pages()
    assert (len(index), found(index, "number7"), found(index, "delta")) == (50, [7], [])
    index.commit(2)
    assert found(index, "delta") == [99]
    index.give_back_pages()
    index.add([row(100, "epsilon")])
    index.commit(3)
    index.close()
    assert [found(index, word) for word in ("delta", "epsilon", "number7")] == [[99], [100], [7]]


@pytest.mark.skipif(sys.platform != "linux", reason="only there can a process see its pages")
def test_pages_given_back_no_longer_count_as_memory(tmp_path: Path) -> None:
    index = filled(tmp_path, *(row(n, " ".join(f"w{n * k % 997}" for k in range(300))) for n in range(2000)))
    index.close()

    def resident() -> int:
        own = False
        total = 0
        for line in Path("/proc/self/smaps").read_text().splitlines():
            if "-" in line.split(" ")[0]:
                own = str(tmp_path) in line
            elif own and line.startswith("Rss:"):
                total += int(line.split()[1])
        return total

    for n in range(997):
        found(index, f"w{n}")
    before = resident()
    index.give_back_pages()
    assert resident() < before / 2


def test_its_size_is_told_while_a_merge_takes_files_away(tmp_path: Path) -> None:
    index = filled(tmp_path, row(1, "alpha"))
    size = index.nbytes
    over = threading.Event()

    def come_and_go() -> None:
        while not over.is_set():
            passing = [tmp_path / "segments" / f"passing{n}" for n in range(40)]
            for path in passing:
                path.touch()
            for path in passing:
                path.unlink()

    merging = threading.Thread(target=come_and_go)
    merging.start()
    try:
        assert {index.nbytes for _ in range(500)} == {size}
    finally:
        over.set()
        merging.join()


def test_files_are_private(tmp_path: Path) -> None:
    index = filled(tmp_path / "lexical", row(1, "alpha"))
    index.close()
    assert (tmp_path / "lexical").stat().st_mode & 0o077 == 0
    modes = {path.name: path.stat().st_mode & 0o077 for path in (tmp_path / "lexical" / "segments").iterdir()}
    assert {mode for name, mode in modes.items() if not name.endswith(".lock")} == {0}


def test_how_much_a_term_says_follows_each_commit(tmp_path: Path) -> None:
    index = filled(tmp_path, row(1, "a socket"), row(2, "a lifetime"))
    before = index.query("socket lifetime")
    assert before.idf.tolist() == index.query("socket lifetime").idf.tolist()
    index.add([row(3, "another socket")])
    assert index.query("socket lifetime").idf.tolist() == before.idf.tolist()  # not committed yet
    index.commit(3)
    after = index.query("socket lifetime")
    assert after.terms == ("lifetim", "socket")
    assert after.idf[0] > after.idf[1] == pytest.approx(float(np.log1p(1.5 / 2.5)))
    index.give_back_pages()
    assert index.query("socket lifetime").idf.tolist() == after.idf.tolist()
