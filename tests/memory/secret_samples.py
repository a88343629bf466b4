"""Samples of secrets, put together at run time: none stands whole in the repository."""

import base64
import random
import string

_RANDOM = random.Random(20240611)
_WORD = string.ascii_letters + string.digits
_HEX = "0123456789abcdef"


def random_run(size: int, characters: str = _WORD) -> str:
    """Random characters that hold a digit and both cases where the alphabet has them, whatever the seed."""
    run = [_RANDOM.choice(characters) for _ in range(size)]
    for place, needed in enumerate((string.digits, string.ascii_lowercase, string.ascii_uppercase)):
        usable = [c for c in needed if c in characters]
        if usable and size > 6:
            run[2 * place + 1] = _RANDOM.choice(usable)
    return "".join(run)


def random_uuid() -> str:
    return "-".join(random_run(size, _HEX) for size in (8, 4, 4, 4, 12))


def pem(label: str, newline: str = "\n") -> str:
    lines = [random_run(64, _WORD + "+/") for _ in range(4)]
    return newline.join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----"])


JWT = ".".join(
    base64.urlsafe_b64encode(part).decode().rstrip("=")
    for part in (
        b'{"alg":"HS256","typ":"JWT"}',
        b'{"sub":"1234567890","admin":true}',
        random_run(24).encode(),
    )
)

# (kind, secret): a secret that is known by its shape wherever it stands.
SHAPED = [
    *(("github-token", f"gh{letter}_" + random_run(36)) for letter in "pousr"),
    ("github-token", "github" + "_pat_" + random_run(22) + "_" + random_run(59)),
    *(
        ("gitlab-token", prefix + "-" + random_run(20))
        for prefix in ("glpat", "gldt", "glft", "glrt", "gloas")
    ),
    ("bitbucket-token", "ATBB" + random_run(32)),
    ("atlassian-token", "ATATT3" + random_run(186)),
    ("npm-token", "npm_" + random_run(36)),
    ("pypi-token", "pypi-" + "AgEIcHlwaS5vcmc" + random_run(120)),
    ("rubygems-key", "rubygems_" + random_run(48, _HEX)),
    ("docker-token", "dckr_" + "pat_" + random_run(27)),
    ("artifactory-key", "AKC" + "p" + random_run(69)),
    ("sourcegraph-token", "sgp_" + random_run(40, _HEX)),
    ("aws-access-key-id", "AKIA" + "IOSFODNN7EXAMPLE"),
    ("aws-access-key-id", "ASIA" + random_run(16, string.ascii_uppercase + "234567")),
    ("google-api-key", "AIza" + random_run(35)),
    ("google-oauth-secret", "GOCSPX-" + random_run(28)),
    ("google-oauth-token", "ya29." + random_run(60)),
    ("azure-client-secret", random_run(3) + "8Q~" + random_run(34)),
    ("digitalocean-token", "dop_v1_" + random_run(64, _HEX)),
    ("cloudflare-key", "v1.0-" + random_run(24, _HEX) + "-" + random_run(146, _HEX)),
    ("fly-token", "fm2_" + random_run(120)),
    ("heroku-key", "HRKU-" + random_uuid()),
    ("alibaba-key", "LTAI" + random_run(20)),
    ("databricks-token", "dapi" + random_run(32, _HEX)),
    ("planetscale-token", "pscale_tkn_" + random_run(43)),
    ("supabase-key", "sbp_" + random_run(40, _HEX)),
    ("pulumi-token", "pul-" + random_run(40, _HEX)),
    ("terraform-token", random_run(14) + ".atlasv1." + random_run(67)),
    ("vault-token", "hvs." + random_run(95)),
    ("doppler-token", "dp.pt." + random_run(43)),
    ("1password-token", "ops_" + "eyJ" + random_run(260)),
    ("age-secret-key", "AGE-SECRET-KEY-1" + random_run(58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L")),
    ("openshift-token", "sha256~" + random_run(43)),
    ("tailscale-key", "tskey-auth-" + random_run(12) + "-" + random_run(32)),
    ("anthropic-key", "sk-" + "ant-api03-" + random_run(93) + "AA"),
    ("openai-key", "sk-" + random_run(20) + "T3BlbkFJ" + random_run(20)),
    ("openai-key", "sk-" + "proj-" + random_run(74) + "T3BlbkFJ" + random_run(74)),
    ("openrouter-key", "sk-" + "or-v1-" + random_run(64, _HEX)),
    ("huggingface-token", "hf_" + random_run(34)),
    ("groq-key", "gsk_" + random_run(52)),
    ("xai-key", "xai-" + random_run(80)),
    ("replicate-token", "r8_" + random_run(37)),
    ("perplexity-key", "pplx-" + random_run(48)),
    ("slack-token", "xoxb-" + "123456789012-1234567890123-" + random_run(24)),
    ("slack-token", "xapp-" + "1-A0123456789-1234567890123-" + random_run(64, _HEX)),
    ("sendgrid-key", "SG." + random_run(22) + "." + random_run(43)),
    ("mailgun-key", "key-" + random_run(32, _HEX)),
    ("mailchimp-key", random_run(32, _HEX) + "-us12"),
    ("brevo-key", "xkeysib-" + random_run(64, _HEX) + "-" + random_run(16)),
    ("twilio-key", "AC" + random_run(32, _HEX)),
    ("twilio-key", "SK" + random_run(32, _HEX)),
    ("stripe-key", "sk_" + "live_" + random_run(24)),
    ("stripe-key", "rk_" + "live_" + random_run(99)),
    ("stripe-webhook-secret", "whsec_" + random_run(32)),
    ("square-token", "sq0atp-" + random_run(22)),
    ("square-token", "sq0csp-" + random_run(43)),
    ("shopify-token", "shpat_" + random_run(32, _HEX)),
    ("facebook-token", "EAAC" + random_run(120)),
    ("linear-key", "lin_api_" + random_run(40)),
    ("notion-token", "ntn_" + random_run(46)),
    ("notion-token", "secret_" + random_run(43)),
    ("figma-token", "figd_" + random_run(40)),
    ("postman-key", "PMAK-" + random_run(24, _HEX) + "-" + random_run(34, _HEX)),
    ("newrelic-key", "NRAK-" + random_run(27, string.ascii_uppercase + string.digits)),
    ("grafana-token", "glsa_" + random_run(32) + "_" + random_run(8, _HEX)),
    ("sentry-token", "sntryu_" + random_run(64, _HEX)),
    ("dynatrace-token", "dt0c01." + random_run(24) + "." + random_run(64)),
    ("launchdarkly-key", "sdk-" + random_uuid()),
    ("airtable-token", "pat" + random_run(14) + "." + random_run(64, _HEX)),
    ("telegram-token", random_run(10, string.digits) + ":AA" + random_run(33)),
    ("easypost-key", "EZAK" + random_run(54)),
    ("readme-key", "rdme_" + random_run(70, string.ascii_lowercase + string.digits)),
    ("jwt", JWT),
    ("password-hash", "$2b$12$" + random_run(53)),
    ("password-hash", "$apr1$" + random_run(8) + "$" + random_run(22)),
    ("password-hash", "$6$" + random_run(16) + "$" + random_run(86)),
    ("password-hash", "$argon2id$v=19$m=65536,t=3,p=4$" + random_run(22) + "$" + random_run(43)),
    *(
        ("private-key", pem(label + "PRIVATE KEY"))
        for label in ("", "RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED ")
    ),
    ("private-key", pem("PGP PRIVATE KEY BLOCK")),
    ("private-key", pem("PRIVATE KEY", newline="\\n")),
    ("private-key", pem("RSA PRIVATE KEY", newline="\\r\\n")),
]

PASSWORD = "Tr0ub4" + "dor9!"
TOKEN = "Zq3kV9sX" + "2mB7tR5wYpA1"
HEX_KEY = random_run(32, _HEX)
_BASIC = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()

# (kind, text with {} for the secret, secret): a secret that is known by what stands beside it.
NAMED = [
    ("password", 'password = "{}"', PASSWORD),
    ("password", "password = {}", PASSWORD),
    ("password", "PASSWORD='{}'\nnext", PASSWORD + "&more"),
    ("password", 'var password: String = "{}"', PASSWORD),
    ("password", '"password": "{}",', PASSWORD),
    ("password", r"{{\"password\": \"{}\"}}", PASSWORD),
    ("password", 'if (password === "{}") {{', "hunter" + "2"),
    ("password", "my password is {} and", "hunter" + "2"),
    ("password", "**Password:** {}", PASSWORD),
    ("password", 'password="{}"', "sun" + "shine"),
    ("password", 'passphrase: "{}"', "correct horse" + " battery staple"),
    ("password", "export PGPASSWORD={}", "letme" + "inplease"),
    ("password", "DB_PASSWORD={}\nNEXT=1", "p@ss,w0rd;" + "x"),
    ("password", "mycli --password {} run", "hunter" + "22"),
    ("password", "mysql -u root -p{} shop", "hunter" + "22"),
    ("password", "sshpass -p '{}' ssh host", "hunter" + "22"),
    ("password", "Server=db;User Id=sa;Password={};Encrypt=yes", "Passw0rd" + "99!"),
    ("password", "<password>{}</password>", PASSWORD),
    ("password", '<add key="Password" value="{}" />', PASSWORD),
    ("password", "CREATE USER bob IDENTIFIED BY '{}';", "hunter" + "22"),
    ("api-key", 'api_key="{}"', TOKEN),
    ("api-key", "const apiKey: string = '{}';", HEX_KEY),
    ("api-key", 'os.environ["API_KEY"] = "{}"', HEX_KEY),
    ("api-key", "X-Api-Key: {}", TOKEN),
    ("api-key", "CLOUDFLARE_API_KEY={}", random_run(37, _HEX)),
    ("api-key", "the api key is `{}`", HEX_KEY),
    ("api-key", "HEROKU_API_KEY={}", random_uuid()),
    ("api-key", 'FASTLY_KEY = "{}"', random_run(32)),
    ("token", '.header("X-Auth-Token", "{}")', TOKEN),
    ("token", 'client.setToken("{}")', TOKEN),
    ("token", "GET /feed?token={}&page=2", TOKEN),
    ("token", "mycli --token {} run", TOKEN),
    ("token", "okta_token: {}", "00" + random_run(40)),
    ("secret", 'client_secret = "{}"', "8dyfuiRyq=vVc3RRr" + "_edRk-fK__JItpZ"),
    ("secret", "NEXTAUTH_SECRET={}", random_run(32)),
    ("aws-secret-key", "aws_secret_access_key = {}", random_run(40, _WORD + "/+")),
    ("npm-token", "//registry.example/:_authToken={}", random_uuid()),
    (
        "azure-storage-key",
        "AccountName=a;AccountKey={};EndpointSuffix=x",
        random_run(86, _WORD + "+/") + "==",
    ),
    (
        "azure-sas-signature",
        "https://a.blob.core.windows.net/c?sv=2022&sig={}&se=2030",
        random_run(43) + "%3D",
    ),
    (
        "slack-webhook",
        "https://hooks.slack.com/services/{}",
        "T" + random_run(8) + "/B" + random_run(8) + "/" + random_run(24),
    ),
    (
        "discord-webhook",
        "https://discord.com/api/webhooks/{}",
        random_run(18, string.digits) + "/" + random_run(68),
    ),
    (
        "teams-webhook",
        "https://a.webhook.office.com/webhookb2/{}",
        f"{random_uuid()}@{random_uuid()}/IncomingWebhook/{random_run(32, _HEX)}/{random_uuid()}",
    ),
    ("bearer-token", "Authorization: Bearer {}", TOKEN),
    ("authorization-header", "Authorization: token {}", TOKEN),
    ("basic-credentials", "-H 'Authorization: Basic {}'", _BASIC),
    ("basic-credentials", "curl -u admin:{} https://x.example", "hunter" + "22"),
    ("basic-credentials", 'requests.get(url, auth=("bob", "{}"))', PASSWORD),
    ("url-password", "postgres://app:{}@db:5432/shop", "hunter" + "22"),
    ("url-password", "redis://:{}@cache:6379/0", "hunter" + "22"),
    ("url-password", "mongodb+srv://app:{}@c.example/x", "p%40ss" + "99"),
    ("url-token", "https://{}@o1.ingest.sentry.example/42", HEX_KEY),
    ("netrc-password", "machine api.example login bob password {}", "hunter" + "22"),
    ("pgpass-password", "db.example:5432:shop:bob:{}", "hunter" + "22"),
    ("private-key", '{{"kty": "OKP", "d": "{}"}}', random_run(43)),
    ("seed-phrase", 'mnemonic: "{}"', " ".join(["ripple", "orbit", "canyon", "velvet"] * 3)),
    ("discord-token", "discord bot {}", "M" + random_run(23) + "." + random_run(6) + "." + random_run(27)),
    ("softlayer-key", "softlayer_api_key={}", random_run(64, _HEX)),
    ("ibm-cos-key", "ibm_cos_hmac_secret_access_key={}", random_run(48, _HEX)),
]
