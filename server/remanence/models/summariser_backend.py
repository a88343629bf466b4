"""A seq2seq model that shortens texts, for a model worker of its own: BART, T5 and their like.

`sshleifer/distilbart-cnn-12-6` reads English prose well, `Falconsai/text_summarization` is a fifth of its
size. A folder, or a model id that is in the local Hugging Face cache; nothing is fetched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
import transformers

from remanence.models.language_model import (
    Cancelled,
    Capabilities,
    FinishReason,
    Generation,
    LanguageModelError,
    LoadRequest,
    Usage,
)
from remanence.models.text_stream import legal

_MOST_TOKENS = 1024  # of the window: attention takes time by the square
_SPARE = 4  # special tokens around a text
_SENTENCE = re.compile(r"(?<=[.!?…])\s+|\n+")
_SENTENCE_END = re.compile(r".*[.!?…](?=\s|\Z)", re.S)
_WORD = re.compile(r"\w{3,}")


def load(asked: LoadRequest) -> SummariserModel:
    """Raises LanguageModelError in words where it is no such model, or not here."""
    place = str(Path(asked.path).expanduser()) if Path(asked.path).expanduser().is_dir() else asked.path
    if asked.threads:
        torch.set_num_threads(asked.threads)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        read: Any = cast(Any, transformers.AutoTokenizer).from_pretrained
        tokenizer = read(place, local_files_only=True, trust_remote_code=False)
        read = cast(Any, transformers.AutoModelForSeq2SeqLM).from_pretrained
        network, report = read(
            place,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            dtype=torch.float32,
        )
    except OSError as error:
        raise LanguageModelError(
            f"The summariser {asked.path} is not on this machine, or not whole: "
            f"set a folder, or fetch it with `hf download {asked.path}`."
        ) from error
    except Exception as error:
        first = str(error).partition("\n")[0]
        raise LanguageModelError(f"{asked.path} cannot shorten texts, or not here: {first}") from error
    missing: list[str] = sorted(report["missing_keys"])
    if missing:
        raise LanguageModelError(
            f"The weights of the summariser {asked.path} lack {missing[0]}: fetch it again."
        )
    return SummariserModel(network.eval(), tokenizer)


class SummariserModel:
    """A `LanguageModel` that only shortens: the user's message is the text, the system's what it is for."""

    def __init__(self, network: Any, tokenizer: Any) -> None:
        self._network: Any = network
        self._tokenizer = tokenizer
        config: Any = network.config
        own: Any = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
        self._window = min(int(own or _MOST_TOKENS), int(tokenizer.model_max_length), _MOST_TOKENS)
        tasks: dict[str, Any] = getattr(config, "task_specific_params", None) or {}
        usual = "summarize: " if config.model_type in ("t5", "mt5", "umt5", "longt5") else ""
        ends: Any = network.generation_config.eos_token_id
        self._ends: set[int] = {*ends} if isinstance(ends, list) else {ends}
        self._prefix = str(tasks.get("summarization", {}).get("prefix", usual))

    @property
    def capabilities(self) -> Capabilities:
        """Nothing but its window."""
        return Capabilities(context=self._window)

    def generate(self, asked: Generation, cancelled: Cancelled) -> Iterator[str | Usage]:
        """The text in at most `max_tokens` of this model's tokens, in whole sentences; nothing where it is as
        short already. Of a text over the window the sentences nearest to the system's words are read."""
        text = legal(next((turn.content for turn in asked.messages if turn.role == "user"), "")).strip()
        query = next((turn.content for turn in asked.messages if turn.role == "system"), "")
        length = self.count_tokens(text)
        if length <= asked.max_tokens:
            yield Usage(prompt_tokens=length)
            return
        room = self._window - self.count_tokens(self._prefix) - _SPARE
        read = self._prefix + (text if length <= room else self._nearest(text, query, room))
        encoded = self._tokenizer(read, return_tensors="pt", truncation=True, max_length=self._window)
        with torch.inference_mode():
            written = self._network.generate(
                input_ids=encoded["input_ids"],
                attention_mask=encoded["attention_mask"],
                max_new_tokens=asked.max_tokens,
                min_length=0,  # many summarisers ask for more words than a memory has
                num_beams=1,
                do_sample=False,
                stopping_criteria=[_Stop(cancelled)],
            )[0][1:]  # the first only begins
        said = str(self._tokenizer.decode(written, skip_special_tokens=True)).strip()
        finish: FinishReason = "cancelled" if cancelled() else "stop"
        if finish == "stop" and len(written) == asked.max_tokens and int(written[-1]) not in self._ends:
            finish = "length"
            whole = _SENTENCE_END.match(said)
            said = whole.group() if whole else ""
        if finish != "cancelled" and said:
            yield said
        yield Usage(prompt_tokens=len(encoded["input_ids"][0]), written_tokens=len(written), finish=finish)

    def count_tokens(self, text: str) -> int:
        """As `LanguageModel.count_tokens`."""
        return len(self._tokenizer(legal(text), add_special_tokens=False, verbose=False)["input_ids"])

    def use_adapter(self, path: str | None) -> None:
        """Raises LanguageModelError for any adapter."""
        if path is not None:
            raise LanguageModelError("A summariser takes no adapter.")

    def close(self) -> None:
        """Let go of the weights."""
        self._network = None

    def _nearest(self, text: str, query: str, room: int) -> str:
        """The sentences with most of the query's words, those that fit, in their order."""
        wanted = set(_words(query))
        sentences = [sentence for sentence in _SENTENCE.split(text) if sentence.strip()]
        best = sorted(range(len(sentences)), key=lambda at: (-len(wanted & set(_words(sentences[at]))), at))
        kept: list[int] = []
        for at in best:
            room -= self.count_tokens(sentences[at]) + 1
            if room < 0:
                break
            kept.append(at)
        return " ".join(sentences[at] for at in sorted(kept)) or text


class _Stop(transformers.StoppingCriteria):
    """Ends a generation before the next token once it was cancelled."""

    def __init__(self, cancelled: Cancelled) -> None:
        self._cancelled = cancelled

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        return torch.full((input_ids.shape[0],), self._cancelled(), dtype=torch.bool)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
