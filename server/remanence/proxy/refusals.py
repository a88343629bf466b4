"""Errors of the endpoint itself, in the shape that the asked API has for errors."""

from __future__ import annotations

import msgspec

_OPENAI_CODES = {
    401: "invalid_api_key",
    403: "forbidden",
    502: "upstream_unavailable",
    504: "upstream_timeout",
}


def error_body(path: str, status: int, message: str) -> bytes:
    """The JSON that a client of this path reads an error from."""
    if path.startswith("/api"):
        return msgspec.json.encode({"error": message})
    kind = "invalid_request_error" if status < 500 else "server_error"
    error = {"message": message, "type": kind, "param": None, "code": _OPENAI_CODES.get(status)}
    return msgspec.json.encode({"error": error})
