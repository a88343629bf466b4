"""Secrets of vendors whose credentials have no prefix of their own, found by detect-secrets' detectors.

Importing detect_secrets costs 20 MB and pulls in `requests`, so it is imported when a text first names one of
these vendors. Only its regular expressions are used: its settings, files and verification (which calls the
network) never are, and `analyze_string` is not either, because it does not tell where a secret stands.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import NamedTuple

_REACH = (
    200  # the expressions backtrack over runs of spaces: each sees no more than this after the vendor's name
)


class VendorSecret(NamedTuple):
    """Where the vendor's name (`context_start`) and the secret stand in the text."""

    context_start: int
    start: int
    end: int
    kind: str


class _Detector(NamedTuple):
    word: str
    kind: str
    module: str
    name: str
    begins_with_word: bool


_DETECTORS = (
    _Detector("cloudant", "cloudant-credentials", "cloudant", "CloudantDetector", True),
    _Detector("softlayer", "softlayer-key", "softlayer", "SoftlayerDetector", True),
    _Detector("ibm", "ibm-cloud-key", "ibm_cloud_iam", "IbmCloudIamDetector", True),
    _Detector("ibm", "ibm-cos-key", "ibm_cos_hmac", "IbmCosHmacDetector", True),
    _Detector("discord", "discord-token", "discord", "DiscordBotTokenDetector", False),
)


@cache
def _expressions(detector: _Detector) -> tuple[re.Pattern[str], ...]:
    return tuple(getattr(import_module(f"detect_secrets.plugins.{detector.module}"), detector.name).denylist)


def find_vendor_secrets(text: str, lowered: str) -> Iterator[VendorSecret]:
    """The credentials of the vendors named in `text`; `lowered` is the same in lower case."""
    for detector in _DETECTORS:
        if detector.word not in lowered:
            continue
        for expression in _expressions(detector):
            for match in _matches(expression, detector, text, lowered):
                yield VendorSecret(match.start(), *match.span(expression.groups and 1), detector.kind)


def _matches(
    expression: re.Pattern[str], detector: _Detector, text: str, lowered: str
) -> Iterator[re.Match[str]]:
    if not detector.begins_with_word:
        yield from expression.finditer(text)
        return
    at = lowered.find(detector.word)
    while at >= 0:
        match = expression.match(text, at, at + _REACH)
        if match is not None:
            yield match
        at = lowered.find(detector.word, at + 1)
