"""What holds for any text: redaction is idempotent, total, linear and keeps what is private out."""

import string
import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st
from secret_samples import NAMED, SHAPED

from remanence.memory.redaction import Redacted, redact

_FRAGMENTS = st.sampled_from(
    [secret for _, secret in SHAPED]
    + [text.format(secret) for _, text, secret in NAMED]
    + [
        "<private>",
        "</private>",
        "[REDACTED:jwt]",
        "password=",
        'token: "',
        "'",
        '"',
        "\\n",
        "\n",
        " ",
        "://",
        ":",
        "@",
        "-",
        "=",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "Bearer ",
        "curl -u a:",
        "ibm",
        "a",
        "1",
    ]
)
_SOUP = st.lists(st.one_of(_FRAGMENTS, st.text(max_size=6)), max_size=12).map("".join)


@settings(max_examples=400, deadline=None)
@given(_SOUP)
def test_redacting_again_changes_nothing(text: str) -> None:
    once = redact(text)
    assert redact(once.text) == Redacted(once.text, ())


@settings(max_examples=150, deadline=None)
@given(_SOUP, st.text(max_size=40), _SOUP)
def test_what_is_private_never_survives(before: str, inner: str, after: str) -> None:
    marker = "q9Zq" + "unmistakable"
    assert marker not in redact(f"{before}<private>{inner}{marker}</private>{after}").text


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=string.ascii_letters + " .,;\n", max_size=300))
def test_words_without_a_name_of_a_secret_stay_as_they_are(text: str) -> None:
    assert redact(text) == Redacted(text, ())


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=400))
def test_any_text_at_all_is_redacted_or_returned_unchanged(text: str) -> None:
    redacted = redact(text)
    assert (redacted.text == text) == (redacted.kinds == ())


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(SHAPED), min_size=1, max_size=6))
def test_texts_one_after_the_other_lose_what_each_loses(secrets: list[tuple[str, str]]) -> None:
    texts = [f"Here: {secret} ends.\n" for _, secret in secrets]
    assert redact("".join(texts)).text == "".join(redact(text).text for text in texts)


_HOSTILE = [
    "a",
    "=",
    '"',
    "\\",
    " ",
    "<private>",
    "://a:",
    "token=token=",
    "password='\"`",
    "eyJ",
    "-----BEGIN PRIVATE KEY-----",
    "curl -u ",
    "mysql -p",
    "aws_secret",
    "cloudant_key   ",
    "key-",
    "[REDACTED:x]",
    "<",
    "login a password ",
]


def _printed_by(program: str) -> str:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=True).stdout.strip()


def test_hostile_text_does_not_hang_redaction() -> None:
    """The time limit is a guard against catastrophic backtracking, not a measurement."""
    program = (
        "from remanence.memory.redaction import redact\n"
        f"for unit in {_HOSTILE!r}:\n    redact((unit * 200_000)[:200_000])\nprint('ended')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=240, check=True
    )
    assert done.stdout.strip() == "ended"


def test_importing_and_redacting_load_no_network_module() -> None:
    program = (
        "import sys\nfrom remanence.memory.redaction import redact\nredact('password = \"x9y8z7w6\"')\n"
        "print([m for m in ('requests', 'urllib3', 'socket', 'ssl', 'detect_secrets') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "[]"
