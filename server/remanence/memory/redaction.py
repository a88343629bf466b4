"""Redaction of secrets, before anything is stored, embedded or hashed.

Everything is found on the text as it came and overlapping findings are merged, so that nothing depends on the
order of rules. A finding that touches a marker already in the text is dropped: that is what makes `redact`
idempotent. Each search is linear in the text's length.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from remanence.memory.named_secrets import find_named_secrets
from remanence.memory.secret_patterns import SHAPE_RULES, ShapeRule
from remanence.memory.secret_values import (
    is_placeholder,
    is_repetitive,
    looks_like_password,
    looks_like_token,
)
from remanence.memory.vendor_detectors import find_vendor_secrets

REDACTOR_VERSION = 1
"""Raised by every change of what is found or how it is named; older stored texts are redacted again."""

_MARKER = re.compile(r"\[REDACTED:[a-z0-9-]+\]")
_PRIVATE_TAG = re.compile(r"<(?P<close>/?)\s{0,8}private\s{0,8}>", re.IGNORECASE | re.ASCII)
_KEY_BEGIN = re.compile(r"-{4,5} ?BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
_KEY_END = re.compile(r"-{4,5} ?END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
_KEY_BODY = re.compile(r"[A-Za-z0-9+/=]{24}")
_CUT_KEY_BODY = re.compile(r"(?:[A-Za-z0-9+/=]{16,}+|\s|\\[nrt]|[\"'+,>|#*]){1,}+")
_USERINFO = re.compile(r"://(?P<user>[^\s/?#@:\"'<>`\\]*+):(?P<secret>[^\s/?#\"'<>`\\]+)@")
_USERINFO_TOKEN = re.compile(r"://(?P<secret>[^\s/?#@:\"'<>`\\]{20,}+)@")
_CURL_USER = re.compile(
    r"(?:-u|--user|--proxy-user)[ =]{0,4}[\"']?[^\s:\"'$<{]{1,80}+:(?P<secret>[^\s\"'\\]++)"
)
_OPTION_P = re.compile(r" -p ?[\"']?(?P<secret>[^\s\"'\\-][^\s\"'\\]*+)")
_NETRC = re.compile(r"login[ \t\n]{1,8}\S{1,200}[ \t\n]{1,8}password[ \t\n]{1,8}(?P<secret>\S++)")
_PGPASS = re.compile(
    r"^[^\s:#]{1,200}:(?:54\d\d|6432|\*):[^\s:]{1,100}:[^\s:]{1,100}:(?P<secret>[^\s:]++)$", re.MULTILINE
)
_COMMAND_REACH = 400


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without its secrets, and the kind of each finding in the order of the text."""

    text: str
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Finding:
    context_start: int
    start: int
    end: int
    kind: str
    rank: int  # of two that overlap, the lower names the kind


def redact(text: str) -> Redacted:
    """`text` with every secret replaced by `[REDACTED:kind]`.

    Deterministic, linear in the length of `text`, and idempotent: redacting the result again changes nothing
    and finds nothing. Placeholders (`changeme`, `<your-key>`, `${TOKEN}`) stay.
    """
    lowered = _lower(text)
    findings = [*_find_private_spans(text, lowered), *_find_private_keys(text)]
    for rule in SHAPE_RULES:
        findings.extend(_find_shape(rule, text, lowered))
    findings.extend(_find_url_credentials(text))
    findings.extend(_find_command_credentials(text))
    findings.extend(
        _Finding(f.context_start, f.start, f.end, f.kind, 3) for f in find_named_secrets(text, lowered)
    )
    findings.extend(_Finding(*found, 2) for found in find_vendor_secrets(text, lowered))
    if not findings:
        return Redacted(text, ())
    return _replace(text, _apart_from_markers(text, findings))


def _lower(text: str) -> str:
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return re.sub(r"[A-Z]+", lambda match: match[0].lower(), text)  # "İ".lower() is longer than "İ"


def _apart_from_markers(text: str, findings: list[_Finding]) -> list[_Finding]:
    markers = [match.span() for match in _MARKER.finditer(text)]
    if not markers:
        return findings
    ends = [end for _, end in markers]

    def is_apart(finding: _Finding) -> bool:
        nearest = bisect_left(ends, finding.context_start)
        return nearest == len(markers) or markers[nearest][0] > finding.end

    return [finding for finding in findings if finding.rank == 0 or is_apart(finding)]


def _replace(text: str, findings: list[_Finding]) -> Redacted:
    findings.sort(key=lambda finding: (finding.start, -finding.end, finding.rank))
    pieces: list[str] = []
    kinds: list[str] = []
    done = 0
    index = 0
    while index < len(findings):
        best = findings[index]
        start, end = best.start, best.end
        index += 1
        while index < len(findings) and findings[index].start < end:
            end = max(end, findings[index].end)
            if findings[index].rank < best.rank:
                best = findings[index]
            index += 1
        pieces += (text[done:start], f"[REDACTED:{best.kind}]")
        kinds.append(best.kind)
        done = end
    pieces.append(text[done:])
    return Redacted("".join(pieces), tuple(kinds))


def _find_private_spans(text: str, lowered: str) -> Iterator[_Finding]:
    if "private" not in lowered:
        return
    depth = start = 0
    for tag in _PRIVATE_TAG.finditer(text):
        if not tag["close"]:
            start = start if depth else tag.start()
            depth += 1
        elif depth:
            depth -= 1
            if not depth:
                yield _Finding(start, start, tag.end(), "private", 0)
    if depth:
        yield _Finding(start, start, len(text), "private", 0)


def _find_private_keys(text: str) -> Iterator[_Finding]:
    if "PRIVATE KEY" not in text:
        return
    begins = list(_KEY_BEGIN.finditer(text))
    ends = list(_KEY_END.finditer(text))
    end_starts = [end.start() for end in ends]
    for number, begin in enumerate(begins):
        limit = begins[number + 1].start() if number + 1 < len(begins) else len(text)
        nearest = bisect_left(end_starts, begin.end())
        if nearest < len(ends) and ends[nearest].start() < limit:
            if _KEY_BODY.search(text, begin.end(), ends[nearest].start()):
                yield _Finding(begin.start(), begin.start(), ends[nearest].end(), "private-key", 1)
            continue
        body = _CUT_KEY_BODY.match(text, begin.end(), limit)
        if body and _KEY_BODY.search(body[0]):
            end = begin.end() + len(body[0].rstrip(" \t\r\n\"',+"))
            yield _Finding(begin.start(), begin.start(), end, "private-key", 1)


def _find_shape(rule: ShapeRule, text: str, lowered: str) -> Iterator[_Finding]:
    haystack = lowered if rule.folded else text
    for literal in rule.literals:
        at = haystack.find(literal)
        while at >= 0:
            match = rule.pattern.match(text, at)
            resume = at + 1
            if match is not None:
                group = "secret" if "secret" in rule.pattern.groupindex else 0
                start, end = match.span(group)
                lead = _lead_length(rule, text, at)
                if (
                    lead >= 0
                    and not is_repetitive(text[start:end])
                    and (rule.accept is None or rule.accept(text[start:end]))
                ):
                    yield _Finding(at - lead, start - lead, end, rule.kind, 1)
                    resume = end
            at = haystack.find(literal, max(resume, at + 1))


def _lead_length(rule: ShapeRule, text: str, at: int) -> int:
    """How many characters before the literal belong to the secret; -1 where there are too few."""
    if rule.lead is None:
        return 0
    before = text[max(0, at - rule.lead.at_most) : at]
    length = len(before) - len(before.rstrip(rule.lead.characters))
    return length if length >= rule.lead.at_least else -1


def _find_url_credentials(text: str) -> Iterator[_Finding]:
    at = text.find("://")
    while at >= 0:
        match = _USERINFO.match(text, at)
        if match and match["secret"] and not is_placeholder(match["secret"]):
            yield _Finding(at, *match.span("secret"), "url-password", 2)
        elif (
            match is None and (match := _USERINFO_TOKEN.match(text, at)) and looks_like_token(match["secret"])
        ):
            yield _Finding(at, *match.span("secret"), "url-token", 2)
        at = text.find("://", at + 3)


def _find_command_credentials(text: str) -> Iterator[_Finding]:
    if "curl" in text:
        for match in _CURL_USER.finditer(text):
            command = text.rfind("curl", max(0, match.start() - _COMMAND_REACH), match.start())
            if command >= 0 and not is_placeholder(match["secret"]):
                yield _Finding(command, *match.span("secret"), "basic-credentials", 2)
    if "mysql" in text or "sshpass" in text or "mariadb" in text:
        for match in _OPTION_P.finditer(text):
            line = text.rfind("\n", max(0, match.start() - _COMMAND_REACH), match.start()) + 1
            line = max(line, match.start() - _COMMAND_REACH)
            command = re.search(r"mysql|mariadb|sshpass", text[line : match.start()])
            if command and looks_like_password(match["secret"]):
                yield _Finding(line + command.start(), *match.span("secret"), "password", 2)
    if "login" in text and "password" in text:
        for match in _NETRC.finditer(text):
            if not is_placeholder(match["secret"]):
                yield _Finding(match.start(), *match.span("secret"), "netrc-password", 2)
    if ":54" in text or ":6432:" in text or ":*:" in text:
        for match in _PGPASS.finditer(text):
            if not is_placeholder(match["secret"]):
                yield _Finding(match.start(), *match.span("secret"), "pgpass-password", 2)
