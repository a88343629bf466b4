"""What a code block puts into the document."""

from __future__ import annotations

from dataclasses import replace

from lsprotocol import types

from remanence.engine.messages import CodeBlock
from remanence.lsp.client_features import ClientFeatures, client_features
from remanence.lsp.completion_items import Edits, code_item
from remanence.lsp.options import CompletionOptions
from remanence.lsp.prompts import passage_at

FEATURES: ClientFeatures = client_features(types.ClientCapabilities())
BLOCK = CodeBlock(
    memory_id="0f",
    question="How do I parse it?",
    language="python",
    code="    def parse(x):\n        return x\n",
)


def inserted(text: str, language_id: str, *, as_is: bool = False) -> tuple[types.CompletionItem, str]:
    lines = [f"{line}\n" for line in text.split("\n")]
    line = len(lines) - 1
    column = len(lines[-1]) - 1
    passage = passage_at(lines, line, column, language_id, CompletionOptions().marks)
    assert passage is not None
    edits = Edits(lines, passage, types.PositionEncodingKind.Utf32)
    item = code_item(BLOCK, edits, 0, replace(FEATURES, insert_as_is=as_is))
    assert isinstance(item.text_edit, types.TextEdit)
    start, end = item.text_edit.range.start, item.text_edit.range.end
    assert start.line == end.line == line
    assert start.character <= column <= end.character
    kept = text.split("\n")[-1]
    return item, kept[: start.character] + item.text_edit.new_text + kept[end.character :]


def test_code_goes_below_the_comment_indented_like_it() -> None:
    item, line = inserted("class A:\n    #? how do I parse", "python")
    assert line == "    #? how do I parse\n    def parse(x):\n        return x"
    assert item.label == "def parse(x):"
    assert item.detail == "How do I parse it?"


def test_code_in_prose_is_fenced_and_the_prompt_stays() -> None:
    _, line = inserted("how do I parse", "markdown")
    assert line == "how do I parse\n\n```python\ndef parse(x):\n    return x\n```\n"


def test_the_client_is_asked_to_leave_the_indentation_alone_where_it_can() -> None:
    assert inserted("#? how do I", "python", as_is=True)[0].insert_text_mode is types.InsertTextMode.AsIs
    assert inserted("#? how do I", "python")[0].insert_text_mode is None


def test_a_client_without_insert_text_modes_gets_lines_as_a_snippet_of_nothing_but_itself() -> None:
    completion = types.CompletionClientCapabilities(
        completion_item=types.ClientCompletionItemOptions(snippet_support=True)
    )
    features = client_features(
        types.ClientCapabilities(text_document=types.TextDocumentClientCapabilities(completion=completion))
    )
    passage = passage_at(["    #? how do I"], 0, 15, "sh", CompletionOptions().marks)
    assert passage is not None
    block = CodeBlock(memory_id="0f", question="?", language="sh", code="f() { echo ${1} \\n\n}\n\tg\n")
    item = code_item(block, Edits(["    #? how do I"], passage, None), 0, features)
    assert isinstance(item.text_edit, types.TextEdit)
    assert item.insert_text_format is types.InsertTextFormat.Snippet
    assert item.text_edit.new_text == "#? how do I\nf() { echo \\${1\\} \\\\n\n\\}\n\tg"
    assert item.filter_text == "#? how do I"
