"""Which line of remembered code goes on with the typed one, and how much of it."""

from __future__ import annotations

import pytest

from remanence.engine.messages import CodeBlock
from remanence.lsp.remembered_code import Continuation, continuation, is_worth_asking

CODE = """\
import time

def retry(call, attempts=3):
    for attempt in range(attempts):
        try:
            return call()
        except OSError:
            time.sleep(2 ** attempt)
    raise GaveUp(
        attempts,
    )

retry(fetch_prices)
"""


def block(code: str = CODE, language: str = "python") -> CodeBlock:
    return CodeBlock(memory_id="m1", question="How do I retry?", language=language, code=code)


def gone_on(typed: str, language: str = "python", *blocks: CodeBlock) -> str | None:
    found = continuation(typed, blocks or (block(),), language)
    return found.text if found else None


def test_a_line_is_finished() -> None:
    assert continuation("retry(fet", [block()], "python") == Continuation("ch_prices)", ["m1"])


def test_what_is_nested_in_the_line_comes_along() -> None:
    assert gone_on("        try:") == "\n            return call()"


def test_the_line_that_closes_a_bracket_comes_along() -> None:
    assert gone_on("raise Gave") == "Up(\n    attempts,\n)"


def test_further_lines_are_indented_like_the_typed_one() -> None:
    assert gone_on("\t\traise Gave") == "Up(\n\t\t    attempts,\n\t\t)"


def test_blank_lines_inside_stay_empty_and_none_ends_it() -> None:
    code = "def f():\n    a = 1\n\n    b = 2\n\n\nc = 3\n"
    assert gone_on("def f(", "python", block(code)) == "):\n    a = 1\n\n    b = 2"


@pytest.mark.parametrize("typed", ["retry(fetch_prices)", "import time"])
def test_a_line_that_is_whole_and_holds_nothing_is_not_repeated(typed: str) -> None:
    assert gone_on(typed) is None


@pytest.mark.parametrize("typed", ["etry(fetch", "retry( fet", "RETRY(fet"])
def test_only_the_very_same_beginning_goes_on(typed: str) -> None:
    assert gone_on(typed) is None


@pytest.mark.parametrize(
    ("fence", "language", "fits"),
    [("py", "python", True), ("", "rust", True), ("python", "rust", False), ("ts", "typescriptreact", True)],
)
def test_code_of_another_language_is_passed_over(fence: str, language: str, fits: bool) -> None:
    assert (gone_on("retry(fet", language, block(language=fence)) is not None) is fits


def test_the_first_block_that_fits_is_taken() -> None:
    other = CodeBlock(memory_id="m2", question="", language="", code="retry(fetch_orders)")
    assert continuation("retry(fet", [other, block()], "python") == Continuation("ch_orders)", ["m2"])


@pytest.mark.parametrize(
    ("typed", "worth"),
    [("", False), ("    def p", False), ("=========", False), ("def parse", True), ("retry(a, b", True)],
)
def test_a_few_characters_are_not_worth_a_question(typed: str, worth: bool) -> None:
    assert is_worth_asking(typed) is worth
