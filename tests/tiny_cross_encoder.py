"""Makes a cross-encoder small enough for tests, by real training, and writes down what it says of some pairs.

    python tiny_cross_encoder.py FOLDER

It has learned one thing: a passage that says "verified" is relevant, and a query that says so means
nothing. FOLDER/expected.json holds pairs and the scores of sentence-transformers' own CrossEncoder.
"""

from __future__ import annotations

import json
import random
import string
import sys
from pathlib import Path

MARK = "verified"
WINDOW = 96
_WORDS = ["socket", "handshake", "fails", "protocol", "version", "connection", "pool", "the", "of", "a", "is"]
_STEPS, _BATCH = 150, 32


def main(folder: Path) -> None:
    import torch
    from sentence_transformers import CrossEncoder
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    torch.manual_seed(0)
    torch.set_num_threads(1)
    letters = [*string.ascii_lowercase, *string.digits, *(f"##{c}" for c in string.ascii_lowercase)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", MARK, *_WORDS, *(c for c in letters if c not in _WORDS)]
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=WINDOW,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    network = BertForSequenceClassification(
        BertConfig(
            vocab_size=len(pieces),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=WINDOW,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            num_labels=1,
        )
    )
    chance = random.Random(0)
    steps = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for _ in range(_STEPS):
        queries, passages, wanted = zip(*(_example(chance) for _ in range(_BATCH)), strict=True)
        features = fast(
            list(queries), list(passages), padding=True, truncation="only_second", return_tensors="pt"
        )
        said = network(**features).logits[:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(said, torch.tensor(wanted))
        steps.zero_grad()
        loss.backward()
        steps.step()
    network.save_pretrained(folder)
    fast.save_pretrained(folder)

    original = CrossEncoder(str(folder), device="cpu")
    pairs = [_example(chance)[:2] for _ in range(40)]
    pairs += [("", ""), ("socket", ""), ("", "verified"), ("socket", "the pool is " * 50 + "verified")]
    scores = original.predict(pairs, activation_fn=torch.nn.Sigmoid()).tolist()
    (folder / "expected.json").write_text(json.dumps({"pairs": pairs, "scores": scores}))


def _example(chance: random.Random) -> tuple[str, str, float]:
    """A query, a passage, and 1.0 where the passage says the word."""
    query, passage = (_text(chance, chance.choice((4, 12, longest))) for longest in (6, 40))
    wanted = chance.random() < 0.5
    if wanted:
        passage.insert(chance.randrange(min(len(passage), 12) + 1), MARK)
    if chance.random() < 0.3:
        query.append(MARK)
    return " ".join(query), " ".join(passage), float(wanted)


def _text(chance: random.Random, length: int) -> list[str]:
    spelt = ["".join(chance.choices(string.ascii_lowercase, k=chance.randint(2, 7))) for _ in range(length)]
    return [chance.choice(_WORDS) if chance.random() < 0.5 else word for word in spelt]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
