"""The engine's errors as LSP clients know them."""

from __future__ import annotations

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from remanence.engine.client import EngineError

ENGINE_SECONDS = 20.0
"""How long what the user asked for waits for an engine that is starting."""

_CODES: dict[str, int] = {
    "invalid": types.ErrorCodes.InvalidParams,
    "not_found": types.LSPErrorCodes.RequestFailed,
    "unavailable": types.LSPErrorCodes.RequestFailed,
    "cancelled": types.LSPErrorCodes.ServerCancelled,
    "internal": types.ErrorCodes.InternalError,
}


def as_response(error: EngineError) -> JsonRpcException:
    """The same error as a JSON-RPC response; `data` carries the code and the field at fault."""
    return JsonRpcException(
        message=error.message,
        code=int(_CODES.get(error.code, types.ErrorCodes.InternalError)),
        data={"code": error.code, "field": error.field},
    )
