"""Every kind of secret goes, and nothing around it."""

from importlib import import_module
from pathlib import Path

import pytest
import secret_samples
from detect_secrets.plugins.base import RegexBasedDetector
from secret_samples import JWT, NAMED, PASSWORD, SHAPED, TOKEN, pem, random_run

from remanence.memory.redaction import Redacted, redact


@pytest.mark.parametrize(
    "surroundings", ["{}", "It is {} now.", '{{"a": "{}"}}', "x\\n{}\\ny", "see\n{}\nthere", "({})"]
)
@pytest.mark.parametrize(("kind", "secret"), SHAPED, ids=lambda value: str(value)[:18])
def test_a_shaped_secret_goes_wherever_it_stands(kind: str, secret: str, surroundings: str) -> None:
    assert redact(surroundings.format(secret)) == Redacted(surroundings.format(f"[REDACTED:{kind}]"), (kind,))


@pytest.mark.parametrize(("kind", "text", "secret"), NAMED, ids=lambda value: str(value)[:24])
def test_a_named_secret_goes_and_its_surroundings_stay(kind: str, text: str, secret: str) -> None:
    redacted = redact(text.format(secret))
    assert redacted.text == text.format(f"[REDACTED:{kind}]")
    assert redacted.kinds == (kind,)


@pytest.mark.parametrize(
    "text",
    [
        'password = getpass.getpass("Password: ")',
        'token = request.headers["x"]',
        'key = os.environ["API_KEY"]',
        "api_key: str",
        'password = "changeme"',
        'api_key = "<your-key>"',
        "API_KEY=your_api_key_here",
        "token: ${{ secrets.GITHUB_TOKEN }}",
        "postgres://user:${DB_PASSWORD}@db/x",
        "https://user:password@example.com",
        "Authorization: Bearer <token>",
        "ghp_" + "x" * 36,
        "sk-" + "x" * 48,
        "max_tokens=4096, n=2",
        "id: 123e4567-e89b-12d3-a456-426614174000",
        "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
        "password must be at least 8 characters",
        "the token is valid for 3600s",
        "token: Uint8Array",
        "the password is required",
        "-----BEGIN PRIVATE KEY----- comes first, -----END PRIVATE KEY----- last",
        "sed 's/\\(a\\)$1$/x/'",
        "basic authentication is used",
        "const token = await getToken(user1);",
        "__private__ <privateer>",
        "nextPageToken: CAUQAA12345678",
        "color: #a8f5f1",
        "/password: \\d{3}[a-z]+/",
    ],
)
def test_placeholders_references_and_words_stay(text: str) -> None:
    assert redact(text) == Redacted(text, ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a <private>b</private> c", "a [REDACTED:private] c"),
        ("a <PRIVATE>b\nc</Private> d", "a [REDACTED:private] d"),
        ("a <private>b never closed", "a [REDACTED:private]"),
        ("a <private>b<private>c</private>d</private> e", "a [REDACTED:private] e"),
        ("<private>1</private> x < private >2</ private >", "[REDACTED:private] x [REDACTED:private]"),
        ("a </private> b", "a </private> b"),
    ],
)
def test_private_spans_go_whole(text: str, expected: str) -> None:
    assert redact(text).text == expected


def test_a_key_cut_short_goes_to_where_it_was_cut() -> None:
    cut = pem("RSA PRIVATE KEY").rsplit("\n", 2)[0]
    assert redact(f"see {cut}\n\nThat is all.").text == "see [REDACTED:private-key]\n\nThat is all."


def test_a_service_account_file_loses_its_key_only() -> None:
    key = pem("PRIVATE KEY", newline="\\n")
    text = '{"type": "service_account", "private_key": "' + key + '\\n", "client_email": "a@b.example"}'
    redacted = redact(text)
    assert redacted.kinds == ("private-key",)
    assert redacted.text.endswith('", "client_email": "a@b.example"}')
    assert redacted.text.startswith('{"type": "service_account", "private_key": "[REDACTED:private-key]')


def test_kinds_come_in_the_order_of_the_text() -> None:
    text = f'password="{PASSWORD}" then {JWT} then <private>x</private> then api_key="{TOKEN}"'
    assert redact(text).kinds == ("password", "jwt", "private", "api-key")


def test_the_vendor_names_the_kind_where_a_name_stands_beside() -> None:
    secret = "glpat-" + random_run(20)
    assert redact(f'token = "{secret}"') == Redacted('token = "[REDACTED:gitlab-token]"', ("gitlab-token",))


def test_a_letter_that_grows_in_lower_case_does_not_move_what_is_found() -> None:
    assert redact(f'İİİ password = "{PASSWORD}" İ').text == 'İİİ password = "[REDACTED:password]" İ'


@pytest.mark.parametrize(
    "module",
    [
        "aws",
        "azure_storage_key",
        "discord",
        "github_token",
        "gitlab_token",
        "jwt",
        "mailchimp",
        "npm",
        "openai",
        "private_key",
        "pypi_token",
        "sendgrid",
        "slack",
        "square_oauth",
        "stripe",
        "telegram_token",
        "twilio",
    ],
)
def test_detect_secrets_finds_something_before_redaction_and_nothing_after(module: str) -> None:
    plugin = import_module(f"detect_secrets.plugins.{module}")
    detectors = [
        kind()
        for kind in vars(plugin).values()
        if isinstance(kind, type)
        and kind.__module__ == plugin.__name__
        and issubclass(kind, RegexBasedDetector)
    ]
    texts = [secret for _, secret in SHAPED] + [text.format(secret) for _, text, secret in NAMED]
    (detector,) = detectors
    before = [found for text in texts for found in detector.analyze_string(text)]
    after = [found for text in texts for found in detector.analyze_string(redact(text).text)]
    assert before
    assert not after


def test_no_secret_stands_whole_in_the_repository() -> None:
    source = Path(secret_samples.__file__).read_text(encoding="utf-8")
    assert not [secret for _, secret in SHAPED if secret in source]
