"""What VS Code's "Copy All" gives of a Copilot chat: `login: question` and `GitHub Copilot: answer`.

The shape is that of `stringifyItem` in VS Code's chatActions.ts: each item after its speaker's name, a
blank line between them. Any paragraph may begin so, hence the strict conditions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from remanence.lsp.fences import fenced_lines
from remanence.lsp.turns import Turn

_COPILOT = "GitHub Copilot: "
_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,38}: ")  # as GitHub allows them, with an enterprise's suffix
_LEAST_EXCHANGES = 2  # one alone could be any document that begins with a label


def copied_turns(lines: Sequence[str]) -> Iterator[Turn]:
    """The exchanges, or none where the text is not without doubt such a copy: it begins with a login,
    and that login and Copilot speak in turn, twice each at least."""
    opening = _LOGIN.match(lines[0])
    if opening is None:
        return
    user = opening.group()
    starts = [
        at
        for at, line in enumerate(lines)
        if line.startswith((user, _COPILOT)) and (at == 0 or not lines[at - 1].strip())
    ]
    unnamed = list(lines)
    for at in starts:  # a fence may open right behind a name
        unnamed[at] = _text(lines[at])
    fenced = fenced_lines(unnamed)
    starts = [at for at in starts if at == 0 or not (fenced[at] and fenced[at - 1])]
    speakers = [lines[at].startswith(user) for at in starts]
    if any(a is b for a, b in pairwise(speakers)) or len(starts) < 2 * _LEAST_EXCHANGES:
        return
    ends = [*starts[1:], len(lines)]
    bodies = [
        "\n".join([_text(lines[at]), *lines[at + 1 : end]]).strip()
        for at, end in zip(starts, ends, strict=True)
    ]
    for question, answer, end in zip(bodies[::2], bodies[1::2], ends[1::2], strict=False):
        yield Turn(question=question, answer=answer, tool="copilot", finished=end < len(lines))


def _text(line: str) -> str:
    return line.partition(": ")[2]
