"""What the client can and what the user set change the hover."""

from __future__ import annotations

from editor_window import editor_window, remember
from lsprotocol import types

from remanence.paths import Home

URI = "file:///p/app.py"


def plain_text_only(capabilities: types.ClientCapabilities) -> None:
    assert capabilities.text_document is not None
    assert capabilities.text_document.hover is not None
    capabilities.text_document.hover.content_format = [types.MarkupKind.PlainText]


def with_documents(capabilities: types.ClientCapabilities) -> None:
    assert capabilities.workspace is not None
    capabilities.workspace.text_document_content = types.TextDocumentContentClientCapabilities()


async def test_a_client_without_markdown_gets_plain_text(home: Home) -> None:
    async with editor_window(home, adjust=plain_text_only) as window:
        await remember(window)
        hover = await window.hover(window.open(URI, "parse_invoice_total"), 0, 3)
        assert hover is not None
        assert isinstance(hover.contents, types.MarkupContent)
        assert hover.contents.kind is types.MarkupKind.PlainText
        assert "Why does parse_invoice_total raise decimal.InvalidOperation?\n" in hover.contents.value


async def test_a_whole_memory_opens_as_a_document_where_the_client_announced_that(home: Home) -> None:
    async with editor_window(home, "visual_studio_code", adjust=with_documents) as window:
        workspace = window.initialized.capabilities.workspace
        assert workspace is not None
        assert workspace.text_document_content is not None
        assert list(workspace.text_document_content.schemes) == ["remanence"]
        ids = await remember(window)
        hover = await window.hover(window.open(URI, "parse_invoice_total"), 0, 3)
        assert hover is not None
        assert isinstance(hover.contents, types.MarkupContent)
        folder = f"remanence:/memory/{ids[0]}"
        uri = f"{folder}/why-does-parse_invoice_total-raise-decimal-invalidoperation.md"
        assert f"[whole answer]({uri})" in hover.contents.value
        for address in (uri, f"{folder}.md", folder):
            content = await window.client.workspace_text_document_content_async(
                types.TextDocumentContentParams(address)
            )
            assert content.text.startswith("# Why does parse_invoice_total raise decimal.InvalidOperation?\n")
            assert "return Decimal(text.replace(',', ''))" in content.text


async def test_hover_is_switched_off_by_an_option(home: Home) -> None:
    async with editor_window(home, options={"hover": {"enabled": False}}) as window:
        await remember(window)
        assert await window.hover(window.open(URI, "parse_invoice_total"), 0, 3) is None
        assert window.client.messages == []


async def test_bad_options_are_told_and_do_not_stop_the_server(home: Home) -> None:
    async with editor_window(home, options={"hover": {"limit": "many"}, "capture": 3}) as window:
        await remember(window)
        assert [message.type for message in window.client.messages] == [types.MessageType.Warning] * 2
        assert "remanence.hover.limit" in window.client.messages[0].message
        assert await window.hover(window.open(URI, "parse_invoice_total"), 0, 3) is not None


async def test_settings_are_pulled_from_a_client_that_can_be_asked_and_again_when_they_change(
    home: Home,
) -> None:
    async with editor_window(
        home, "visual_studio_code", configuration={"hover": {"enabled": False}}
    ) as window:
        await remember(window)
        uri = window.open(URI, "parse_invoice_total")
        assert await window.hover(uri, 0, 3) is None
        window.client.set_configuration({"remanence": {"hover": {"enabled": True}}})
        window.client.workspace_did_change_configuration(types.DidChangeConfigurationParams(settings=None))
        await window.command("status")  # by its answer the server has asked for the settings
        await window.command("status")
        assert await window.hover(uri, 0, 3) is not None
