"""Options: typed, with defaults, and never fatal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from remanence.lsp.options import CompletionOptions, HoverOptions, Options, read_options

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["hover", "completion", "capture", "limit", "enabled", "marks", "standalone"]),
            inner,
        )
    ),
    max_leaves=8,
)


def test_nothing_said_means_the_defaults() -> None:
    for said in (None, {}, [], {"hover": None}, {"completion": []}):
        assert read_options(said) == (Options(), ())


def test_one_bad_setting_leaves_the_others() -> None:
    options, problems = read_options({"hover": {"limit": "many", "enabled": False}, "logLevel": "debug"})
    assert options == Options(hover=HoverOptions(enabled=False), log_level="debug")
    assert problems == ("remanence.hover.limit: expected `int`, got `str`",)


def test_each_bad_setting_is_reported() -> None:
    options, problems = read_options(
        {"hover": 3, "completion": {"marks": ["%?", 7], "tokenBudget": 1}, "capture": {"transcripts": "no"}}
    )
    assert options == Options()
    assert [problem.split(":")[0] for problem in problems] == [
        "remanence.hover",
        "remanence.completion.marks[1]",
        "remanence.completion.tokenBudget",
        "remanence.capture.transcripts",
    ]


def test_options_that_are_no_object_are_reported() -> None:
    options, problems = read_options("yes")
    assert options == Options()
    assert problems == ("options must be an object, not str",)


def test_later_settings_lie_over_earlier_ones() -> None:
    options, problems = read_options(
        {"completion": {"marks": ["%?"], "tokenBudget": 500}, "hover": {"limit": 2}},
        {"completion": {"tokenBudget": 800}, "hover": None, "trace": {"server": "off"}},
    )
    assert options == Options(
        completion=CompletionOptions(marks=("%?",), token_budget=800), hover=HoverOptions(limit=2)
    )
    assert problems == ()


@given(JSON, JSON)
def test_no_json_stops_the_server(first: object, second: object) -> None:
    options, problems = read_options(first, second)
    assert isinstance(options, Options)
    assert all(problem for problem in problems)


def test_the_options_of_the_language_model_are_off_where_they_would_cost_time() -> None:
    options, problems = read_options({"inlineCompletion": {"debounceMs": 400}, "ask": {"tokenBudget": 900}})
    assert problems == ()
    assert (options.inline_completion.debounce_ms, options.ask.token_budget) == (400, 900)
    assert not options.hover.model
    assert not options.completion.model
