"""Which backend a model is for, by what its files say; what none can run is refused with what would.

Light on purpose: it runs in the engine, and loads nothing.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec

from remanence.models.gguf_header import GGUFHeader, read_header
from remanence.models.language_model import LanguageModelError

INSTALL_LLAMA = "pip install 'remanence[llama]'"

_MODULES = {"llama_cpp": "llama_cpp", "ctransformers": "ctransformers", "transformers": "transformers"}
_INSTALLS = {
    "llama_cpp": INSTALL_LLAMA,
    "ctransformers": "pip install ctransformers",
    "transformers": "pip install transformers",
}
_LONGEST_JSON = 1 << 26
_ADAPTER = "is an adapter, not a model: set it as the `adapter` of the model it was made for."

# What llama.cpp can write text with, as of llama-cpp-python 0.3.36.
_LLAMA_CPP = frozenset(
    """
    afmoe apertus arcee arctic arwkv7 baichuan bailingmoe bailingmoe2 bailingmoe3 bitnet bloom chameleon
    chatglm codeshell cogvlm cohere2 cohere2moe command-r dbrx deci deepseek deepseek2 deepseek2-ocr
    deepseek32 deepseek4 dots1 dots3note ernie4_5 ernie4_5-moe exaone exaone-moe exaone4 falcon falcon-h1
    gemma gemma2 gemma3 gemma3n gemma4 glm-dsa glm4 glm4moe glm5-next gpt-oss gpt2 gptj gptneox granite
    granite_swa granitehybrid granitemoe graniteswitch grok grovemoe hrm_text hunyuan-dense hunyuan-moe
    hunyuan_vl hy_v3 hy_v4 internlm2 jais jais2 jamba kimi-k3 kimi-linear laguna lfm2 lfm2moe llama llama4
    maincoder mamba mamba2 maple mellum mimo2 minicpm minicpm3 minimax-01 minimax-m2 minimax-m3 mistral3
    mistral4 mpt muse-glimmer nanbeige nemotron nemotron_h nemotron_h_moe olmo olmo2 olmoe openelm orion
    paddleocr pangu-embedded phi2 phi3 phimoe plamo plamo2 plamo3 plm qwen qwen2 qwen2moe qwen2vl qwen3
    qwen35 qwen35moe qwen3moe qwen3next qwen3vl qwen3vlmoe qwen4exp refact rwkv6 rwkv6qwen2 rwkv7 seed_oss
    smallthinker smollm3 spark2_5 stablelm starcoder starcoder2 step35 talkie xverse
    """.split()  # noqa: SIM905, as it is read better so
)
_NO_WRITERS = re.compile(r"bert|embed|clip|t5|wavtokenizer|dream|llada|rnd1|eagle|dflash|assistant|tts")
# What ctransformers 0.2.27 has: a llama.cpp of September 2023.
_CTRANSFORMERS_TYPES = frozenset(
    ("F32", "F16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")
)
_FIRST_LLAMA = re.compile(
    r"token_embd\.weight|output_norm\.weight|output\.weight|blk\.\d+\.attn_rot_embd(\.weight)?"
    r"|blk\.\d+\.(attn_(norm|q|k|v|output)|ffn_(norm|gate|up|down))\.weight"
)
_PART = re.compile(r"(.*)-00001-of-(\d{5})\.gguf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The backend for a model, and what its files say: `context` in tokens, 0 where they say nothing."""

    backend: str
    size_bytes: int
    context: int
    architecture: str
    quantisation: str


def choose_backend(path: Path, wanted: str = "", *, adapter: bool = False) -> Chosen:
    """The backend for the GGUF file or Hugging Face folder at `path`; `wanted`, where it can run it, and
    one that can apply an adapter where there is one.

    Raises LanguageModelError, saying what would run it, where nothing here can.
    """
    if wanted and wanted not in _MODULES:
        raise LanguageModelError(f"There is no backend {wanted!r} for a file: {', '.join(_MODULES)}.")
    try:
        if path.is_dir():
            return _choose_for_folder(path, wanted)
        return _choose_for_file(path, wanted, adapter)
    except OSError as error:
        raise LanguageModelError(f"The model {path} cannot be read: {error.strerror}.") from error


def _choose_for_file(path: Path, wanted: str, adapter: bool) -> Chosen:
    header = read_header(path)
    against = _against(path, header)
    if adapter and not against["ctransformers"]:
        against["ctransformers"] = "ctransformers cannot apply an adapter"
    backend = _pick(path.name, against, wanted)
    return Chosen(
        backend=backend,
        size_bytes=sum(part.stat().st_size for part in _parts(path, header)),
        context=header.context,
        architecture=header.architecture,
        quantisation=header.quantisation,
    )


def _pick(name: str, against: Mapping[str, str], wanted: str) -> str:
    """The first backend that nothing stands against and that is installed."""
    able = [backend for backend, reason in against.items() if not reason]
    if wanted and against[wanted]:
        raise LanguageModelError(
            f"{name} is not for {wanted}: {against[wanted]}. "
            + (
                f"Set backend to {able[0]}, or leave it empty."
                if able
                else "No other backend runs it either."
            )
        )
    if not able:
        raise LanguageModelError(f"No backend runs {name}: {against['llama_cpp']}.")
    installed = [backend for backend in able if _installed(backend)]
    if wanted and wanted in installed:
        return wanted
    if wanted or not installed:
        missing = wanted or able[0]
        reason = against["ctransformers"]
        why = f" (ctransformers cannot: {reason})" if reason and missing == "llama_cpp" else ""
        raise LanguageModelError(
            f"{name} needs {missing}, which is not installed{why}: run `{_INSTALLS[missing]}`."
        )
    return installed[0]


def _against(path: Path, header: GGUFHeader) -> dict[str, str]:
    """What stands against each backend for this file; nothing where it can run it."""
    if header.kind == "adapter" or "adapter.type" in header.metadata:
        raise LanguageModelError(f"{path.name} {_ADAPTER}")
    _parts(path, header)
    architecture = header.architecture
    llama = ""
    if architecture not in _LLAMA_CPP:
        llama = f"its architecture {architecture!r} is none that llama.cpp writes text with"
        if not _NO_WRITERS.search(architecture):
            llama += "; if a newer server runs it, such as llama-server or Ollama, give that server's `url`"
    elif not header.tensors:
        llama = "it has a vocabulary but no weights"
    elif not header.tokenizer or header.tokenizer in ("none", "no_vocab"):
        llama = "it has no tokenizer"
    return {
        "llama_cpp": llama,
        "ctransformers": llama or _against_ctransformers(header),
        "transformers": "it is a GGUF file, and transformers takes a Hugging Face folder",
    }


def _against_ctransformers(header: GGUFHeader) -> str:
    name = header.architecture
    if name != "llama":
        return f"ctransformers is of 2023 and does not know {name}"
    if header.tokenizer != "llama" or not header.flag("tokenizer.ggml.add_space_prefix", True):
        return "ctransformers is of 2023 and does not know its tokenizer"
    if strange := sorted(set(header.tensors.values()) - _CTRANSFORMERS_TYPES):
        return f"ctransformers is of 2023 and does not know the quantisation {strange[0]}"
    if "output.weight" not in header.tensors:
        return "its output is tied to its embedding, which ctransformers cannot load"
    scaling = header.text(f"{name}.rope.scaling.type")
    heads = max(1, header.number(f"{name}.attention.head_count", 1))
    usual_length = header.number(f"{name}.embedding_length", 0) // heads
    if (
        not all(_FIRST_LLAMA.fullmatch(tensor) for tensor in header.tensors)
        or scaling not in ("", "none")
        or header.number(f"{name}.attention.key_length", usual_length) != usual_length
    ):
        return "ctransformers is of 2023 and does not know this newer kind of Llama"
    if header.number("split.count", 1) > 1:
        return "it is in several parts, which ctransformers cannot load"
    return ""


def _parts(path: Path, header: GGUFHeader) -> list[Path]:
    """The files of the model. Raises LanguageModelError where one is missing or `path` is not the first."""
    count = header.number("split.count", 1)
    if count <= 1:
        return [path]
    named = _PART.fullmatch(path.name)
    if header.number("split.no", 0) != 0 or not named or int(named[2]) != count:
        raise LanguageModelError(f"{path.name} is one of {count} parts of a model: give the first of them.")
    parts = [path.with_name(f"{named[1]}-{number:05}-of-{count:05}.gguf") for number in range(1, count + 1)]
    if missing := [part.name for part in parts if not part.is_file()]:
        raise LanguageModelError(f"{path.name} is the first of {count} parts, and {missing[0]} is missing.")
    return parts


def _choose_for_folder(folder: Path, wanted: str) -> Chosen:
    if not (folder / "config.json").is_file():
        raise LanguageModelError(_no_model(folder))
    config = _json(folder / "config.json")
    if not isinstance(config.get("model_type"), str):
        raise LanguageModelError(f"{folder.name}/config.json does not say which model_type it is.")
    tokenizers = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "tekken.json")
    if not any((folder / name).is_file() for name in tokenizers):
        raise LanguageModelError(
            f"The model folder {folder.name} has no tokenizer: fetch its tokenizer.json."
        )
    weights = _weights(folder)
    if wanted and wanted != "transformers":
        raise LanguageModelError(
            f"{folder.name} is a Hugging Face folder, which transformers runs: {wanted} takes a GGUF file. "
            "Set backend to transformers, or leave it empty."
        )
    if not _installed("transformers"):
        raise LanguageModelError(
            f"{folder.name} needs transformers, which is not installed: run `{_INSTALLS['transformers']}`."
        )
    text = config.get("text_config")
    inner = cast(dict[str, Any], text) if isinstance(text, dict) else config
    context = inner.get("max_position_embeddings", inner.get("n_positions"))
    stated = config.get("quantization_config")
    quantised = cast(dict[str, Any], stated).get("quant_method") if isinstance(stated, dict) else None
    kind = quantised or inner.get("dtype") or inner.get("torch_dtype")
    return Chosen(
        backend="transformers",
        size_bytes=sum(file.stat().st_size for file in weights),
        context=context if isinstance(context, int) and context > 0 else 0,
        architecture=config["model_type"],
        quantisation=kind if isinstance(kind, str) else "",
    )


def _no_model(folder: Path) -> str:
    if (folder / "adapter_config.json").is_file():
        return (
            f"{folder.name} is an adapter, not a model: set it as the `adapter` of the model it was made for."
        )
    if files := sorted(file.name for file in folder.glob("*.gguf")):
        return f"{folder.name} is a folder: give the file in it, such as {files[0]}."
    return f"{folder} is no model: it has no config.json, as a Hugging Face folder has."


def _weights(folder: Path) -> list[Path]:
    """The files of the weights, each as long as it says it is."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        named = _json(index).get("weight_map")
        names = list(cast(dict[str, object], named).values()) if isinstance(named, dict) else []
        files = sorted({folder / Path(name).name for name in names if isinstance(name, str)})
    else:
        files = sorted(folder.glob("*.safetensors"))
    if missing := [file.name for file in files if not file.is_file()]:
        raise LanguageModelError(f"The model folder {folder.name} is not whole: {missing[0]} is missing.")
    if not files:
        other = any(folder.glob("*.bin")) or any(folder.glob("*.pt"))
        raise LanguageModelError(
            f"The model folder {folder.name} has no safetensors file"
            + (
                ": its weights are a Python pickle, which is not loaded as it may run any code."
                if other
                else "."
            )
        )
    for file in files:
        _check_safetensors(file)
    return files


def _check_safetensors(file: Path) -> None:
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if not 2 <= length <= min(_LONGEST_JSON, size - 8):
            raise LanguageModelError(f"{file.name} is damaged or cut off: fetch it again.")
        header = _decoded(opened.read(length), file)
    ends = [
        end
        for entry in header.values()
        if isinstance(entry, dict)
        and isinstance(place := cast(dict[str, Any], entry).get("data_offsets"), list)
        for end in cast(list[object], place)
        if isinstance(end, int)
    ]
    if not ends or size < 8 + length + max(ends):
        raise LanguageModelError(f"{file.name} is cut off: fetch it again.")


def _json(file: Path) -> dict[str, Any]:
    if file.stat().st_size > _LONGEST_JSON:
        raise LanguageModelError(f"{file.name} is damaged: it is impossibly long.")
    return _decoded(file.read_bytes(), file)


def _decoded(data: bytes, file: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LanguageModelError(f"{file.name} is damaged: {error}.") from error


def _installed(backend: str) -> bool:
    return importlib.util.find_spec(_MODULES[backend]) is not None
