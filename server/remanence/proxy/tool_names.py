"""Which program asks, by how it names itself."""

from __future__ import annotations

import re

_PRODUCT = re.compile(r"[A-Za-z][\w.-]{0,40}")
_KNOWN = (
    *("aider", "continue", "cline", "roo", "avante", "codecompanion", "copilot", "zed", "open-webui", "llm"),
    *("ollama", "opencode", "codex", "goose", "crush", "gptel"),
)
_LIBRARIES = {"openai": "openai", "asyncopenai": "openai", "litellm": "litellm"}
_SAYS_NOTHING = {
    "python",
    "node",
    "undici",
    "axios",
    "mozilla",
    "go-http-client",
    "python-httpx",
    "curl",
    "bun",
}


def tool_name(user_agent: str, title: str = "") -> str:
    """The tool's name as memories carry it; `proxy` where nothing tells. `title` is what it calls itself
    beside its user agent (X-Title)."""
    said = f"{title} {user_agent}".lower()
    for name in _KNOWN:
        if re.search(rf"(?<![a-z]){name}(?![a-z])", said):
            return name
    product = _PRODUCT.match(user_agent)
    name = product[0].lower() if product else ""
    if name in _LIBRARIES:
        return _LIBRARIES[name]
    return name if name and name not in _SAYS_NOTHING and not name.startswith("python-") else "proxy"
