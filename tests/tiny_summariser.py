"""Trains a T5 small enough for tests: it reads which of a few things a text is about, and says so.

python tiny_summariser.py FOLDER
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

TOPICS = ("redis", "sockets", "invoices", "borrowing", "locales", "caches")
WINDOW = 96
_FILLER = (
    *("the", "a", "of", "it", "was", "then", "and", "when", "we", "had", "some", "more", "to", "do", "with"),
    *("this", "one", "here", "that", "there", ".", "!", "?"),
)
_STEPS, _BATCH = 200, 24


def summary(topic: str) -> str:
    """What it writes of a text with this word in it."""
    return f"it is about {topic} ."


def main(folder: Path) -> None:
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    torch.set_num_threads(1)
    words = ["<pad>", "</s>", "<unk>", "summarize", ":", *TOPICS, *_FILLER, "is", "about"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=WINDOW,
        clean_up_tokenization_spaces=False,
    )
    network = T5ForConditionalGeneration(
        T5Config(
            vocab_size=len(words),
            d_model=32,
            d_kv=16,
            d_ff=64,
            num_layers=1,
            num_decoder_layers=1,
            num_heads=2,
            dropout_rate=0.0,
            decoder_start_token_id=0,
            n_positions=WINDOW,
        )
    )
    chance = random.Random(0)
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3)
    loss: Any = None
    for _ in range(_STEPS):
        topics = chance.choices(TOPICS, k=_BATCH)
        read = fast(
            [f"summarize: {_text(chance, topic)}" for topic in topics], padding=True, return_tensors="pt"
        )
        labels = fast([summary(topic) for topic in topics], return_tensors="pt")["input_ids"]
        loss = network(input_ids=read["input_ids"], attention_mask=read["attention_mask"], labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.save_pretrained(folder)
    fast.save_pretrained(folder)
    print(f"loss {loss.item():.4f}")


def _text(chance: random.Random, topic: str) -> str:
    words = chance.choices([*_FILLER, "unheard"], k=chance.randint(8, WINDOW - 8))
    words[chance.randrange(len(words))] = topic
    return " ".join(words)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
