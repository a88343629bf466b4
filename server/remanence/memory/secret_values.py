"""Judgements on a single value: placeholder, reference, word of code, or what looks like a secret."""

import base64
import binascii
import math
import re
from collections import Counter
from itertools import pairwise

_JUDGED = 96  # a longer value is judged by its beginning, so that judging stays constant-time

_PLACEHOLDER_VOCABULARY = """
your my the an some insert replace with enter put add here this is me change it to be example sample
dummy fake test testing foo bar baz qux placeholder password passwd passphrase pass pwd secret token
api key access auth client id value string user username name none null undefined true false todo
tbd redacted hidden removed masked censored default empty blank private public real actual own super
database db app from env not set unset required optional provided goes new old current confirm
generate generated long random login admin root demo mock stub spam eggs credentials credential
bearer basic abc abcd abcdef
"""
_PLACEHOLDER_WORDS = re.compile(
    "|".join(sorted(_PLACEHOLDER_VOCABULARY.split(), key=lambda word: (-len(word), word)))
)
# Text that stands for a value held elsewhere: templates, variables, calls, formats.
_REFERENCE = re.compile(
    r"^[$<{%@#!*&~\[(]\S*$|\$\{|\$\(|\{\{|\{[\w.]*[}:!]|%\(|%[sdrv@]|<[^>]*>|\.\.\.|…"
    r"|^(?:env|process\.env|os\.|var\.|vars\.|secrets\.|self\.|this\.|config\.|settings\.|op://|vault:|ref:|arn:|data:|file:)",
    re.ASCII,
)
_LOCATION = re.compile(r"^(?:[a-z][a-z0-9+.\-]{1,15}://|\.{0,2}/|~/|[A-Za-z]:\\)", re.ASCII)
_REGEX_SYNTAX = re.compile(r"\\[dwsbDWS]|\[[^\]]*\]|\(\?|\.[*+]|[+*]\$|^\^")
_WORDS = re.compile(r"[^\W\d_]+(?:[_\-./: @#]+[^\W\d_]+)*[_\-./:!?]*")
# Words of code with a number in them: utf8, int64, oauth2_token_v1, access-token-2.
_NUMBERED_WORDS = re.compile(r"_*[A-Za-z]+\d{0,3}(?:[_\-./:]+(?:[A-Za-z]+\d{0,3}|\d{1,4}))*_*", re.ASCII)
_DATE_OR_VERSION = re.compile(r"v?\d{1,4}(?:[.\-/:T ]\d{1,6})+[A-Za-z0-9.\-+:]*", re.ASCII)
_TECHNICAL_WORD = re.compile(
    r"(?:u?int|float|utf|base|sha|md|hs|rs|es|ps|aes|rsa|x|b|f|i|u|str|string|arg|args|var|val|value|text|line|input|field|"
    r"param|pass|pw|pwd|password|passwd|token|tok|secret|key|user|test|oauth|ipv|ssh|col|row|step|level|number|part|item|"
    r"group|ed|curve|blake|bcrypt|argon|scrypt|pbkdf|type|data|node|tmp|temp)[_\-]?\d+[a-z]{0,12}",
    re.IGNORECASE | re.ASCII,
)
_UI_VOCABULARY = """
requires expects accepts given flag
string text hidden required invalid optional varchar boolean number object integer plain bcrypt
field input label missing forgot enabled disabled encrypted plaintext keyring prompt unknown
anonymous secure secured always never manual automatic request response header cookie session query
external internal inherit global static dynamic expired changed updated wrong incorrect strong
character characters stdin stdout
"""
_UI_WORDS = frozenset(_UI_VOCABULARY.split())
_PASSWORD_MARKS = frozenset("!@#$%^&*+=~?|")


def entropy(value: str) -> float:
    """Shannon entropy of `value`, in bits per character."""
    size = len(value)
    return -sum(n / size * math.log2(n / size) for n in Counter(value).values()) if size else 0.0


def is_placeholder(value: str) -> bool:
    """Whether `value` stands for a secret without being one: `xxx`, `<your-key>`, `changeme`, `${TOKEN}`."""
    value = value[:_JUDGED]
    if len(set(value)) <= 3 or _REFERENCE.search(value) or "xxxx" in value.lower() or "****" in value:
        return True
    letters = "".join(c for c in value.lower() if c.isalpha())
    has_digit = any(c.isdigit() for c in value)
    return not _PLACEHOLDER_WORDS.sub("", letters) and (
        not has_digit or letters.startswith(("your", "insert", "replace"))
    )


def is_repetitive(value: str) -> bool:
    """Whether a token's text is the `ghp_xxxxxxxx` of documentation rather than a token."""
    tail = value[:_JUDGED][-16:]
    return len(value) >= 16 and (len(set(tail)) <= 2 or "xxxxxxxx" in tail.lower())


def _is_shuffled_case(value: str) -> bool:
    if not value.isalpha() or len(value) < 16:
        return False
    rises = sum(a.islower() and b.isupper() for a, b in pairwise(value))
    uppers = sum(c.isupper() for c in value) / len(value)
    return 0.25 < uppers < 0.75 and rises >= len(value) * 0.15


def _is_code(value: str) -> bool:
    return bool(
        _LOCATION.match(value)
        or _REGEX_SYNTAX.search(value)
        or _DATE_OR_VERSION.fullmatch(value)
        or (_WORDS.fullmatch(value) and not _is_shuffled_case(value))
    )


def looks_like_token(value: str) -> bool:
    """Whether a machine made `value`: 12 or more characters, mixed classes, high entropy, no words."""
    value = value[:_JUDGED]
    if len(value) < 12 or any(c.isspace() for c in value) or is_placeholder(value) or _is_code(value):
        return False
    if _is_shuffled_case(value):
        return True
    digits = sum(c.isdigit() for c in value)
    if not digits or (
        _NUMBERED_WORDS.fullmatch(value)
        and (digits < 5 or not value.isalnum())
        and digits / len(value) < 0.25
    ):
        return _is_shuffled_case(value[: len(value) - digits])
    return digits < len(value) and entropy(value) >= 2.8


def looks_like_password(value: str) -> bool:
    """Whether a person may have chosen `value`: 5 characters or more, no space, digits or marks."""
    value = value[:_JUDGED]
    if len(value) < 5 or any(c.isspace() for c in value) or is_placeholder(value) or _is_code(value):
        return False
    if _TECHNICAL_WORD.fullmatch(value):
        return False
    if value.isdigit():
        return len(value) >= 6
    if not any(c.isalpha() for c in value):
        return False
    if any(c.isdigit() for c in value):
        return (
            not ("_" in value or "." in value)
            or looks_like_token(value)
            or any(c in _PASSWORD_MARKS for c in value)
        )
    return any(c in _PASSWORD_MARKS for c in value[1:]) and len(value) >= 6


def is_chosen_word(value: str) -> bool:
    """Whether `value` is one lower-case word that may be a password where it is assigned to one."""
    return (
        len(value) >= 6
        and value.isalpha()
        and value.islower()
        and value not in _UI_WORDS
        and not is_placeholder(value)
    )


def looks_typed_in(value: str) -> bool:
    """Whether `value`, met in prose after a name, can hardly be a word: digits with marks or both cases."""
    digits = sum(c.isdigit() for c in value)
    both_cases = any(c.isupper() for c in value) and any(c.islower() for c in value)
    if digits and (both_cases or any(c in _PASSWORD_MARKS for c in value)):
        return looks_like_password(value)
    return False


def is_technical_word(value: str) -> bool:
    """Whether `value` is a numbered word of code such as `int64` or `arg2`."""
    return bool(_TECHNICAL_WORD.fullmatch(value[:_JUDGED]))


def holds_basic_credentials(encoded: str) -> bool:
    """Whether `encoded` is base64 of `user:password`, as HTTP Basic has it (RFC 7617)."""
    head = encoded[: len(encoded) // 4 * 4][:1024] if "=" not in encoded else encoded[:1024]
    try:
        decoded = base64.b64decode(head + "=" * (-len(head) % 4), validate=True)
    except binascii.Error:
        return False
    return b":" in decoded and all(32 <= byte < 127 or byte >= 0xC2 for byte in decoded)
