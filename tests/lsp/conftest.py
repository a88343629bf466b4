"""Fixtures of the language server's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from remanence.paths import Home


@pytest.fixture(scope="module")
def new_home(tmp_path_factory: pytest.TempPathFactory, embedder_folder: Path) -> Callable[[], Home]:
    """Makes data directories with the default embedder prepared, for fixtures that outlive one test."""

    def make() -> Home:
        home = Home(tmp_path_factory.mktemp("lsp") / "home").create()
        (home.models / embedder_folder.name).symlink_to(embedder_folder, target_is_directory=True)
        return home

    return make
