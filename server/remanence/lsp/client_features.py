"""What this client announced, as far as it changes what the server sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lsprotocol import types
from pygls.capabilities import get_capability

from remanence.lsp.markdown import Rendering

_LAZY_UNLESS_SAID = ("detail", "documentation")


@dataclass(frozen=True, slots=True)
class ClientFeatures:
    """`documentation` is None where the client takes plain strings only. `lazy_documentation`: it may be
    left to `completionItem/resolve`. `lines_need_snippets`: text of several lines is completed whole only as
    a snippet, which the client indents; Neovim's own completion takes the first word of any other text.
    Clients that know insert text modes are spared that. `lazy_edits`: an item's further edits may be left to
    `completionItem/resolve`."""

    hover: Rendering
    documentation: Rendering | None
    lazy_documentation: bool = True
    label_details: bool = False
    insert_as_is: bool = False
    lines_need_snippets: bool = False
    pull_configuration: bool = False
    register_configuration: bool = False
    progress: bool = False
    memory_documents: bool = False
    show_document: bool = False
    inline_completion: bool = False
    lazy_edits: bool = False
    lazy_command: bool = False
    code_action_literals: bool = False


def client_features(capabilities: types.ClientCapabilities) -> ClientFeatures:
    """Read the capabilities of `initialize`; what is not announced is not there."""
    links = get_capability(capabilities, "workspace.text_document_content", None) is not None
    hover = get_capability(capabilities, "text_document.hover.content_format", None) or []
    item = get_capability(capabilities, "text_document.completion.completion_item", None)
    formats = (item.documentation_format if item else None) or []
    resolvable = item.resolve_support.properties if item and item.resolve_support else _LAZY_UNLESS_SAID
    modes = item.insert_text_mode_support.value_set if item and item.insert_text_mode_support else ()
    as_is = types.InsertTextMode.AsIs in modes
    return ClientFeatures(
        hover=Rendering(_preferred(hover), links),
        documentation=Rendering(_preferred(formats), links) if formats else None,
        lazy_documentation="documentation" in resolvable,
        label_details=bool(item and item.label_details_support),
        insert_as_is=as_is,
        lines_need_snippets=bool(item and item.snippet_support) and not as_is,
        pull_configuration=bool(get_capability(capabilities, "workspace.configuration", False)),
        register_configuration=bool(
            get_capability(capabilities, "workspace.did_change_configuration.dynamic_registration", False)
        ),
        progress=bool(get_capability(capabilities, "window.work_done_progress", False)),
        memory_documents=links,
        show_document=bool(get_capability(capabilities, "window.show_document.support", False)),
        inline_completion=get_capability(capabilities, "text_document.inline_completion", None) is not None,
        lazy_edits="additionalTextEdits" in resolvable,
        lazy_command="command" in resolvable,
        code_action_literals=get_capability(
            capabilities, "text_document.code_action.code_action_literal_support", None
        )
        is not None,
    )


def _preferred(formats: Sequence[types.MarkupKind]) -> types.MarkupKind:
    """The client's list is in its order of preference; nothing said means plain text."""
    return formats[0] if formats else types.MarkupKind.PlainText
