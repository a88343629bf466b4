"""initializationOptions, workspace/configuration and workspace/didChangeConfiguration."""

from __future__ import annotations

import uuid
from typing import cast

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from remanence.lsp.language_server import RemanenceLanguageServer

SECTION = "remanence"


async def pull(ls: RemanenceLanguageServer) -> None:
    """Ask the client for its settings, if it can be asked; they win over the initial options."""
    if not ls.features.pull_configuration:
        return
    item = types.ConfigurationItem(section=SECTION)
    try:
        answers = await ls.workspace_configuration_async(types.ConfigurationParams(items=[item]))
    except JsonRpcException:
        return  # announced but not answered: the initial options stand
    ls.apply_options(ls.initial_options, answers[0] if answers else None)


async def register(ls: RemanenceLanguageServer) -> None:
    """Ask to be told of changed settings, where that has to be asked for."""
    if not ls.features.register_configuration:
        return
    registration = types.Registration(
        id=str(uuid.uuid4()),
        method=types.WORKSPACE_DID_CHANGE_CONFIGURATION,
        register_options=types.DidChangeConfigurationRegistrationOptions(section=SECTION),
    )
    try:
        await ls.client_register_capability_async(types.RegistrationParams(registrations=[registration]))
    except JsonRpcException:
        return  # the client refused: settings are those of the start


def changed(ls: RemanenceLanguageServer, params: types.DidChangeConfigurationParams) -> None:
    """Take new settings: pulled from the client where it can be asked, else from the notification."""
    if ls.features.pull_configuration:
        ls.background.run(pull(ls), "read the configuration")
    else:
        ls.apply_options(ls.initial_options, _section(params.settings))


def _section(settings: object) -> object:
    """Clients send either the section itself or everything with the section under its name."""
    if not isinstance(settings, dict):
        return settings
    named = cast("dict[str, object]", settings)
    return named.get(SECTION, named)
