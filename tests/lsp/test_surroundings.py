"""What stands around a line."""

from __future__ import annotations

import pytest

from remanence.lsp.surroundings import commented, docstring, enclosing, nested, use_of

PYTHON = """\
class Client:
    async def charge(
        self,
        amount: str,
    ) -> Charge:
        try:
            return await self.send(amount)

        except TimeoutError:
            raise
""".splitlines(keepends=True)
CSHARP = """\
class Client
{
    void Charge()
    {
        Send();
    }
}
""".splitlines(keepends=True)
YAML = """\
spec:
  other: 1
  containers:
    - name: api
      livenessProbe:
        periodSeconds: 10
""".splitlines(keepends=True)


@pytest.mark.parametrize(
    ("lines", "at", "around"),
    [
        (PYTHON, 6, ["try:", "async def charge(", "class Client:"]),
        (PYTHON, 9, ["except TimeoutError:", "async def charge(", "class Client:"]),
        (CSHARP, 4, ["void Charge()", "class Client"]),
        (YAML, 5, ["livenessProbe:", "- name: api", "containers:", "spec:"]),
        (YAML, 0, []),
    ],
)
def test_a_line_is_nested_in_the_headers_above_it(lines: list[str], at: int, around: list[str]) -> None:
    assert enclosing(lines, at) == around


def test_a_header_that_spans_lines_holds_its_first_ones() -> None:
    assert nested(PYTHON, 1, 2) == ["self,", "amount: str,"]
    assert nested(PYTHON, 6, 2) == []


def test_a_comment_stands_above_the_next_line_of_code() -> None:
    lines = ["# one\n", "# two\n", "x = 1\n", "# three\n", "\n", "y = 2\n"]
    assert commented(lines, 0, "python") == 2
    assert commented(lines, 3, "python") is None


@pytest.mark.parametrize(
    ("lines", "at", "text"),
    [
        (['"""What is here.\n', "\n", "More.\n", '"""\n', "x = 1\n"], 2, "What is here. More."),
        (['"""What is here.\n', "\n", "More.\n", '"""\n', "x = 1\n"], 4, None),
        (["def f():\n", '    r"""One line."""\n'], 1, "One line."),
        (["x = 1\n", '"""no docstring"""\n'], 1, None),
    ],
)
def test_a_docstring_starts_a_file_or_a_block(lines: list[str], at: int, text: str | None) -> None:
    assert docstring(lines, at) == text


def test_a_use_is_sought_below_before_above_and_as_a_whole_word() -> None:
    lines = ["total = 0\n", "import total\n", "subtotal = 1\n", "print(total)\n"]
    assert use_of(lines, 1, "total") == "print(total)"
    assert use_of(lines, 3, "total") == "import total"
    assert use_of(lines, 2, "subtotal") is None
