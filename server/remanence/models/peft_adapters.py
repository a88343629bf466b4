"""LoRA adapters of PEFT over one loaded base: applied, switched and taken off without loading it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import msgspec

from remanence.models.language_model import LanguageModelError

_MOST_KEPT = 3  # adapters that stay in memory, so that switching between them costs a millisecond
_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_ROOT = "base_model.model."
# Adapters begun in these ways hold the difference to a base that was changed first.
_FROM_CHANGED_BASES = ("pissa", "olora", "corda", "loftq", "lora_ga")

_Stamp = tuple[str, int, int]


class _Config(msgspec.Struct, frozen=True):
    peft_type: str | None = None
    bias: str = "none"
    init_lora_weights: bool | str | None = True
    layer_replication: object = None


class Adapters:
    """The adapters of one base. Not safe to use from several threads."""

    def __init__(self, base: Any) -> None:
        """`base` is a model of transformers; its layers are wrapped at the first adapter, its weights
        never changed."""
        self._base = base
        self._peft: Any = None
        self._kept: dict[_Stamp, str] = {}  # least recently used first
        self._count = 0
        self._applied: _Stamp | None = None

    def use(self, path: str | None) -> None:
        """Apply the adapter of this folder in place of another, or none. Raises LanguageModelError in words;
        what was applied before then still is."""
        if path is None:
            if self._peft is not None:
                self._peft.base_model.disable_adapter_layers()
            self._applied = None
            return
        folder = Path(path).expanduser().resolve()
        stamp = _checked(folder)
        if stamp == self._applied:
            return
        if stamp not in self._kept:
            _check_fits(folder, self._base)
            self._load(folder, stamp)
        self._kept[stamp] = self._kept.pop(stamp)
        self._apply(stamp)
        while len(self._kept) > _MOST_KEPT:
            self._peft.delete_adapter(self._kept.pop(next(iter(self._kept))))

    def _apply(self, stamp: _Stamp) -> None:
        self._peft.set_adapter(self._kept[stamp])
        self._peft.base_model.enable_adapter_layers()
        self._peft.eval()
        self._applied = stamp

    def _load(self, folder: Path, stamp: _Stamp) -> None:
        from peft import PeftModel

        self._count += 1
        name = f"a{self._count}"
        try:
            if self._peft is None:
                make = cast(Any, PeftModel).from_pretrained
                self._peft = make(self._base, str(folder), adapter_name=name, is_trainable=False)
            else:
                self._peft.load_adapter(str(folder), adapter_name=name, is_trainable=False)
        except Exception as error:
            self._take_back(name)
            raise LanguageModelError(f"The adapter in {folder} cannot be loaded: {error}") from error
        self._kept[stamp] = name

    def _take_back(self, name: str) -> None:
        """Leave nothing of an adapter that was loaded in part."""
        if self._peft is None:
            return
        if name in self._peft.peft_config:
            self._peft.delete_adapter(name)
        if self._applied is not None:
            self._apply(self._applied)
        else:
            self._peft.base_model.disable_adapter_layers()


def _checked(folder: Path) -> _Stamp:
    """What tells this adapter from others, and from itself trained anew."""
    if not (folder / _CONFIG).is_file():
        raise LanguageModelError(f"{folder} is no PEFT adapter: it has no {_CONFIG}.")
    if not (folder / _WEIGHTS).is_file():
        raise LanguageModelError(f"The adapter in {folder} has no {_WEIGHTS}: save it again with PEFT.")
    try:
        config = msgspec.json.decode((folder / _CONFIG).read_bytes(), type=_Config)
        file = (folder / _WEIGHTS).stat()
    except (OSError, msgspec.DecodeError) as error:
        raise LanguageModelError(f"The {_CONFIG} in {folder} cannot be read: {error}") from error
    if config.peft_type != "LORA":
        raise LanguageModelError(
            f"The adapter in {folder} is {config.peft_type or 'of no kind'}: only LoRA is served."
        )
    begun = str(config.init_lora_weights).lower()
    if config.bias != "none" or config.layer_replication or begun.startswith(_FROM_CHANGED_BASES):
        raise LanguageModelError(
            f"The adapter in {folder} changes its base beyond LoRA, which then could not be restored: "
            "save it as a plain LoRA (bias none, converted weights)."
        )
    return str(folder), file.st_mtime_ns, file.st_size


def _check_fits(folder: Path, base: Any) -> None:
    """Refuse an adapter whose matrices belong to another model."""
    from safetensors import safe_open

    modules = dict(base.named_modules())
    try:
        with cast(Any, safe_open)(str(folder / _WEIGHTS), framework="pt") as file:
            names: list[str] = list(file.keys())
            shapes: dict[str, list[int]] = {name: file.get_slice(name).get_shape() for name in names}
    except Exception as error:
        raise LanguageModelError(f"The {_WEIGHTS} in {folder} cannot be read: {error}") from error
    matched = 0
    for name, shape in shapes.items():
        place, found, side = name.removeprefix(_ROOT).rpartition(".lora_")
        if not found or side not in ("A.weight", "B.weight") or len(shape) != 2:
            continue
        module = modules.get(place)
        inside, outside = getattr(module, "in_features", None), getattr(module, "out_features", None)
        wanted, found_size = (inside, shape[1]) if side.startswith("A") else (outside, shape[0])
        if module is None or (wanted is not None and wanted != found_size):
            raise LanguageModelError(
                f"The adapter in {folder} was made for another model: {place} is missing or of another size."
            )
        matched += 1
    if not matched:
        raise LanguageModelError(
            f"The adapter in {folder} holds no LoRA matrices that this model has a place for."
        )
