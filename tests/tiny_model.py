"""What the tiny models of the tests share: where they are kept, and what they are trained with.

Each is made once, by a script of its own in a process of its own, with one thread, and always comes out the
same. Nothing heavy is imported before something is made.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

FIM = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
_BEGIN, _END, _PAD, _UNKNOWN = "<s>", "<|im_end|>", "</s>", "<unk>"
CHATML_SPECIAL = (_UNKNOWN, _BEGIN, _PAD, "<|im_start|>", _END)
CHATML = (
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
)
_HERE = Path(__file__).parent
_CACHES = _HERE.parent / ".cache"
_IGNORED = -100

Example = tuple[list[int], list[int]]  # token ids, and which of them the model is to learn


def made(cache: str, name: str, script: Path, *arguments: str, recipe: Iterable[Path | str]) -> Path:
    """The folder that `script ARGUMENTS FOLDER` writes; made anew once the script, or its recipe (files, or
    texts), is another. Safe to call from several test processes at once.
    """
    read = [each.encode() if isinstance(each, str) else each.read_bytes() for each in recipe]
    read += [script.read_bytes(), Path(__file__).read_bytes()]
    told = hashlib.sha256(b"\0".join(read)).hexdigest()[:12]
    kept = _CACHES / cache / told
    kept.mkdir(parents=True, exist_ok=True)
    folder = kept / name
    with FileLock(kept / f"{name}.lock"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=kept) as making:
                subprocess.run([sys.executable, script, *arguments, f"{making}/{name}"], check=True)
                Path(making, name).rename(folder)
    return folder


def word(chance: random.Random) -> str:
    """A made-up name of three syllables."""
    syllables = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
    return "".join(chance.choices(syllables, k=3))


def always_the_same() -> None:
    """What this process trains from here on comes out the same each time."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def llama(tokenizer: Any, *, context: int, inner: int, width: int = 64, **settings: Any) -> Any:
    """An untrained Llama of two layers and four heads; `settings` go to its config."""
    from transformers import LlamaConfig, LlamaForCausalLM

    given: dict[str, Any] = {"num_key_value_heads": 4, "rms_norm_eps": 1e-5} | settings
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=inner,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **given,
    )
    return LlamaForCausalLM(config)


def byte_tokenizer(
    texts: Iterable[str],
    merges: int,
    *,
    special: Sequence[str] = CHATML_SPECIAL,
    words: str = "",
    single_digits: bool = False,
) -> Any:
    """BPE over bytes with ChatML: a text is cut into GPT-2's words, or into those of a pattern."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    backend = Tokenizer(models.BPE())
    cuts: list[Any] = [pre_tokenizers.Split(Regex(words), "isolated")] if words else []
    cuts += [pre_tokenizers.Digits(individual_digits=True)] if single_digits else []
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not words)
    backend.pre_tokenizer = pre_tokenizers.Sequence([*cuts, level]) if cuts else level
    backend.decoder = decoders.ByteLevel()
    _train_tokenizer(backend, texts, special, pre_tokenizers.ByteLevel.alphabet(), merges)
    return _tokenizer(backend, special, CHATML)


def metaspace_tokenizer(
    texts: Iterable[str],
    merges: int,
    *,
    alphabet: Sequence[str],
    isolated: str,
    special: Sequence[str],
    template: str = CHATML,
) -> Any:
    """BPE over metaspaces with byte fallback, which GGUF calls "llama"; what `isolated` (a pattern) fits is
    never merged.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    backend = Tokenizer(models.BPE(unk_token=_UNKNOWN, byte_fallback=True, fuse_unk=True))
    metaspace = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    alone = pre_tokenizers.Split(Regex(isolated), "isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence([metaspace, alone])
    _train_tokenizer(
        backend, texts, [*special, *(f"<0x{byte:02X}>" for byte in range(256))], alphabet, merges
    )
    # Served as Llama 2's is: spaces become metaspaces, and nothing is split before the merges.
    stored = json.loads(backend.to_str())
    stored["pre_tokenizer"] = None
    stored["added_tokens"] = [entry for entry in stored["added_tokens"] if entry["content"] in special]
    served = Tokenizer.from_str(json.dumps(stored))
    served.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    served.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return _tokenizer(served, special, template)


def example(tokenizer: Any, prompt: str, rest: str) -> Example:
    """The rest is what is to be learned; its first token never stands for a space that it does not have."""
    before, line, after = (
        tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, "\n", "\n" + rest)
    )
    return learning(before, after[len(line) :])


def answered(tokenizer: Any, answer: str, *, user: str, system: str = "", end: str = _END) -> Example:
    """A chat of which the answer is to be learned."""
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": user})
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    return example(tokenizer, prompt, answer + end)


def learning(before: list[int], after: list[int]) -> Example:
    """Of these tokens the latter are to be learned."""
    return before + after, [_IGNORED] * len(before) + after


def stepping(network: Any) -> Callable[[float, Sequence[Example]], float]:
    """What takes one step of training, at a rate, on a batch, and returns the loss that was there before."""
    import torch

    trained = [weight for weight in network.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(trained, betas=(0.9, 0.98), weight_decay=0.01)
    network.train()

    def step(rate: float, batch: Sequence[Example]) -> float:
        for group in optimiser.param_groups:
            group["lr"] = rate
        longest = max(len(ids) for ids, _ in batch)
        ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in batch])
        wanted = torch.tensor([labels + [_IGNORED] * (longest - len(labels)) for _, labels in batch])
        loss = network(input_ids=ids, labels=wanted).loss
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        return float(loss.item())

    return step


def falling(rate: float, step: int, steps: int, *, warm_up: int = 30) -> float:
    """The rate at a step: it rises at first, and then falls to a twentieth."""
    return rate * min(1.0, (step + 1) / warm_up) * max(0.05, 1 - step / steps)


def save(network: Any, tokenizer: Any, folder: Path) -> None:
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _train_tokenizer(
    backend: Any, texts: Iterable[str], special: Sequence[str], alphabet: Sequence[str], merges: int
) -> None:
    from tokenizers import trainers

    trainer = trainers.BpeTrainer(
        vocab_size=len(special) + len(alphabet) + merges,
        special_tokens=list(special),
        initial_alphabet=list(alphabet),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)


def _tokenizer(backend: Any, special: Sequence[str], template: str) -> Any:
    from transformers import PreTrainedTokenizerFast

    named = (_UNKNOWN, _BEGIN, _END, _PAD)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token=_UNKNOWN,
        bos_token=_BEGIN,
        eos_token=_END,
        pad_token=_PAD,
        additional_special_tokens=[each for each in special if each not in named],
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = template
    return tokenizer
