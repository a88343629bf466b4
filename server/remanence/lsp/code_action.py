"""textDocument/codeAction: ask or explain with memory, and remember what is selected.

Each is a command with one object. Nothing is looked up to list them: a menu opens at once. `show` in the
object asks the server to show the answer, as an editor's menu does nothing with a command's result;
an editor's own plugin may take the command over and stream it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from lsprotocol import types

from remanence.lsp.documents import open_document, place_of
from remanence.lsp.fences import fence_for
from remanence.lsp.language_server import RemanenceLanguageServer
from remanence.lsp.languages import PROSE_LANGUAGES, comment_start
from remanence.lsp.markdown import one_line
from remanence.lsp.position import column, without_end
from remanence.lsp.prompts import passage_at
from remanence.lsp.surroundings import comments_above, docstring, enclosing_name, heading
from remanence.lsp.under_cursor import subject_at

ASK = "remanence.ask"
EXPLAIN = "remanence.explain"
REMEMBER = "remanence.remember"
KINDS = [ASK, EXPLAIN, REMEMBER]
"""Kinds of our own: none of LSP's says "a question"."""

_LONGEST = 6000  # characters of a selection
_AROUND = 10  # lines shown with a symbol that is explained


@dataclass(frozen=True, slots=True)
class _Selection:
    """The lines of the document, the range in code points, and its text."""

    lines: Sequence[str]
    start: tuple[int, int]
    end: tuple[int, int]
    language: str
    text: str

    @property
    def is_prose(self) -> bool:
        return self.language in PROSE_LANGUAGES


def code_actions(
    ls: RemanenceLanguageServer, params: types.CodeActionParams
) -> list[types.Command | types.CodeAction] | None:
    """What can be done here. Nothing while the cursor merely moves: a lamp on every line says nothing."""
    wanted = [kind for kind in KINDS if _is_wanted(kind, params.context.only)]
    document = open_document(ls.workspace, params.text_document.uri)
    is_empty = params.range.start == params.range.end
    is_automatic = params.context.trigger_kind is types.CodeActionTriggerKind.Automatic
    if document is None or not wanted or (is_automatic and is_empty):
        return None
    selection = _selection(ls, document.lines, params.range, document.language_id or "")
    uri = place_of(ls.workspace, document.uri)
    place: dict[str, object] = {"uri": uri, "languageId": document.language_id or None, "show": True}
    found: list[types.Command | types.CodeAction] = []
    if ASK in wanted and (question := _question(ls, selection, params.context.diagnostics)):
        found.append(_action(ls, ASK, "Ask with memory", ASK, {"prompt": question, **place}))
    if EXPLAIN in wanted and (explained := _to_explain(selection, params.context.diagnostics)):
        prompt, symbol = explained
        argument = {"prompt": prompt, "symbol": symbol, **place}
        found.append(_action(ls, EXPLAIN, "Explain with memory", ASK, argument))
    if REMEMBER in wanted and (exchange := _to_remember(selection, uri)):
        argument = {**exchange, "tool": "editor", **place}
        found.append(_action(ls, REMEMBER, "Remember this", "remanence.capture", argument))
    return found or None


def _is_wanted(kind: str, only: Sequence[str] | None) -> bool:
    """Whether a kind was asked for: by itself, by one above it, or because none was named."""
    return only is None or any(not each or kind == each or kind.startswith(f"{each}.") for each in only)


def _action(
    ls: RemanenceLanguageServer, kind: str, title: str, command: str, argument: dict[str, object]
) -> types.Command | types.CodeAction:
    told = {name: value for name, value in argument.items() if value is not None}
    call = types.Command(title, command, arguments=[told])
    return types.CodeAction(title, kind=kind, command=call) if ls.features.code_action_literals else call


def _question(
    ls: RemanenceLanguageServer, selection: _Selection, diagnostics: Sequence[types.Diagnostic]
) -> str | None:
    """The prompt that is selected or typed here, else what the editor complains of."""
    if selection.text.strip() and (selection.is_prose or _is_comment(selection)):
        return _uncommented(selection)
    if not selection.text.strip():
        line, at = selection.end
        marks = ls.options.completion.marks
        lines, language = selection.lines, selection.language
        if passage_at(lines, line, at, language, marks) is not None:
            passage = passage_at(lines, line, len(without_end(lines[line])), language, marks)
            if passage is not None and passage.says_enough:
                return passage.text
    if diagnostics:
        told = "\n".join(diagnostic.message for diagnostic in diagnostics)
        return f"How do I fix this?\n\n{told}\n\n{_fenced(selection, _code(selection))}"
    return None


def _to_explain(
    selection: _Selection, diagnostics: Sequence[types.Diagnostic]
) -> tuple[str, str | None] | None:
    """What is selected, else the symbol under the cursor with the lines around it."""
    told = "".join(f"\n\nThe editor says: {diagnostic.message}" for diagnostic in diagnostics)
    if selection.text.strip():
        what = "text" if selection.is_prose else "code"
        symbol = enclosing_name(selection.lines, selection.start[0])
        return f"Explain this {what}.\n\n{_fenced(selection, selection.text)}{told}", symbol
    line, at = selection.start
    subject = subject_at(selection.lines, line, at, selection.language)
    if subject is None:
        return None
    name = subject.symbol or without_end(selection.lines[line])[subject.start : subject.end]
    return (
        f"Explain `{one_line(name)}` as it is used here.\n\n{_fenced(selection, _code(selection))}{told}",
        (subject.symbol),
    )


def _to_remember(selection: _Selection, uri: str) -> dict[str, object] | None:
    """The selection as an answer, and what asks for it: the comment in it or above, its docstring or
    heading, else the name that it stands in."""
    lines = [without_end(line) for line in selection.text.split("\n")]
    if not any(line.strip() for line in lines):
        return None
    if selection.is_prose:
        return _prose_to_remember(selection, uri)
    said: list[str] = []
    while len(lines) > 1 and _comment_text(lines[0], selection.language) is not None:
        said.append(_comment_text(lines.pop(0), selection.language) or "")
    at = selection.start[0]
    above = comments_above(selection.lines, at, selection.language)
    own = docstring(selection.lines, at + 1) if at + 1 < len(selection.lines) else None
    question = " ".join(" ".join(said or above or [own or ""]).split())
    if not question:
        name = enclosing_name(selection.lines, at)
        what = f"`{name}`" if name else f"`{one_line(lines[0].strip(), 60)}`"
        question = f"What does {what} look like in {_file_name(uri)}?"
    return {"question": question, "answer": _fenced(selection, "\n".join(lines))}


def _prose_to_remember(selection: _Selection, uri: str) -> dict[str, object]:
    """A heading that is selected, or the one above, asks for the text; else its first line does."""
    first, _, rest = selection.text.strip().partition("\n")
    if rest.strip():
        return {"question": first.strip("#>*- "), "answer": rest.strip()}
    above = heading(selection.lines, selection.start[0])
    return {"question": above or f"What is noted in {_file_name(uri)}?", "answer": first}


def _selection(
    ls: RemanenceLanguageServer, lines: Sequence[str], given: types.Range, language: str
) -> _Selection:
    encoding = ls.workspace.position_encoding
    start, end = (
        (point.line, column(lines[point.line], point.character, encoding) if point.line < len(lines) else 0)
        for point in (given.start, given.end)
    )
    if start[0] == end[0]:
        text = lines[start[0]][start[1] : end[1]] if start[0] < len(lines) else ""
    else:
        inner = [without_end(line) for line in lines[start[0] : end[0] + 1]]
        if inner:
            inner[0] = inner[0] if not inner[0][: start[1]].strip() else inner[0][start[1] :]
            if end[0] < len(lines):
                inner[-1] = inner[-1][: end[1]]
        text = "\n".join(inner)
    return _Selection(lines, start, end, language, text[:_LONGEST])


def _code(selection: _Selection) -> str:
    """The selection, or the lines around the cursor where nothing is selected."""
    if selection.text.strip():
        return selection.text
    line = selection.start[0]
    around = selection.lines[max(0, line - _AROUND) : line + _AROUND + 1]
    return "\n".join(without_end(text) for text in around)[:_LONGEST]


def _fenced(selection: _Selection, code: str) -> str:
    fence = fence_for(code)
    body = code.strip("\n").rstrip()
    return f"{fence}{selection.language}\n{body}\n{fence}"


def _is_comment(selection: _Selection) -> bool:
    said = [line for line in selection.text.split("\n") if line.strip()]
    return all(_comment_text(line, selection.language) is not None for line in said)


def _uncommented(selection: _Selection) -> str:
    if selection.is_prose:
        return selection.text.strip()
    said = [_comment_text(line, selection.language) or "" for line in selection.text.split("\n")]
    return "\n".join(said).strip()


def _comment_text(line: str, language: str) -> str | None:
    """What a line that is all comment says; None for code."""
    comment = comment_start(line, language)
    return comment.text if comment is not None and not line[: comment.column].strip() else None


def _file_name(uri: str) -> str:
    return PurePosixPath(unquote(urlsplit(uri).path)).name or "this document"
