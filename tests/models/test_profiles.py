from __future__ import annotations

from dataclasses import replace

import psutil
import pytest

import tiny_llama
from remanence.models.choosing import choose_backend
from remanence.models.fitting import Limits, demand_of, fits, window_of
from remanence.models.profiles import largest_within, profile_of


@pytest.mark.parametrize(
    ("total_mb", "name"),
    [
        (2_000, "light"),
        (3_900, "light"),
        (7_600, "medium"),  # what a machine sold with 8 GB shows
        (12_000, "medium"),
        (15_300, "heavy"),  # what one sold with 16 GB shows
        (128_000, "heavy"),
    ],
)
def test_the_profile_follows_the_memory_that_the_system_shows(total_mb: int, name: str):
    assert profile_of(total_mb).name == name


@pytest.mark.parametrize("total_mb", [3_900, 7_600, 15_300, 64_000])
def test_everything_a_profile_recommends_fits_into_it(total_mb: int):
    profile = profile_of(total_mb)
    limits = Limits(1, float(profile.most_mb), float(total_mb))
    assert profile.recommended
    for each in profile.recommended:
        assert fits(demand_of(each.name, each.size_mb * 10**6, "llama_cpp"), [], limits), each.name
        assert each.quantisation
        assert each.note


def test_each_profile_names_a_model_that_runs_without_extras():
    for total_mb in (3_900, 7_600, 15_300):
        assert any("ctransformers" in each.note for each in profile_of(total_mb).recommended)


def test_this_machine_has_a_profile():
    assert profile_of().total_mb == round(psutil.virtual_memory().total / 2**20)


def test_the_largest_that_fits_is_found():
    found = largest_within(2_500)
    assert found is not None
    assert (found.name, found.size_mb) == ("Llama-3.2-3B-Instruct", 2020)
    assert largest_within(100) is None


def test_a_window_is_as_asked_for_but_no_larger_than_the_models_own():
    path = tiny_llama.gguf("F16")
    chosen = choose_backend(path)
    assert window_of(path, chosen, 100, 4096)[0] == 100
    assert window_of(path, chosen, 100_000, 4096)[0] == tiny_llama.CONTEXT
    assert window_of(path, chosen, 0, 300)[0] == 300


def test_a_window_that_nobody_asked_for_takes_little_beside_the_model():
    path = tiny_llama.gguf("F16")
    chosen = replace(choose_backend(path), context=131_072, backend="llama_cpp")
    small, small_mb = window_of(path, chosen, 0, 8192)
    large, large_mb = window_of(path, replace(chosen, size_bytes=100 * chosen.size_bytes), 0, 8192)
    assert 2048 <= small < large <= 8192
    assert small_mb / small == pytest.approx(large_mb / large)
    assert window_of(path, chosen, 32_768, 8192)[0] == 32_768


def test_what_a_large_window_takes_is_counted():
    small = demand_of("a", 1000 * 2**20, "llama_cpp", window_mb=100.0)
    large = demand_of("a", 1000 * 2**20, "llama_cpp", window_mb=4000.0)
    assert small.mb == pytest.approx(1300 + small.worker_mb)
    assert large.mb == pytest.approx(5050 + large.worker_mb)
