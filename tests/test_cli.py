"""The command where it cannot do what was asked: one line, no traceback."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from remanence.cli import main


def test_a_data_directory_that_cannot_be_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = CliRunner().invoke(main, ["--home", str(tmp_path / "file" / "home"), "status"])
    assert result.exit_code == 1
    assert result.output.startswith("Error: The data directory cannot be used")
    assert result.output.count("\n") == 1
