"""The little that the door knows of languages: how a comment starts, which words are no names."""

from __future__ import annotations

import re
from dataclasses import dataclass

PROSE_LANGUAGES = frozenset({
    "markdown", "codecompanion", "copilot-chat", "Avante", "AvanteInput", "chatgpt", "mdx", "quarto",
    "restructuredtext", "rst", "asciidoc", "org", "norg", "latex", "tex", "typst", "gitcommit",
})  # fmt: skip
"""Language ids whose text is prose rather than code."""

CHAT_LANGUAGES = frozenset({"codecompanion", "copilot-chat", "Avante", "AvanteInput", "chatgpt"})
"""Language ids of assistants' chat buffers."""

MARKDOWN_LANGUAGES = CHAT_LANGUAGES | {"markdown", "mdx", "quarto"}

KEYWORDS = frozenset(
    """abstract and as assert async await begin bool boolean break byte case catch chan char class const
    constexpr continue crate debugger def default defer del delete do double dyn elif else elseif end
    endif ensure enum except exec export extends extern false False final finally float fn for foreach
    friend from func function global go goto if impl implements import in include inline instanceof int
    interface is lambda let local long loop match mod module mut mutable namespace new next nil None
    nonlocal not null nullptr number object of operator or override package pass private protected pub
    public raise range readonly ref rescue return self Self short signed sizeof static str string struct
    super switch synchronized template then this throw throws trait true True try type typedef typename
    typeof undefined union unless unsafe unsigned until use using var virtual void volatile when where
    while with xor yield the and are was for that this with from have not but you can all its""".split()  # noqa: SIM905
)
"""Words that say nothing by themselves, in the common languages and in English prose."""

_HASH = ("#",)
_SLASHES = ("//", "/*", "*")
_DASHES = ("--",)
_SEMICOLONS = (";",)
_PERCENT = ("%",)
_MARKUP = ("<!--",)
_COMMENTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys([
        "python", "shellscript", "sh", "bash", "zsh", "fish", "ruby", "perl", "perl6", "yaml", "toml",
        "dockerfile", "makefile", "make", "r", "elixir", "julia", "nix", "coffeescript", "powershell",
        "cmake", "conf", "gdscript", "starlark", "graphql", "tcl", "awk", "crystal",
    ], _HASH),
    **dict.fromkeys(["sql", "lua", "haskell", "ada", "vhdl", "elm", "purescript"], _DASHES),
    **dict.fromkeys([
        "lisp", "clojure", "scheme", "emacs-lisp", "commonlisp", "racket", "asm", "ini", "fennel",
    ], _SEMICOLONS),
    **dict.fromkeys(["erlang", "prolog", "matlab", "octave"], _PERCENT),
    **dict.fromkeys(["html", "xml", "svg"], _MARKUP),
    "php": ("//", "/*", "*", "#"),
    "vue": ("//", "/*", "*", "<!--"),
    "svelte": ("//", "/*", "*", "<!--"),
    "vim": ('"',),
}  # fmt: skip
_ALIASES = {
    "py": "python", "python3": "python", "ipython": "python",
    "js": "javascript", "jsx": "javascript", "javascriptreact": "javascript", "node": "javascript",
    "ts": "typescript", "tsx": "typescript", "typescriptreact": "typescript",
    "sh": "shellscript", "bash": "shellscript", "zsh": "shellscript", "shell": "shellscript",
    "console": "shellscript", "rs": "rust", "golang": "go", "c++": "cpp", "cs": "csharp", "c#": "csharp",
    "rb": "ruby", "kt": "kotlin", "yml": "yaml", "md": "markdown", "ps1": "powershell",
    "elisp": "emacs-lisp", "emacs_lisp": "emacs-lisp", "docker": "dockerfile", "hs": "haskell",
    "postgresql": "sql", "mysql": "sql", "sqlite": "sql", "viml": "vim",
}  # fmt: skip
# none starts behind a backslash: else a line of escaped quotes is read once from each of them
_QUOTED = re.compile(r"(?<!\\)(?:\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+'|`(?:[^`\\]|\\.)*+`)")


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on one line: the column it starts at, what opens it, and its text."""

    column: int
    opener: str
    text: str


def canonical(language: str) -> str:
    """One name for a language, whether an LSP id or a Markdown fence's info word."""
    name = language.strip().lower()
    return _ALIASES.get(name, name)


def comment_start(text: str, language_id: str) -> Comment | None:
    """The comment on a line of code, or None. Openers inside a one-line string do not count; a line
    that starts with `*` counts as the inside of a block comment where the language has those."""
    openers = _COMMENTS.get(language_id, _SLASHES)
    masked = _QUOTED.sub(lambda quoted: "\0" * len(quoted.group()), text) if openers != ('"',) else text
    indent = len(text) - len(text.lstrip())
    found: tuple[int, str] | None = None
    for opener in openers:
        if opener == "*":
            at = indent if re.match(r"\*(?:\s|/|$)", text[indent:]) else -1
        elif opener == "#":
            at = next((m.start() for m in re.finditer(r"(?:^|(?<=\s))#(?!\[|\{)", masked)), -1)
        elif opener == "//":
            at = next((m.start() for m in re.finditer(r"(?<!:)//", masked)), -1)
        elif opener == '"':
            at = indent if text[indent : indent + 1] == '"' else -1
        else:
            at = masked.find(opener)
        if at >= 0 and (found is None or at < found[0]):
            found = (at, opener)
    if found is None:
        return None
    at, opener = found
    body = text[at + len(opener) :].strip()
    body = re.sub(r"^[/*#;!?-]+\s*|\s*(?:\*/|-->)$", "", body)
    return Comment(at, opener, body)
