"""Texts that nobody means well with, or that somebody pasted: what a query may be."""

from __future__ import annotations

import random
import string

SIZE = 100_000  # characters

_OPERATORS = [
    *"+-!(){}[]^\"~*?:\\/<>=,;.|&@#$%'`",
    "&&",
    "||",
    "AND",
    "OR",
    "NOT",
    "NEAR",
    "NEAR/2",
    "TO",
    "IN [a b]",
    "body:socket",
    "tool:*",
    "[a TO z]",
    "{1 TO *]",
    '"unclosed phrase',
    "socket~2",
    "socket^9",
    '"a b"~5',
    "/so.*/",
    "*",
]
_WORDS = ["socket", "invoice", "decimal", "redis", "loop", "borrow", "version", "round", "retry", "cache"]


def _long(piece: str) -> str:
    return (piece * (SIZE // len(piece) + 1))[:SIZE]


def _distinct_words() -> str:
    letters = random.Random(0)
    return " ".join("".join(letters.choices(string.ascii_lowercase, k=9)) for _ in range(50_000))


HOSTILE: dict[str, str] = {
    "blank": " \t\n\r\x0b\x0c\u00a0\u2003\u3000" * 50,
    "newlines": _long("\n"),
    "digits": _long("0123456789 "),
    "one number": _long("7"),
    "versions": _long("3.11.7."),
    "dots": _long("."),
    "dotted": _long("a."),
    "underscores": _long("_"),
    "humps": _long("aB"),
    "quotes": _long("\"'`"),
    "escapes": _long('\\"'),
    "brackets": _long("([{<"),
    "hyphens": _long("a-"),
    "slashes": _long("a/"),
    "stop words": _long("the of and to in is it que de la el der die und le les des "),
    "one word many times": _long("socket "),
    "one long word": _long("socket"),
    "distinct words": _distinct_words(),
    "prose": _long("Why does socket.io report an invalid protocol version? Round the invoice with Decimal. "),
    "stack trace": _long('  File "/srv/app/main.py", line 12, in get_user_name\n    raise ValueError(x)\n'),
    "emoji": _long("\U0001f600\U0001f9d1\u200d\U0001f4bb\u2764\ufe0f"),
    "mixed scripts": _long("сокет ソケット 套接字 소켓 मेमोरी مقبس υποδοχή socket "),
    "ideographs": _long("".join(chr(0x4E00 + i * 7 % 0x5000) for i in range(5000))),
    "operators": " ".join(_OPERATORS),
    "operators around words": " ".join(f"{mark}{word}{mark}" for mark in _OPERATORS for word in _WORDS),
    "operators without end": _long(" ".join(_OPERATORS) + " "),
    "regular expression": r"^(a+)+$|(?P<x>[a-z]*)*\1{0,65535}(?=.*b)(?!c)[^\W\d_]",
    "nuls": _long("socket\x00io\x00\x00 "),
    "controls": "".join(map(chr, range(32))) + "\x7f\x80\x85\x9f\ufeff\ufffe\uffff",
    "surrogates": _long("\ud800socket\udfff \udc00"),
    "marks": "e" + _long("\u0301\u0327\u20dd"),
    "marks in words": _long("s\u0301o\u0302c\u0303k\u0304e\u0305t "),
    "right to left": _long("\u202esocket\u202c \u200fمقبس\u200e \u2067invoice\u2069 "),
    "zero width": _long("so\u200bck\u200det \u2060in\ufeffvoice\u00ad "),
    "spread out": _long("\ufdfa\u3300\ufb03 "),
    "markup": _long("<script>alert(1)</script> [x](command:evil) ![y](http://z) `` ``` "),
    "fences": _long("```\n~~~\n"),
    "our own tag": _long('<remanence-memory note="x"> </remanence-memory '),
    "open tags": _long("<remanence-memory "),
    "times": _long("il y a 3 the last 9 hace 12 vor 31 el 31 de february of on monday 2025-02-31 "),
    "base64": _long("TWFuIGlzIGRpc3Rpbmd1aXNoZWQsIG5vdCBvbmx5IGJ5IGhpcyByZWFzb24"),
    "sql": "'; DROP TABLE exchanges; -- \" OR 1=1 /* */ UNION SELECT * FROM sqlite_master",
    "paths": _long("../../etc/passwd file:///C:/x%00y \\\\host\\share "),
}
