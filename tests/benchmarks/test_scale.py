"""The scale benchmark's own parts: its stores, its exact search, its plot."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from big_store import big_store, read_rows
from growth_plot import growth_svg
from recall_scale import exact
from vector_cache import VectorCache

from remanence.memory.backlog import Backlog
from remanence.memory.rows import Scope
from remanence.memory.store import Store
from remanence.memory.units import pieces
from remanence.models.embedder import Embedder
from remanence.paths import Home

SIZE = 300  # several rounds of the demo's exchanges
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def embedder(embedder_folder: Path) -> Embedder:
    return Embedder.load(embedder_folder, 2)


@pytest.fixture(scope="module")
def home(embedder: Embedder, tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("big")
    return big_store(read_rows(None), VectorCache(embedder, folder), SIZE, folder / "store")


def test_a_big_store_is_as_large_as_asked_for_and_wants_no_indexing(home: Home, embedder: Embedder) -> None:
    store = Store.open(home.database)
    backlog = Backlog(store.database)
    rows = store.rows(store.scope(Scope()).tolist())
    found = backlog.vectors(embedder.model_id, embedder.dimensions, 0, 10**6)
    counts = dict(zip(found.numbers.tolist(), found.counts.tolist(), strict=True))
    store.close()
    assert len({(row.question, row.answer) for row in rows}) == SIZE
    assert counts == {row.row: len(pieces(row.question, row.answer)) for row in rows}
    assert np.allclose(np.linalg.norm(found.values.astype(np.float32), axis=1), 1, atol=0.01)
    assert all(row.keywords for row in rows)


def test_a_store_that_an_earlier_run_left_is_taken_as_it_is(home: Home, embedder: Embedder) -> None:
    before = home.database.stat().st_mtime_ns
    vectors = VectorCache(embedder, home.root.parent)
    assert big_store(read_rows(None), vectors, SIZE, home.root) == home
    assert home.database.stat().st_mtime_ns == before


def test_exact_search_is_the_same_whatever_is_read_at_once(home: Home, embedder: Embedder) -> None:
    store = Store.open(home.database)
    backlog = Backlog(store.database)
    asked = np.stack([embedder.encode_query(text) for text in ("a retry of the invoice", "which port")])
    found = backlog.vectors(embedder.model_id, embedder.dimensions, 0, 10**6)
    by_block, at_once = exact(backlog, embedder, asked, 37), exact(backlog, embedder, asked, 10**6)
    store.close()
    starts = np.cumsum(found.counts) - found.counts
    cosines = asked @ found.values.astype(np.float32).T
    sums = cosines[:, starts] + np.maximum.reduceat(cosines, starts, axis=1)
    place = {row: i for i, row in enumerate(found.numbers.tolist())}
    for query in range(len(asked)):
        best = np.sort(sums[query])[::-1][:10]
        for answered in (by_block, at_once):
            assert np.allclose([sums[query, place[row]] for row in answered[query].tolist()], best)


def test_the_plot_is_svg_with_every_line_and_name_inside() -> None:
    lines = {"ours & theirs": [(1e3, 5.0), (1e6, 20.0)], "flat": [(1e3, 8.0), (1e5, 900.0)]}
    svg = ElementTree.fromstring(growth_svg(lines, "p95"))
    _, _, width, height = map(float, svg.attrib["viewBox"].split())
    places = [
        tuple(map(float, pair.split(",")))
        for line in svg.iter(f"{SVG}polyline")
        for pair in line.attrib["points"].split()
    ]
    assert all(0 <= x <= width and 0 <= y <= height for x, y in places)
    assert len(list(svg.iter(f"{SVG}circle"))) == 4
    assert {"ours & theirs", "flat", "p95"} <= {text.text for text in svg.iter(f"{SVG}text")}
