"""A Hugging Face folder through transformers, with PEFT adapters: for the model worker alone.

CUDA is used where torch finds it. Nothing is fetched, and no code of a model's folder is run.
"""

from __future__ import annotations

import gc
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
import transformers

from remanence.models import json_constraint
from remanence.models.json_constraint import JsonConstraint, JsonVocabulary
from remanence.models.language_model import (
    Cancelled,
    Capabilities,
    FinishReason,
    Generation,
    LanguageModelError,
    LoadRequest,
    Usage,
)
from remanence.models.peft_adapters import Adapters
from remanence.models.text_stream import TextStream
from remanence.models.transformers_folder import ModelConfig, check
from remanence.models.transformers_tokens import Tokens

_PREFILL = 256  # tokens of a prompt read at once; its attention would otherwise grow with the square
_TOP_K, _TOP_P = 40, 0.95  # of sampling, as llama.cpp's own
_UNKNOWN_CONTEXT = 4096


class _CancelledInside(Exception):
    """Raised between two layers."""


def load(asked: LoadRequest) -> TransformersModel:
    """The model of a folder. Raises LanguageModelError in words where it cannot be served."""
    folder = Path(asked.path).expanduser()
    config = check(folder)
    if asked.threads:
        torch.set_num_threads(asked.threads)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    tokenizer = _tokenizer(folder)
    network = _network(folder, config, asked.bits)
    rows = int(network.get_input_embeddings().weight.shape[0])
    if max(tokenizer.get_vocab().values()) >= rows:
        raise LanguageModelError(
            f"The tokenizer in {folder} is of another model: it has more tokens than the model's {rows}."
        )
    model = TransformersModel(network, tokenizer, asked.context)
    if asked.adapter:
        model.use_adapter(asked.adapter)
    return model


class TransformersModel:
    """A `LanguageModel` over a network and its tokenizer. One generation at a time."""

    def __init__(self, network: Any, tokenizer: Any, context: int) -> None:
        self._network = network
        self._tokens = Tokens(tokenizer, _listed(network.generation_config.eos_token_id))
        own = _own_context(network.config)
        self._capabilities = Capabilities(
            context=min(context, own) if context else own,
            infill=self._tokens.fills_gaps,
            adapters=importlib.util.find_spec("peft") is not None,
            constrained=json_constraint.available() and bool(getattr(tokenizer, "is_fast", False)),
        )
        self._vocabulary: JsonVocabulary | None = None
        self._adapters = Adapters(network)
        self._cancelled: Cancelled = _never
        for layer in _layers(network):
            layer.register_forward_pre_hook(self._between_layers)

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._capabilities

    def generate(self, asked: Generation, cancelled: Cancelled) -> Iterator[str | Usage]:
        """As `LanguageModel.generate`; cancelling stops it also in a prompt, between two layers."""
        prompt, ends = self._tokens.of(asked)
        room = self._capabilities.context - len(prompt)
        if room < 1:
            raise LanguageModelError(
                f"The prompt has {len(prompt)} tokens and this model's window {self._capabilities.context}: "
                "shorten it, or choose a model with a longer window."
            )
        if not prompt:
            raise LanguageModelError("The prompt is empty.")
        constraint = self._constraint(asked)
        pieces = self._tokens.pieces(prompt)
        text = TextStream(asked.stop)
        finish: FinishReason = "length"
        written = 0
        self._cancelled = cancelled
        try:
            for token in self._sampled(prompt, asked, constraint):
                written += 1
                if token in ends:
                    finish = "stop"
                    break
                if said := text.feed(pieces.add(token).encode()):
                    yield said
                if text.stopped or (constraint is not None and constraint.complete):
                    finish = "stop"
                    break
                if written >= min(asked.max_tokens, room):
                    break
            if said := text.feed(pieces.rest().encode()) + text.rest():
                yield said
            finish = "stop" if text.stopped else finish
        except _CancelledInside:
            finish = "cancelled"
        finally:
            self._cancelled = _never
        yield Usage(prompt_tokens=len(prompt), written_tokens=written, finish=finish)

    def count_tokens(self, text: str) -> int:
        """As `LanguageModel.count_tokens`."""
        return len(self._tokens.plain(text))

    def use_adapter(self, path: str | None) -> None:
        """As `LanguageModel.use_adapter`; `path` is a folder saved by PEFT."""
        if path is not None and not self._capabilities.adapters:
            raise LanguageModelError("Adapters need PEFT: pip install 'remanence[train]'.")
        self._adapters.use(path)

    def close(self) -> None:
        """As `LanguageModel.close`. What torch itself took goes only with its process."""
        self._network = self._adapters = cast(Any, None)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _constraint(self, asked: Generation) -> JsonConstraint | None:
        if asked.json_schema is None:
            return None
        if not self._capabilities.constrained:
            raise LanguageModelError(
                f"Output under a JSON schema needs llguidance: {json_constraint.INSTALL}."
            )
        if self._vocabulary is None:
            size = int(self._network.get_output_embeddings().weight.shape[0])
            self._vocabulary = JsonVocabulary(self._tokens.tokenizer, size, sorted(self._tokens.ends))
        return JsonConstraint(self._vocabulary, asked.json_schema)

    def _sampled(
        self, prompt: list[int], asked: Generation, constraint: JsonConstraint | None
    ) -> Iterator[int]:
        """Tokens without end, each drawn when it is asked for."""
        chance = torch.Generator().manual_seed(asked.seed % 2**63)
        cache: Any = None
        new = prompt
        while True:
            for start in range(0, len(new) - _PREFILL, _PREFILL):
                _, cache = self._step(new[start : start + _PREFILL], cache)
            logits, cache = self._step(new[_last_start(len(new)) :], cache)
            if constraint is not None:
                logits[~torch.from_numpy(constraint.allowed())] = -torch.inf
            token = _drawn(logits, asked.temperature, chance)
            if constraint is not None:
                constraint.take(token)
            yield token
            new = [token]

    def _step(self, ids: list[int], cache: Any) -> tuple[torch.Tensor, Any]:
        """Logits after the last of these tokens, float32 on the CPU, shape (tokens,), and the cache."""
        if self._cancelled():
            raise _CancelledInside
        try:
            with torch.inference_mode():
                tokens = torch.tensor([ids], device=self._network.device)
                found = self._network(
                    input_ids=tokens,
                    past_key_values=cache,
                    use_cache=True,
                    logits_to_keep=1,
                    return_dict=True,
                )
                logits = found.logits[0, -1].float().cpu()
        except _CancelledInside:
            raise
        except torch.OutOfMemoryError as error:
            raise LanguageModelError(
                "The GPU's memory does not suffice for this prompt: shorten it."
            ) from error
        except Exception as error:
            raise LanguageModelError(f"The model failed while it wrote ({type(error).__name__}).") from error
        return logits.clone(), found.past_key_values  # a copy may be written to, outside inference mode

    def _between_layers(self, *_: object) -> None:
        if self._cancelled():
            raise _CancelledInside


def _last_start(count: int) -> int:
    """Where the last piece of a prompt of so many tokens begins."""
    return (count - 1) // _PREFILL * _PREFILL


def _drawn(logits: torch.Tensor, temperature: float, chance: torch.Generator) -> int:
    if temperature <= 0:
        return int(logits.argmax())
    best, ids = torch.topk(logits / temperature, min(_TOP_K, logits.numel()))
    shares = torch.softmax(best, 0)
    shares[shares.cumsum(0) - shares > _TOP_P] = 0
    return int(ids[torch.multinomial(shares, 1, generator=chance)])


def _tokenizer(folder: Path) -> Any:
    try:
        read = cast(Any, transformers.AutoTokenizer).from_pretrained
        return read(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise LanguageModelError(
            f"The tokenizer in {folder} cannot be read: {_first_line(error)} "
            "Copy the tokenizer files of the same model into it."
        ) from error


def _network(folder: Path, config: ModelConfig, bits: int) -> Any:
    options: dict[str, Any] = {}
    if bits and not config.quantization_config:
        options["quantization_config"] = _quantised(bits)
        options["device_map"] = {"": 0 if torch.cuda.is_available() else "cpu"}
    try:
        options["dtype"] = _dtype(folder)
        read = cast(Any, transformers.AutoModelForCausalLM).from_pretrained
        network, report = read(
            str(folder), local_files_only=True, trust_remote_code=False, output_loading_info=True, **options
        )
        if torch.cuda.is_available() and not bits:
            network = network.to("cuda")
    except Exception as error:
        raise LanguageModelError(f"The model in {folder} cannot be loaded: {_first_line(error)}") from error
    missing: list[str] = sorted(report["missing_keys"])
    if missing:
        raise LanguageModelError(
            f"The weights in {folder} lack {len(missing)} matrices ({missing[0]}): fetch the model again."
        )
    return network.eval()


def _dtype(folder: Path) -> Any:
    """The weights' own type where it is fast; else float32."""
    if torch.cuda.is_available():
        return "auto"
    stored = cast(Any, transformers.AutoConfig).from_pretrained(str(folder), local_files_only=True).dtype
    onednn = torch.backends.mkldnn.is_available()
    fast = onednn and cast(Any, torch.ops.mkldnn)._is_mkldnn_bf16_supported()
    return torch.bfloat16 if stored == torch.bfloat16 and fast else torch.float32


def _quantised(bits: int) -> Any:
    if importlib.util.find_spec("bitsandbytes") is None:
        raise LanguageModelError(
            f"Loading in {bits} bits needs bitsandbytes: pip install bitsandbytes, or use a GGUF file."
        )
    if bits == 8:
        return transformers.BitsAndBytesConfig(load_in_8bit=True)
    if bits == 4:
        on_gpu = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
        return transformers.BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=torch.bfloat16 if on_gpu else torch.float32,
        )
    raise LanguageModelError(f"A folder is loaded in 4 or 8 bits, not in {bits}.")


def _layers(network: Any) -> list[Any]:
    """The network's layers, one after the other."""
    count = network.config.get_text_config().num_hidden_layers
    for module in network.modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == count:
            return list(module)
    return []


def _own_context(config: Any) -> int:
    text = config.get_text_config()
    return int(
        getattr(text, "max_position_embeddings", None)
        or getattr(text, "n_positions", None)
        or _UNKNOWN_CONTEXT
    )


def _listed(ends: int | list[int] | None) -> list[int]:
    return [] if ends is None else [ends] if isinstance(ends, int) else list(ends)


def _first_line(error: Exception) -> str:
    line = str(error).strip().partition("\n")[0] or type(error).__name__
    return line if line.endswith(".") else f"{line}."


def _never() -> bool:
    return False
