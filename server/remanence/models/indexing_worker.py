"""The keyword worker: a child process of low priority that alone imports KeyBERT and scikit-learn.

    python -m remanence.models.indexing_worker FOLDER

One `KeywordBatch` per line on standard input, one `KeywordReply` per line on standard output, in order.
It ends when its input does, and so with its parent.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from remanence.models.child_stdout import claim_stdout
from remanence.models.embedder import Embedder, ModelError
from remanence.models.worker_messages import KeywordBatch, KeywordReply

_NICENESS = 10


def main(arguments: list[str]) -> int:
    """Serve until the input ends; 1 where the embedder cannot be loaded, after a reply that says why."""
    protocol = claim_stdout()

    def reply(message: KeywordReply) -> None:
        protocol.write(msgspec.json.encode(message) + b"\n")
        protocol.flush()

    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    try:
        embedder = Embedder.load(Path(arguments[0]))
    except ModelError as error:
        reply(KeywordReply(error=str(error)))
        return 1
    from remanence.models.keybert_backend import KeywordExtractor

    extractor = KeywordExtractor(embedder)
    decoder = msgspec.json.Decoder(KeywordBatch)
    for line in sys.stdin.buffer:
        try:
            batch = decoder.decode(line)
            reply(KeywordReply(keywords=extractor.extract(batch.documents, batch.top)))
        except BrokenPipeError:  # the engine is gone
            return 0
        except ValueError as error:  # msgspec's errors are ValueErrors too
            reply(KeywordReply(error=str(error)))
        except Exception as error:  # noqa: BLE001  a traceback in the log might quote a phrase
            reply(KeywordReply(error=f"Keywords could not be drawn: {type(error).__name__}."))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
