"""Another embedder in the settings: the old vectors serve until every memory has a new one."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
from service_in_process import indexed, never

from remanence.engine import messages as m
from remanence.engine.service import open_service
from remanence.models.embedder_folder import read_manifest
from remanence.models.model_folder import folder_name
from remanence.paths import Home

QUESTION = "Why does the websocket handshake fail?"
ASKED = m.RecallRequest(query="websocket connection is refused: handshake error")


@pytest.fixture
def before(home: Home) -> str:
    """A store embedded with the default model; its key."""
    service = open_service(home)
    request = m.CaptureRequest(question=QUESTION, answer="The protocol versions of both sides differ.")
    service.capture(request, never)
    indexed(service)
    model_id = service.embedders.model_id()
    service.close()
    assert model_id is not None
    return model_id


def prepare_another(home: Home, prepared: Path) -> str:
    """The same network under another name: another space, as far as the store can know; its key."""
    folder = home.models / folder_name("another")
    shutil.copytree(prepared, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["model_id"] = "another/int8/00000000"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    home.settings.write_text('[embedder]\nmodel = "another"\n')
    assert read_manifest(folder).model_id == "another/int8/00000000"
    return "another/int8/00000000"


def test_memories_are_embedded_again_and_found_throughout(
    home: Home, embedder_folder: Path, before: str
) -> None:
    after = prepare_another(home, embedder_folder)
    service = open_service(home)
    try:
        for _ in range(600):
            dense = service.indexing.dense
            if dense is not None:
                assert dense.model_id in (before, after)
                (found,) = service.recall(ASKED, never).memories
                assert found.question == QUESTION
                if dense.model_id == after and not service.indexing.backlog.count_vectors(before):
                    break
            time.sleep(0.02)
        else:
            raise AssertionError("the model was not changed")
    finally:
        service.close()


def test_a_model_before_that_is_damaged_costs_meaning_not_words(
    home: Home, embedder_folder: Path, before: str
) -> None:
    prepare_another(home, embedder_folder)
    old = home.models / embedder_folder.name
    old.unlink()
    shutil.copytree(embedder_folder, old)
    network = old / "model.onnx"
    network.write_bytes(bytes(network.stat().st_size))
    service = open_service(home)
    try:
        assert service.embedders.serving(before) is None
        (found,) = service.recall(m.RecallRequest(query="websocket handshake"), never).memories
        assert found.question == QUESTION
    finally:
        service.close()
