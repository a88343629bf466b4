"""Secrets that are known by the name beside them: `password = …`, `--token …`, `"api_key": "…"`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from remanence.memory.secret_values import (
    is_chosen_word,
    is_technical_word,
    looks_like_password,
    looks_like_token,
    looks_typed_in,
)

# Sought in the lower-cased text: without IGNORECASE the engine can skip by first character.
_NAME = re.compile(
    r"password|passwd|passphrase|passcode|pwd|secret|token|credential|apikey|api[-_. ]key|psk(?![a-z])"
    r"|[-_]pass(?![a-z])"
    r"|(?:access|auth|private|priv|encryption|encrypt|signing|master|account|client|service|shared|storage|deploy|app"
    r"|session|license|admin|root|crypto|cipher|integration|webhook|project|server|ssh|hmac|jwt)[-_]?key"
    r"|[a-z0-9][-_]key(?![a-z])"
    r"|(?<![a-z])pass(?=[\"']?[ \t]{0,3}[=:])|requirepass|identified by|contraseña|passwort|mot de passe"
)
_PASSWORD_NAME = re.compile(r"pass|pwd|psk|contras|mot de|identified")
# What makes `xxx_token` the name of something public, and `token_xxx` the name of something about the token.
_PUBLIC_PREFIX = re.compile(
    r"(?:public|publishable|csrf|xsrf|page|cursor|continuation|sync|max|min|num|count|total|cancell?ation|cancel|eos|bos|pad|unk"
    r"|mask|sep|cls|stop|primary|foreign|partition|sort|cache|idempotency|unique|composite|object|index|hot|dict|map|query|group"
    r"|lookup|row|column|event|message|translation|i18n|config|setting|registry|natural|order|state|store|s3|file)[-_.]?$"
)
_ABOUT = re.compile(
    r"count|len|size|type|name|ur[li]|path|file|dir|field|label|hint|holder|limit|max|min|ttl|exp|age|index|idx|pattern"
    r"|regex|policy|prefix|suffix|header|format|alg|version|budget|usage|iz|arn|ref|provider|manager|store|service|endpoint"
    r"|param|attr|column|class|element|selector|input|prompt|message|error|strength|rule|hash|digest|salt|list|map|set$|code$"
    r"|checksum|sha\d|fingerprint|public|stream|kind|scope|audience|issuer|change|reset|require|valid|enabled|rotation"
)
_AFTER_NAME = re.compile(
    r"(?P<suffix>[A-Za-z0-9_\-]{0,40})(?P<quote>\\{0,3}[\"'`])?\]?\)?\*{0,2}[ \t]{0,8}"
    r"(?P<sep>"
    r"(?::[ \t]{0,4}[A-Za-z_&?*][\w.<>\[\]|&'?* ]{0,40}?[ \t]{0,4})?"  # x: T = v
    r"(?:\?\?=|\|\|=|\?=|:=|=>|->|!==?|={1,3})"
    r"|::?|,|\(|>|[ \t]+value=|(?<=[\"'])[ \t]+|[ \t]+(?:is|was|are|est|ist|es)(?:[ \t]+now)?[ \t]*:?"
    r"(?=[ \t]|[\"'`])"
    r"|[ \t]{1,8}(?=[^\s=:]))"
    r"\*{0,2}[ \t]{0,8}(?:\n[ \t]{0,16}(?=[\"']))?",
    re.ASCII,
)
_QUOTED = {
    quote: re.compile(
        rf"[rbfu@$]{{0,2}}(?P<open>{quote})(?P<value>[^{quote}\\\n]*+(?:\\.[^{quote}\\\n]*+)*+){quote}"
    )
    for quote in "\"'`"
}
_ESCAPED_QUOTED = re.compile(r"\\{1,3}[\"'](?P<value>[^\"'\\\n]++)\\{1,3}[\"']")
_TRIPLE_QUOTED = re.compile(r"[rbu]{0,2}(?P<open>\"\"\"|''')(?P<value>[^\"'\\\n]{1,512})(?P=open)")
_BARE = re.compile(r"[^\s\"'`,;&<>(){}\[\]|\\]++")
_LINE_BARE = re.compile(r"[^\s\"'`\\]++")
_JUDGED = 96
_NAMES_IN_A_RUN = 8  # a=b=c…: names that follow each other without a space
_LINE_HEAD = re.compile(r"(?:\A|\n)[ \t]*(?:export )?\Z")
_QUOTE_AHEAD = re.compile(r"[rbfu@$]{0,2}([\"'`])")
_SEVERAL_WORDS = re.compile(r"(?!enter|your|the |please|repeat|type|no )[a-z]{3,12}(?:[ -][a-z]{3,12}){3,11}")
_LINE_REST = re.compile(r"[ \t]*,?;?(?:[ \t]+(?:#|//|--)[^\n]{0,200})?(?:\r?$|\\[nr])", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class NamedSecret:
    """Where the name (`context_start`) and the value (`start`, `end`) stand in the text."""

    kind: str
    context_start: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Naming:
    kind: str
    word: str
    start: int
    separator: str
    is_quoted: bool  # the name, as in JSON
    is_weak: bool  # a bare "…_key", which names many things
    is_tight: bool  # name=value without spaces, or an option of a command
    is_setting: bool  # CAPITALS or an option: what stands after is a literal, not code
    owns_line: bool  # a line of a settings file: the value reaches its end


def _kind(name: str) -> str:
    if _PASSWORD_NAME.search(name):
        return "password"
    return {"secret": "secret", "token": "token", "credential": "credential"}.get(name, "api-key")


def _name_start(text: str, at: int) -> int:
    start = at
    lowest = max(0, at - 40)
    while start > lowest and (text[start - 1].isalnum() or text[start - 1] in "_-."):
        start -= 1
    return start


class _BareRuns:
    """Runs of unquoted characters, each measured once, however many names stand inside it.

    `end_of` gives the end of the run around a position, or the position where nothing is to be judged.
    """

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern
        self._start = self._end = self._names = -1

    def end_of(self, text: str, at: int) -> int:
        if not self._start <= at < self._end:
            match = self._pattern.match(text, at)
            if match is None:
                return at
            self._start, self._end = match.span()
            self._names = 0
        self._names += 1
        return self._end if self._names <= _NAMES_IN_A_RUN else at


def find_named_secrets(text: str, lowered: str) -> Iterator[NamedSecret]:
    """Values that stand beside the name of a secret and do not look like a placeholder, a reference or code.

    `lowered` is `text` in lower case, character for character.
    """
    bare_runs, line_runs = _BareRuns(_BARE), _BareRuns(_LINE_BARE)
    resume = 0
    for hit in _NAME.finditer(lowered):
        if hit.start() < resume:
            continue
        after = _AFTER_NAME.match(text, hit.end())
        if after is None:
            continue
        found = _value_beside(text, lowered, hit, after, bare_runs, line_runs)
        if found is not None:
            resume = found.end
            yield found


def _value_beside(
    text: str,
    lowered: str,
    hit: re.Match[str],
    after: re.Match[str],
    bare_runs: _BareRuns,
    line_runs: _BareRuns,
) -> NamedSecret | None:
    naming = _naming(text, lowered, hit, after)
    if naming is None:
        return None
    quoted = _quoted_value(text, after.end())
    if quoted is not None:
        begin, end = quoted
        accepted = _accepts_quoted(text[begin:end], naming)
    else:
        begin = after.end()
        end = (line_runs if naming.owns_line else bare_runs).end_of(text, begin)
        end -= len(tail := text[max(begin, end - 8) : end]) - len(tail.rstrip(".:*"))
        accepted = _accepts_bare(text, begin, end, naming)
    return NamedSecret(naming.kind, naming.start, begin, end) if accepted and end > begin else None


def _naming(text: str, lowered: str, hit: re.Match[str], after: re.Match[str]) -> _Naming | None:
    """How the name at `hit` and the separator at `after` name a value; None if they name something public."""
    word = hit.group()
    start = _name_start(text, hit.start())
    kind = _kind(word)
    if _ABOUT.search(after["suffix"].lower()):
        return None
    if kind != "password" and _PUBLIC_PREFIX.search(lowered[start : hit.start()]):
        return None
    separator = after["sep"].strip()
    is_option = text.startswith("--", start) or word == "requirepass"
    is_tight = (
        separator == "=" and not text[after.start("sep") - 1].isspace() and text[after.end() - 1] == "="
    )
    is_capital = text[start : hit.end()].isupper()
    begins_line = bool(_LINE_HEAD.search(text, max(0, start - 10), start))
    return _Naming(
        kind=kind,
        word=word,
        start=start,
        separator=separator,
        is_quoted=after["quote"] is not None,
        is_weak=len(word) == 5 and word.endswith(("-key", "_key")),
        is_tight=is_tight or is_option,
        is_setting=is_capital or is_option,
        owns_line=begins_line and is_capital and (is_tight or separator == ":"),
    )


def _quoted_value(text: str, at: int) -> tuple[int, int] | None:
    match = _TRIPLE_QUOTED.match(text, at) or _ESCAPED_QUOTED.match(text, at)
    if match is None:
        ahead = _QUOTE_AHEAD.match(text, at)
        match = _QUOTED[ahead[1]].match(text, at) if ahead else None
    return match.span("value") if match else None


def _accepts_quoted(value: str, naming: _Naming) -> bool:
    is_password = naming.kind == "password"
    if naming.is_weak:
        return len(value) >= 24 and naming.separator not in {",", "("} and looks_like_token(value)
    if naming.separator == "," and not naming.is_quoted:
        return False
    if looks_like_token(value):
        return True
    if naming.separator in {"(", ",", ""} or not is_password:
        return (
            len(value) >= 8
            and looks_like_password(value)
            and (is_password or bool(naming.separator.strip("(,")))
        )
    if naming.word == "passphrase" and _SEVERAL_WORDS.fullmatch(value):
        return True
    return looks_like_password(value) or (
        naming.separator in {"=", ":", ":=", "=>", "=="} and is_chosen_word(value)
    )


def _accepts_bare(text: str, begin: int, end: int, naming: _Naming) -> bool:
    value = text[
        begin : min(end, begin + _JUDGED)
    ]  # a run may hold many names: judging it whole would be quadratic
    separator = naming.separator
    is_password = naming.kind == "password"
    if separator in {",", "(", "->"} or text[end : end + 1] in {"(", "["} or value.startswith("-"):
        return False
    if naming.is_weak:
        return len(value) >= 24 and looks_like_token(value)
    if naming.is_setting and naming.is_tight:
        if is_technical_word(value):
            return False
        return (
            looks_like_password(value) or looks_like_token(value) or (is_password and is_chosen_word(value))
        )
    if not separator:
        return looks_typed_in(value) and (is_password or (len(value) >= 16 and looks_like_token(value)))
    if looks_like_token(value) and not value.isidentifier():
        return True
    if value.isidentifier() and not (is_password or len(value) >= 16):
        return False
    ends_line = (
        separator == ">"
        or naming.is_tight
        or separator.startswith(("is", "was"))
        or _LINE_REST.match(text, end)
    )
    return bool(ends_line) and (is_password or looks_like_token(value)) and looks_like_password(value)
