"""Snapshots of the dense index: small after a capture, and never half of anything."""

from __future__ import annotations

import errno
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dense_samples import D, chunks_of, clustered, found, ids, opened, saved_codes
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence.memory import dense, dense_files
from remanence.memory.index_files import IndexWriteError


def refuse(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def slot_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("slots-*")}


def test_captures_one_by_one_only_add_to_what_is_saved(tmp_path: Path) -> None:
    vectors = clustered(60)
    index = opened(tmp_path)
    before: dict[str, bytes] = {}
    for i in range(3):
        index.add(ids(i + 1), vectors[20 * i : 20 * i + 20], ids(20))
        index.snapshot(i + 1)
        now = slot_files(tmp_path)
        assert len(now) == 1
        assert all(now[name].startswith(content) for name, content in before.items())
        before = now
    again = opened(tmp_path)
    assert (len(again), again.revision, again.note) == (3, 3, None)
    for i in range(60):
        near, kept = (each.near(vectors[i], ids(1, 2, 3)) for each in (index, again))
        np.testing.assert_array_equal((kept.whole, kept.best), (near.whole, near.best))
        assert near.best[i // 20] == pytest.approx(1, abs=2e-3)
    assert again.verify()


def test_a_removal_writes_only_its_own_chunk_anew(tmp_path: Path) -> None:
    vectors = clustered(300)
    with chunks_of(64):
        index = opened(tmp_path)
        index.add(np.arange(150), vectors, np.full(150, 2))
        index.snapshot(1)
        before = slot_files(tmp_path)
        index.remove(ids(40))  # slots 80 and 81
        index.add(ids(151), vectors[:1])
        index.add(ids(151), vectors[1:2])  # what was never saved needs no rewriting
        index.snapshot(2)
        after = slot_files(tmp_path)
        assert len(before) == len(after) == 5
        assert [len(set(names) - set(other)) for names, other in ((before, after), (after, before))] == [1, 1]
        old = saved_codes(tmp_path, 80, 81, 300)
        assert np.array_equal(old, np.tile(old[0], (3, 1)))  # all overwritten with the same
        again = opened(tmp_path)
        assert (len(again), again.revision) == (150, 2)
        assert again.verify()


@pytest.mark.parametrize("change", ["add", "remove", "both"])
def test_the_end_between_the_slots_and_the_header_leaves_the_former_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    vectors = clustered(120)
    index = opened(tmp_path)
    index.add(np.arange(40), vectors[:80], np.full(40, 2))
    index.snapshot(1)
    if change != "remove":
        index.add(np.arange(40, 60), vectors[80:], np.full(20, 2))
    if change != "add":
        index.remove(ids(3))
    with monkeypatch.context() as patch:
        patch.setattr(dense, "write_header", refuse)
        with pytest.raises(IndexWriteError, match="No space"):
            index.snapshot(2)
    crashed = opened(tmp_path)
    assert (len(crashed), crashed.revision, crashed.note) == (40, 1, None)
    assert len(list(tmp_path.glob("slots-*"))) == 1
    crashed.remove(ids(3))
    crashed.add(np.arange(40, 60), vectors[80:], np.full(20, 2))
    crashed.snapshot(3)
    again = opened(tmp_path)
    assert (len(again), again.revision) == (59, 3)
    assert again.verify()
    for row in (0, 39, 40, 59):
        assert again.near(vectors[2 * row + 1], ids(row)).best == pytest.approx(1, abs=2e-3)


def test_a_snapshot_that_failed_is_made_up_for_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = clustered(60)
    index = opened(tmp_path)
    for start in (0, 20, 40):
        index.add(np.arange(start, start + 20), vectors[start : start + 20])
        index.remove(ids(start))
        with monkeypatch.context() as patch:
            patch.setattr(dense, "write_header", refuse)
            with pytest.raises(IndexWriteError):
                index.snapshot(1)
        index.snapshot(2)
        again = opened(tmp_path)
        assert (again.note, len(again)) == (None, len(index))
        assert again.verify()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: data[:70] + bytes([data[70] ^ 64]) + data[71:],
        None,
    ],
)
def test_damaged_slots_give_an_empty_index(tmp_path: Path, damage: Callable[[bytes], bytes] | None) -> None:
    index = opened(tmp_path)
    index.add(np.arange(30), clustered(60), np.full(30, 2))
    index.snapshot(9)
    (path,) = tmp_path.glob("slots-*")
    path.unlink() if damage is None else path.write_bytes(damage(path.read_bytes()))
    again = opened(tmp_path)
    assert (len(again), again.revision, again.note) == (0, 0, "the snapshot is damaged")
    again.add(np.arange(30), clustered(30))
    again.snapshot(10)
    assert len(opened(tmp_path)) == 30


@pytest.mark.parametrize(("at", "unit"), [(0, 1), (1, 0), (1, 2), (3, 0)])
def test_units_that_do_not_make_whole_rows_give_an_empty_index(tmp_path: Path, at: int, unit: int) -> None:
    index = opened(tmp_path)
    index.add(np.arange(16), clustered(32), np.full(16, 2))
    index.snapshot(9)
    (path,) = tmp_path.glob("slots-*")
    content = bytearray(path.read_bytes())
    content[at - 32] = unit  # units are the last of a block
    path.write_bytes(content)
    head = (tmp_path / "snapshot.bin").read_bytes()
    header = json.loads(head[12:-4])
    header["chunks"][0]["crc"] = zlib.crc32(content)
    body = json.dumps(header).encode()
    start = head[:8] + struct.pack("<I", len(body)) + body
    (tmp_path / "snapshot.bin").write_bytes(start + struct.pack("<I", zlib.crc32(start)))
    again = opened(tmp_path)
    assert (len(again), again.note) == (0, "the snapshot is damaged")


def test_a_snapshot_of_the_format_before_is_built_again(tmp_path: Path) -> None:
    (tmp_path / "snapshot.bin").write_bytes(b"RMNDNS02" + bytes(100))
    (tmp_path / "vectors-000001.f16").write_bytes(bytes(2 * D))
    index = opened(tmp_path)
    assert (index.revision, index.note) == (0, "the snapshot is of another format")
    assert [path.name for path in tmp_path.glob("vectors-*")] == ["vectors-000002.f16"]


def test_a_chunk_of_another_size_is_built_again(tmp_path: Path) -> None:
    with chunks_of(16):
        index = opened(tmp_path)
        index.add(np.arange(40), clustered(40))
        index.snapshot(1)
    again = opened(tmp_path)
    assert (len(again), again.note) == (0, "the snapshot is of another format")


def test_a_compaction_that_is_not_saved_keeps_the_old_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = clustered(200)
    index = opened(tmp_path)
    index.add(np.arange(100), vectors, np.full(100, 2))
    index.snapshot(1)
    index.remove(np.arange(30))
    with monkeypatch.context() as patch:
        patch.setattr(dense_files, "replace_atomically", refuse)
        with pytest.raises(IndexWriteError):
            index.snapshot(2)
    assert len(index) == 70
    index.add(ids(7), vectors[:3], ids(3))
    index.snapshot(3)
    again = opened(tmp_path)
    assert (len(again), again.revision, len(list(tmp_path.glob("*")))) == (71, 3, 3)
    assert again.verify()
    assert again.near(vectors[2], ids(7)).best == pytest.approx(1, abs=2e-3)


steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "remove", "snapshot", "reopen", "crash"]),
        st.lists(st.integers(0, 30), min_size=1, max_size=8, unique=True),
    ),
    max_size=14,
)


@settings(max_examples=60, deadline=None)
@given(steps, st.sampled_from([7, 1 << 18]))
def test_it_comes_back_as_it_was_saved_whatever_happened_before(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, list[int]]], chunk: int
) -> None:
    folder = tmp_path_factory.mktemp("dense")
    vectors = clustered(400)
    with chunks_of(chunk):
        index = opened(folder)
        held: dict[int, tuple[int, int]] = {}
        durable = dict(held)
        gone_since: set[int] = set()
        for number, (step, rows) in enumerate(steps):
            if step == "add":
                counts = np.array([1 + (row + number) % 5 for row in rows])
                starts = np.array([(row * 11 + number) % 390 for row in rows])
                own = [vectors[at : at + n] for at, n in zip(starts, counts, strict=True)]
                index.add(ids(*rows), np.concatenate(own), counts)
                gone_since |= set(rows)
                held |= {row: (int(at), int(n)) for row, at, n in zip(rows, starts, counts, strict=True)}
            elif step == "remove":
                index.remove(ids(*rows))
                gone_since |= set(rows)
                held = {row: own for row, own in held.items() if row not in rows}
            elif step in ("snapshot", "reopen"):
                index.snapshot(number)
                durable, gone_since = dict(held), set()
            if step in ("reopen", "crash"):
                index = opened(folder)
                assert index.note is None or not durable
                assert len(index) == len(durable)
                # wiped at once: whoever owns the truth adds or removes these again
                index.remove(ids(*gone_since))
                held = {row: own for row, own in durable.items() if row not in gone_since}
            assert len(index) == len(held)
            assert index.verify()
            for row, (at, n) in held.items():
                whole = index.near(vectors[at], ids(row)).whole
                kept = index.vectors(ids(row))
                assert whole[0] == pytest.approx(1, abs=2e-3)
                np.testing.assert_allclose(kept[0], vectors[at], atol=2e-3)
                assert index.near(vectors[at + n - 1], ids(row)).best[0] == pytest.approx(1, abs=2e-3)
            assert set(found(index, vectors[0], 40)) == set(held)
