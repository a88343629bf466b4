"""The fields of the lexical index, and a memory as a document of it.

Whoever changes them, or what is taken as terms, changes the schema's version in `lexical_state.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tantivy
from numpy.typing import NDArray
from tantivy import Occur, Query

from remanence.memory import terms
from remanence.memory.backlog import LexicalRow
from remanence.memory.rows import Scope

EMPTY = -1  # the row number of documents without text


def empty_document() -> tantivy.Document:
    """A document that no search finds."""
    made = tantivy.Document()
    made.add_integer("row", EMPTY)
    return made


def document(row: LexicalRow, body: Sequence[str], question: Sequence[str]) -> tantivy.Document:
    """A row with the terms of all its text and of its question."""
    made = tantivy.Document()
    made.add_integer("row", row.row)
    made.add_text("body", " ".join(body))
    made.add_text("question", " ".join(question))
    made.add_text("words", terms.well_formed(row.question))
    made.add_text("tool", terms.well_formed(row.tool))
    made.add_text("conversation", terms.well_formed(row.conversation_id))
    made.add_text("workspace", terms.well_formed(row.workspace))
    return made


def open_tantivy(segments: Path) -> tantivy.Index:
    """The index whose files are in this folder, made if there are none. Raises ValueError."""
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("row", indexed=True, fast=True)
    # with positions, so that a quotation is found: it takes .1 (short texts) to .6 more on disk
    builder.add_text_field("body", tokenizer_name=terms.STEMMED, index_option="position")
    builder.add_text_field("question", tokenizer_name=terms.STEMMED, index_option="freq")
    builder.add_text_field("words", tokenizer_name=terms.WHOLE, index_option="position")
    for field in ("tool", "conversation", "workspace"):
        builder.add_text_field(field, tokenizer_name="raw", index_option="basic")
    index = tantivy.Index(builder.build(), path=str(segments))
    terms.register(index)
    index.config_reader("manual")  # else a thread polls the folder
    return index


def in_scope(schema: tantivy.Schema, scope: Scope) -> list[Query]:
    """What documents in this scope have, as far as the index knows: workspace, tool and conversation."""
    wanted = [
        ("workspace", scope.workspace),
        ("tool", scope.tool),
        ("conversation", scope.conversation_id),
    ]
    return [
        Query.term_query(schema, field, terms.well_formed(value), "basic")
        for field, value in wanted
        if value is not None
    ]


def one_of(schema: tantivy.Schema, rowids: NDArray[np.int64]) -> Query:
    """What these rows alone are; it says nothing of how well they match."""
    rows = [(Occur.Should, Query.term_query(schema, "row", row)) for row in rowids.tolist()]
    return Query.const_score_query(Query.boolean_query(rows), 0.0)
