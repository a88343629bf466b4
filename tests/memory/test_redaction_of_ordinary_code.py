"""Redaction must leave ordinary code alone, above all code that is about passwords and tokens."""

import sysconfig
from pathlib import Path

import pytest

from remanence.memory.redaction import redact

_ADVERSARIAL_MODULES = [
    "ast.py",
    "configparser.py",
    "crypt.py",
    "ftplib.py",
    "getpass.py",
    "hashlib.py",
    "hmac.py",
    "http/client.py",
    "http/cookies.py",
    "imaplib.py",
    "lib2to3/pgen2/tokenize.py",
    "netrc.py",
    "nntplib.py",
    "poplib.py",
    "secrets.py",
    "smtplib.py",
    "ssl.py",
    "tokenize.py",
    "urllib/parse.py",
    "urllib/request.py",
    "uuid.py",
    "xmlrpc/client.py",
]
_MIXED_CODE = Path(__file__).parent / "data" / "ordinary_code.txt"


def _changed_lines(source: str) -> list[str]:
    """The lines that redaction changed; it never changes their number unless it takes several in one."""
    redacted = redact(source).text
    kept = set(redacted.splitlines())
    return [line for line in source.splitlines() if line not in kept]


def test_the_standard_library_raises_at_most_one_alarm_per_thousand_lines() -> None:
    library = Path(sysconfig.get_path("stdlib"))
    sources = [
        (library / module).read_text(encoding="utf-8")
        for module in _ADVERSARIAL_MODULES
        if (library / module).is_file()
    ]
    lines = sum(source.count("\n") for source in sources)
    alarms = [line for source in sources for line in _changed_lines(source)]
    assert lines > 10_000
    assert len(alarms) <= lines / 1000, alarms


def test_mixed_code_in_many_languages_stays_as_it_is() -> None:
    source = _MIXED_CODE.read_text(encoding="utf-8")
    assert _changed_lines(source) == []
    assert redact(source).kinds == ()


@pytest.mark.parametrize("module", ["ssl.py", "urllib/parse.py"])
def test_a_secret_in_the_midst_of_ordinary_code_is_the_only_thing_that_goes(module: str) -> None:
    source = (Path(sysconfig.get_path("stdlib")) / module).read_text(encoding="utf-8")
    middle = source.index("\n", len(source) // 2) + 1
    secret = "glpat-" + "9aZ3kQ7xW2mB5tR8wYpL"
    redacted = redact(f"{source[:middle]}TOKEN = '{secret}'\n{source[middle:]}")
    assert redacted.text == f"{source[:middle]}TOKEN = '[REDACTED:gitlab-token]'\n{source[middle:]}"
