"""The documents open in the editor, kept in step with it."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

from lsprotocol import types
from pygls.uris import to_fs_path
from pygls.workspace import TextDocument, Workspace

from remanence.lsp.position import split_lines


class Document(TextDocument):
    """A document whose lines are those of LSP (see `split_lines`)."""

    _split: tuple[str, Sequence[str]] = ("", ())  # a text and its lines: asked for again with every hover

    @property
    def lines(self) -> Sequence[str]:
        source = self.source
        if source is not self._split[0]:
            self._split = (source, split_lines(source))
        return self._split[1]


class DocumentWorkspace(Workspace):
    """pygls' workspace, holding `Document`s."""

    def _create_text_document(
        self,
        doc_uri: str,
        source: str | None = None,
        version: int | None = None,
        language_id: str | None = None,
    ) -> Document:
        return Document(
            doc_uri,
            source=source,
            version=version,
            language_id=language_id,
            sync_kind=self._sync_kind,
            position_codec=self._position_codec,
        )


def open_document(workspace: Workspace, uri: str) -> TextDocument | None:
    """The open document (or notebook cell) of this URI; nothing is read from disk for a closed one."""
    return workspace.text_documents.get(unquote(uri))


def folder_of(workspace: Workspace, uri: str | None) -> str | None:
    """The path of the workspace folder that holds a document, else of the only or first folder.

    A notebook cell belongs where its notebook does; an untitled document belongs to the first folder.
    """
    folders = [path for folder in workspace.folders.values() if (path := to_fs_path(folder.uri))]
    if not folders and workspace.root_path:
        folders = [workspace.root_path]
    notebook = workspace.get_notebook_document(cell_uri=uri) if uri else None
    path = to_fs_path(notebook.uri if notebook else uri) if uri else None
    if path is not None:
        holding = [folder for folder in folders if _holds(folder, path)]
        return max(holding, key=len, default=None)
    return folders[0] if folders else None


def place_of(workspace: Workspace, uri: str) -> str:
    """The URI to recall by: a cell's notebook, any other document itself."""
    notebook = workspace.get_notebook_document(cell_uri=uri)
    return notebook.uri if notebook else uri


def sync_options() -> types.NotebookDocumentSyncOptions:
    """Every cell of every notebook."""
    return types.NotebookDocumentSyncOptions(
        notebook_selector=[types.NotebookDocumentFilterWithNotebook(notebook="*")], save=False
    )


def _holds(folder: str, path: str) -> bool:
    folder = folder.rstrip("/\\")
    return path == folder or path.startswith((f"{folder}/", f"{folder}\\"))
