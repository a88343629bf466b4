"""What every export shares: int8 where it stays close to the original, fp32 where it does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from msgspec.json import Decoder
from onnx import TensorProto, helper, numpy_helper

from remanence.models.model_folder import MODEL, ModelError, SealedManifest, damage, read
from remanence.models.onnx_export import Precision, quantise_if_faithful


class Manifest(SealedManifest, frozen=True, kw_only=True):
    kind = "test model"


DECODER = Decoder(Manifest)


@pytest.fixture
def partial(tmp_path: Path) -> Path:
    """A folder with a small network of one layer, as an export writes it."""
    weights = np.random.default_rng(0).standard_normal((16, 4)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="layer")],
        "one layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / MODEL)
    (tmp_path / "tokenizer.json").write_text("{}")
    return tmp_path


def described(precision: Precision) -> Manifest:
    return Manifest(
        model="m", model_id=f"m/{precision}", max_tokens=8, pad_id=0, precision=precision, files=[]
    )


def test_int8_replaces_the_exported_network_where_nothing_is_lost(partial: Path) -> None:
    exported = (partial / MODEL).read_bytes()
    quantise_if_faithful(partial, lambda progress, message: None, described, lambda manifest: None)
    manifest = read(partial, DECODER)
    assert (manifest.precision, manifest.note) == ("int8", "")
    assert (partial / MODEL).read_bytes() != exported
    assert damage(partial, DECODER) is None
    assert sorted(file.name for file in partial.iterdir()) == ["manifest.json", MODEL, "tokenizer.json"]


def test_int8_that_loses_too_much_is_dropped_and_the_manifest_says_so(partial: Path) -> None:
    exported = (partial / MODEL).read_bytes()
    quantise_if_faithful(
        partial,
        lambda progress, message: None,
        described,
        lambda manifest: "scores by .5" if manifest.precision == "int8" else None,
    )
    manifest = read(partial, DECODER)
    assert (manifest.model_id, manifest.note) == ("m/fp32", "int8 was dropped: scores by .5")
    assert (partial / MODEL).read_bytes() == exported
    assert damage(partial, DECODER) is None
    assert sorted(file.name for file in partial.iterdir()) == ["manifest.json", MODEL, "tokenizer.json"]


def test_an_export_that_differs_from_its_original_is_refused(partial: Path) -> None:
    with pytest.raises(ModelError, match=r"m cannot be used: .* differs from the original \(by half\)"):
        quantise_if_faithful(partial, lambda progress, message: None, described, lambda manifest: "by half")
