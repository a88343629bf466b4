"""Fenced code blocks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from remanence.lsp.fences import fence_for, fenced_lines, open_fence

LINES = st.lists(
    st.sampled_from(["```", "````", "~~~", "```py", " ```", "a", "", "    ```", "```a`b"]), max_size=12
)


@given(LINES)
def test_closed_blocks_are_those_of_commonmark(lines: list[str]) -> None:
    closed: set[int] = set()
    unclosed_from = len(lines)
    for token in MarkdownIt("commonmark").parse("\n".join(lines)):
        if token.type == "fence" and token.map:
            start, end = token.map
            last = lines[end - 1].strip() if end - 1 > start else ""
            is_closer = set(last) == {token.markup[0]} and last.startswith(token.markup)
            if not is_closer or lines[end - 1].startswith("    "):
                unclosed_from = start
                break
            closed |= set(range(start, end))
    fenced = fenced_lines(lines)
    assert {at for at in range(unclosed_from) if fenced[at]} == closed


def test_a_fence_that_is_never_closed_hides_only_itself() -> None:
    assert fenced_lines(["```py", "a", "## Me"]) == [True, False, False]


def test_many_unclosed_fences_cost_linear_time() -> None:
    lines = ["````py", "```"] * 20_000
    assert fenced_lines(lines)[0]


def test_the_language_of_the_block_around_a_line_is_its_info_string() -> None:
    lines = ["text", "```python title=a", "x", "```", "y", "~~~", "z"]
    assert [open_fence(lines, at) for at in range(len(lines))] == [
        None,
        None,
        "python title=a",
        "python title=a",
        None,
        None,
        "",
    ]


@given(st.text(st.sampled_from("`a\n"), max_size=20))
def test_a_fence_is_longer_than_any_in_its_code(code: str) -> None:
    assert fence_for(code) not in code
