"""The base model that adapters are trained on: loaded as a recipe says, and only from this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from remanence.training.recipe import BaseRecipe


class BaseModelError(Exception):
    """The base model cannot be used; the message says in words what to do."""


def load_base(
    folder: Path, recipe: BaseRecipe, *, device: int | None = None, checkpointing: bool = False
) -> tuple[Any, Any]:
    """The model and its tokenizer, on one GPU where `device` names it, else on all there are.

    Raises BaseModelError in words.
    """
    check_folder(folder)
    import torch
    import transformers

    automatic = cast(Any, transformers)  # its types are as good as none
    has_gpu = torch.cuda.is_available()
    options: dict[str, Any] = {
        "dtype": getattr(torch, recipe.dtype),
        "local_files_only": True,
        "device_map": ("auto" if device is None else {"": device}) if has_gpu else "cpu",
    }
    if recipe.bits:
        options["quantization_config"] = _quantised(recipe)
    try:
        tokenizer: Any = automatic.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        model: Any = automatic.AutoModelForCausalLM.from_pretrained(str(folder), **options)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise BaseModelError(f"The model in {folder} cannot be loaded: {error}") from error
    if tokenizer.chat_template is None:
        raise BaseModelError(
            f"The tokenizer in {folder} has no chat template: take an instruct model, or add one to its"
            " tokenizer_config.json."
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if recipe.bits:
        import peft

        model = cast(Any, peft).prepare_model_for_kbit_training(
            model,
            use_gradient_checkpointing=checkpointing,
            gradient_checkpointing_kwargs={"use_reentrant": False},
        )
    return model, tokenizer


def check_folder(folder: Path) -> None:
    """Whether this is a Hugging Face folder with all its parts. Raises BaseModelError in words."""
    if not folder.is_dir():
        raise BaseModelError(
            f"{folder} is no folder: adapters are trained on a Hugging Face folder (config.json,"
            " *.safetensors, tokenizer.json). A GGUF file cannot be trained; take the model it was made from."
        )
    if not (folder / "config.json").is_file():
        raise BaseModelError(f"{folder} has no config.json: it is no Hugging Face model.")
    if not list(folder.glob("*.safetensors")):
        raise BaseModelError(f"{folder} has no *.safetensors: its weights are missing.")
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model")):
        raise BaseModelError(f"{folder} has no tokenizer.json: its tokenizer is missing.")


def _quantised(recipe: BaseRecipe) -> Any:
    import importlib.util

    import torch
    from transformers import BitsAndBytesConfig

    if importlib.util.find_spec("bitsandbytes") is None:
        raise BaseModelError(f"{recipe.bits} bits need bitsandbytes: pip install bitsandbytes.")
    if recipe.bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=getattr(torch, recipe.dtype)
    )
