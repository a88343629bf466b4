"""Secrets of vendors whose credentials have no shape of their own, found by detect-secrets' detectors.

Importing detect_secrets costs 20 MB and pulls in `requests`, so it is imported when a text first names one of these vendors, and
only its regular expressions are used: its settings, files and verification (which calls the network) never are.
"""

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Protocol, cast

_REACH = 200  # the detectors backtrack on long runs of spaces: each sees a short window only
_DETECTORS = (
    ("cloudant", "cloudant-credentials", "cloudant", "CloudantDetector"),
    ("softlayer", "softlayer-key", "softlayer", "SoftlayerDetector"),
    ("ibm", "ibm-cloud-key", "ibm_cloud_iam", "IbmCloudIamDetector"),
    ("ibm", "ibm-cos-key", "ibm_cos_hmac", "IbmCosHmacDetector"),
    ("discord", "discord-token", "discord", "DiscordBotTokenDetector"),
)


class _Detector(Protocol):
    def analyze_string(self, string: str) -> Iterator[str]: ...


@cache
def _detector(module: str, name: str) -> _Detector:
    return cast(_Detector, getattr(import_module(f"detect_secrets.plugins.{module}"), name)())


def find_vendor_secrets(text: str, lowered: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, kind) of the credentials that stand within 200 characters after their vendor's name."""
    for word, kind, module, name in _DETECTORS:
        at = lowered.find(word)
        while at >= 0:
            window = text[max(0, at - 4) : at + _REACH]
            start = max(0, at - 4)
            for secret in set(_detector(module, name).analyze_string(window)):
                offset = window.find(secret)
                if len(secret) >= 20 and offset >= 0:
                    yield start + offset, start + offset + len(secret), kind
            at = lowered.find(word, at + _REACH)
