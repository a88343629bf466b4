"""Tools that leave conversations on disk: one module each, all of one shape."""

from remanence.sources.aider import AIDER
from remanence.sources.chatgpt import CHATGPT
from remanence.sources.claude_code import CLAUDE_CODE
from remanence.sources.codex import CODEX
from remanence.sources.jsonl import JSONL
from remanence.sources.lmstudio import LMSTUDIO

# In the order formats are recognised: the generic one comes last.
SOURCES = (LMSTUDIO, CLAUDE_CODE, CODEX, CHATGPT, AIDER, JSONL)
