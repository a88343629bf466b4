"""textDocument/did… and notebookDocument/did…: pygls keeps the text, transcripts are looked for in it."""

from __future__ import annotations

from lsprotocol import types

from remanence.lsp.documents import folder_of, open_document
from remanence.lsp.language_server import RemanenceLanguageServer


def did_open(ls: RemanenceLanguageServer, params: types.DidOpenTextDocumentParams) -> None:
    _changed(ls, params.text_document.uri)


def did_change(ls: RemanenceLanguageServer, params: types.DidChangeTextDocumentParams) -> None:
    _changed(ls, params.text_document.uri)


def did_save(ls: RemanenceLanguageServer, params: types.DidSaveTextDocumentParams) -> None:
    uri = params.text_document.uri
    if (document := open_document(ls.workspace, uri)) is not None:
        ls.transcripts.settled(document, folder_of(ls.workspace, uri))


def did_close(ls: RemanenceLanguageServer, params: types.DidCloseTextDocumentParams) -> None:
    ls.transcripts.closed(params.text_document.uri)


def _changed(ls: RemanenceLanguageServer, uri: str) -> None:
    if (document := open_document(ls.workspace, uri)) is not None:
        ls.transcripts.changed(document, folder_of(ls.workspace, uri))
