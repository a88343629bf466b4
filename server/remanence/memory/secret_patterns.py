"""Secrets that are known by their own shape: vendor prefixes, header schemes, hashes, webhook addresses.

Formats follow the vendors' documentation and the published rule sets of gitleaks and detect-secrets; the
patterns are written anew so that each stays linear. Every rule is anchored on literals (`str.find`),
its guard class covers its tail class and its tails are possessive or bounded: no rule scans a text twice.
"""

import re
import string
from collections.abc import Callable
from dataclasses import dataclass

from remanence.memory.secret_values import holds_basic_credentials, looks_like_password, looks_like_token

# Not inside a word; what follows an escaped newline or a percent escape does begin a word.
_EDGE = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))"
# The same for tails that hold dashes, dots or base64.
_RUN_EDGE = r"(?:(?<![A-Za-z0-9_\-])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))"
_STOP = r"(?![A-Za-z0-9])"
_ALPHANUMERIC = string.ascii_letters + string.digits
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


@dataclass(frozen=True, slots=True)
class Lead:
    """Characters that belong to a secret although its literal comes after them."""

    characters: str
    at_least: int
    at_most: int


@dataclass(frozen=True, slots=True)
class ShapeRule:
    """One kind of secret. `pattern` is matched where one of `literals` (or its lower case) begins.

    Group "secret", where the pattern has one, is what goes; otherwise the whole match goes. `accept`
    has the last word on the secret's text.
    """

    kind: str
    literals: tuple[str, ...]
    pattern: re.Pattern[str]
    folded: bool = False
    accept: Callable[[str], bool] | None = None
    lead: Lead | None = None


def _rule(kind: str, literals: str, tail: str, guard: str = "", lead: Lead | None = None) -> ShapeRule:
    return ShapeRule(kind, tuple(literals.split()), re.compile(guard + tail), lead=lead)


def _folded(
    kind: str, literals: tuple[str, ...], tail: str, accept: Callable[[str], bool] | None = None
) -> ShapeRule:
    return ShapeRule(kind, literals, re.compile(tail, re.IGNORECASE | re.ASCII), True, accept)


SHAPE_RULES: tuple[ShapeRule, ...] = (
    # Code hosting and packages
    _rule("github-token", "ghp_ gho_ ghu_ ghr_", r"gh[pour]_[A-Za-z0-9_]{36,}+"),
    _rule("github-token", "ghs_", r"ghs_[A-Za-z0-9_]{36,}+(?:\.[A-Za-z0-9_\-]{20,}+){0,2}"),
    _rule("github-token", "github_pat_", r"github_pat_[A-Za-z0-9_]{22,}+"),
    _rule(
        "gitlab-token",
        "glpat- gldt- glft- glsoat- glrt- glptt- glagent- gloas- glimt- glcbt- glrtr- glffct-",
        r"gl[a-z]{2,5}-[A-Za-z0-9_\-]{20,}+(?:\.[A-Za-z0-9_\-]{2,}+){0,2}",
    ),
    _rule("gitlab-token", "GR1348941", r"GR1348941[A-Za-z0-9_\-]{20,}+"),
    _rule("bitbucket-token", "ATBB ATCTT3", r"AT(?:BB|CTT3)[A-Za-z0-9_\-=]{24,}+", _RUN_EDGE),
    _rule("atlassian-token", "ATATT3", r"ATATT3[A-Za-z0-9_\-=]{40,}+", _RUN_EDGE),
    _rule("npm-token", "npm_", r"npm_[A-Za-z0-9]{36}" + _STOP, _EDGE),
    _rule("npm-token", ":_authToken=", r":_authToken=(?P<secret>[A-Za-z0-9_\-]{20,}+)"),
    _rule("pypi-token", "pypi-AgE", r"pypi-AgE[A-Za-z0-9_\-]{50,}+"),
    _rule("rubygems-key", "rubygems_", r"rubygems_[a-f0-9]{48}" + _STOP),
    _rule("clojars-token", "CLOJARS_", r"CLOJARS_[a-z0-9]{60}" + _STOP),
    _rule("docker-token", "dckr_pat_ dckr_oat_", r"dckr_[po]at_[A-Za-z0-9_\-]{27,}+"),
    _rule("artifactory-key", "AKCp", r"AKCp[A-Za-z0-9]{60,}+", _EDGE),
    _rule("artifactory-key", "cmVmdGtu", r"cmVmdGtu[A-Za-z0-9]{50,}+", _EDGE),
    _rule("sourcegraph-token", "sgp_", r"sgp_(?:[a-fA-F0-9]{16}_|local_)?[a-fA-F0-9]{40}" + _STOP, _EDGE),
    # Clouds
    _rule(
        "aws-access-key-id",
        "AKIA ASIA ABIA ACCA A3T",
        r"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}" + _STOP,
        _EDGE,
    ),
    _rule("aws-bedrock-key", "ABSKQmVkcm9ja0FQSUtleS", r"ABSK[A-Za-z0-9+/=]{60,}+", _EDGE),
    _rule("google-api-key", "AIza", r"AIza[A-Za-z0-9_\-]{35}" + _STOP, _RUN_EDGE),
    _rule("google-oauth-secret", "GOCSPX-", r"GOCSPX-[A-Za-z0-9_\-]{28}"),
    _rule("google-oauth-token", "ya29.", r"ya29\.[A-Za-z0-9_\-]{20,}+", _EDGE),
    _rule(
        "azure-storage-key",
        "AccountKey= SharedAccessKey=",
        r"(?:Account|SharedAccess)Key=(?P<secret>[A-Za-z0-9+/]{40,}+={0,2})",
    ),
    _rule(
        "azure-sas-signature",
        "sig=",
        r"sig=(?P<secret>(?:[A-Za-z0-9/+]|%[0-9A-Fa-f]{2}){40,}+={0,2})",
        r"(?<=[?&;])",
    ),
    _rule(
        "azure-client-secret",
        "7Q~ 8Q~ 9Q~ 6Q~",
        r"[0-9]Q~[A-Za-z0-9_~.\-]{31,34}" + _STOP,
        lead=Lead(_ALPHANUMERIC + "_~.-", 3, 3),
    ),
    _rule("digitalocean-token", "dop_v1_ doo_v1_ dor_v1_", r"do[por]_v1_[a-f0-9]{64}" + _STOP),
    _rule("cloudflare-key", "v1.0-", r"v1\.0-[a-f0-9]{24}-[a-f0-9]{146}" + _STOP, _EDGE),
    _rule(
        "fly-token",
        "fo1_ fm1r_ fm1a_ fm2_",
        r"(?:fo1_[A-Za-z0-9_\-]{43}|fm(?:1[ar]|2)_[A-Za-z0-9+/]{100,}+={0,3})",
        _EDGE,
    ),
    _rule("heroku-key", "HRKU-", r"HRKU-[A-Za-z0-9_\-]{36,}+"),
    _rule("alibaba-key", "LTAI", r"LTAI[A-Za-z0-9]{12,24}" + _STOP, _EDGE),
    _rule("databricks-token", "dapi", r"dapi[a-f0-9]{32}(?:-\d)?" + _STOP, _EDGE),
    _rule("planetscale-token", "pscale_", r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_=.\-]{32,}+"),
    _rule(
        "supabase-key",
        "sbp_ sb_secret_",
        r"(?:sbp_(?:v0_)?[a-f0-9]{40}|sb_secret_[A-Za-z0-9_\-]{20,}+)",
        _EDGE,
    ),
    _rule("neon-key", "napi_", r"napi_[a-z0-9]{60,}+", _EDGE),
    _rule("vercel-token", "vcp_ vck_ vci_", r"vc[pki]_[A-Za-z0-9]{24,}+", _EDGE),
    _rule("netlify-token", "nfp_", r"nfp_[A-Za-z0-9]{36,}+", _EDGE),
    _rule("render-key", "rnd_", r"rnd_[A-Za-z0-9]{28,}+", _EDGE),
    _rule("pulumi-token", "pul-", r"pul-[a-f0-9]{40}" + _STOP, _EDGE),
    _rule(
        "terraform-token", ".atlasv1.", r"\.atlasv1\.[A-Za-z0-9_=\-]{60,}+", lead=Lead(_ALPHANUMERIC, 14, 14)
    ),
    _rule("vault-token", "hvs. hvb. hvr.", r"hv[sbr]\.[A-Za-z0-9_\-]{24,}+", _EDGE),
    _rule(
        "doppler-token",
        "dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.",
        r"dp\.[a-z]{2,5}\.(?:[a-z0-9_\-]{1,40}\.)?[A-Za-z0-9]{40,}+",
    ),
    _rule("1password-token", "ops_eyJ", r"ops_eyJ[A-Za-z0-9+/_\-]{60,}+={0,3}"),
    _rule("1password-key", "A3-", r"A3-[A-Z0-9]{6}(?:-[A-Z0-9]{5,11}){3,5}" + _STOP, _EDGE),
    _rule(
        "age-secret-key",
        "AGE-SECRET-KEY-",
        r"AGE-SECRET-KEY-(?:PQ-)?1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58,}+",
    ),
    _rule("openshift-token", "sha256~", r"sha256~[A-Za-z0-9_\-]{43}" + _STOP),
    _rule("tailscale-key", "tskey-", r"tskey-[a-z]{3,10}-[A-Za-z0-9]{8,}+(?:-[A-Za-z0-9]{16,}+)?"),
    # Models
    _rule("anthropic-key", "sk-ant-", r"sk-ant-[A-Za-z0-9_\-]{20,}+"),
    _rule(
        "openai-key",
        "sk-",
        r"sk-(?:proj-|svcacct-|admin-|None-|service-)?[A-Za-z0-9_]{20,}+[A-Za-z0-9_\-]*+",
        _RUN_EDGE,
    ),
    _rule("openai-key", "sk-proj- sk-svcacct- sk-admin-", r"sk-(?:proj|svcacct|admin)-[A-Za-z0-9_\-]{40,}+"),
    _rule("openrouter-key", "sk-or-v1-", r"sk-or-v1-[a-f0-9]{64}" + _STOP),
    _rule("huggingface-token", "hf_ api_org_", r"(?:hf|api_org)_[A-Za-z0-9]{34,}+", _EDGE),
    _rule("groq-key", "gsk_", r"gsk_[A-Za-z0-9]{40,}+", _EDGE),
    _rule("xai-key", "xai-", r"xai-[A-Za-z0-9]{60,}+", _EDGE),
    _rule("replicate-token", "r8_", r"r8_[A-Za-z0-9]{37}" + _STOP, _EDGE),
    _rule("perplexity-key", "pplx-", r"pplx-[A-Za-z0-9]{40,}+", _EDGE),
    _rule("langsmith-key", "lsv2_", r"lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}" + _STOP, _EDGE),
    _rule("nvidia-key", "nvapi-", r"nvapi-[A-Za-z0-9_\-]{60,}+", _EDGE),
    _rule("pinecone-key", "pcsk_", r"pcsk_[A-Za-z0-9_]{50,}+", _EDGE),
    _rule("tavily-key", "tvly-", r"tvly-(?:dev-|prod-)?[A-Za-z0-9]{20,}+", _EDGE),
    # Messages, mail and payments
    _rule(
        "slack-token",
        "xoxb- xoxp- xoxa- xoxo- xoxs- xoxr- xoxe- xoxe. xoxc- xoxd-",
        r"xox[a-z](?:\.xox[bp])?-[A-Za-z0-9%]{1,}+(?:-[A-Za-z0-9%]{1,}+){1,8}",
    ),
    _rule("slack-token", "xoxe- xoxd- xoxr-", r"xox[der]-[A-Za-z0-9%+/=\-]{40,}+"),
    _rule("slack-token", "xapp-", r"xapp-\d-[A-Z0-9]{5,}+-\d{5,}+-[A-Za-z0-9]{20,}+"),
    _rule(
        "slack-webhook",
        "hooks.slack.com/",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>[A-Za-z0-9_]{6,}+(?:/[A-Za-z0-9_]{6,}+){1,4})",
    ),
    _rule("discord-webhook", "/api/webhooks/", r"/api/webhooks/(?P<secret>\d{15,22}/[A-Za-z0-9_\-]{40,}+)"),
    _rule(
        "teams-webhook",
        ".webhook.office.com/ outlook.office.com/webhook",
        r"(?:\.webhook\.office\.com|outlook\.office\.com)/webhook(?:b2)?/(?P<secret>[A-Za-z0-9@\-]{36,}+/[A-Za-z0-9/_\-]{20,}+)",
    ),
    _rule("sendgrid-key", "SG.", r"SG\.[A-Za-z0-9_\-]{16,}+\.[A-Za-z0-9_\-]{32,}+", _EDGE),
    _rule("mailgun-key", "key-", r"key-[a-f0-9]{32}" + _STOP, _RUN_EDGE),
    _rule("brevo-key", "xkeysib- xsmtpsib-", r"x(?:key|smtp)sib-[a-f0-9]{64}-[A-Za-z0-9]{16}"),
    _rule("resend-key", "re_", r"re_[A-Za-z0-9]{6,10}_[A-Za-z0-9]{18,}+", _EDGE),
    _rule("twilio-key", "AC SK", r"(?:AC|SK)[0-9a-f]{32}" + _STOP, _EDGE),
    _rule(
        "stripe-key",
        "sk_live_ sk_test_ rk_live_ rk_test_ sk_prod_ rk_prod_",
        r"[sr]k_(?:live|test|prod)_[A-Za-z0-9]{10,}+",
        _EDGE,
    ),
    _rule("stripe-webhook-secret", "whsec_", r"whsec_[A-Za-z0-9+/=]{24,}+", _EDGE),
    _rule(
        "square-token",
        "sq0atp- sq0csp- EAAA",
        r"(?:sq0[ac][ts]p-[A-Za-z0-9_\-]{22,}+|EAAA[A-Za-z0-9_\-]{58,62}(?![A-Za-z0-9_\-]))",
        _RUN_EDGE,
    ),
    _rule(
        "braintree-token",
        "access_token$",
        r"access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}",
    ),
    _rule("shopify-token", "shpat_ shpca_ shppa_ shpss_", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    _rule("facebook-token", "EAAC EAAM EAAG EAAB", r"EAA[CMGB][A-Za-z0-9]{80,}+", _EDGE),
    # Working tools
    _rule("linear-key", "lin_api_ lin_oauth_", r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}+"),
    _rule("notion-token", "ntn_ secret_", r"(?:ntn_[A-Za-z0-9]{40,}+|secret_[A-Za-z0-9]{43})" + _STOP, _EDGE),
    _rule("figma-token", "figd_ figo_ figu_", r"fig[dou]_[A-Za-z0-9_\-]{36,}+", _EDGE),
    _rule("postman-key", "PMAK-", r"PMAK-[a-fA-F0-9]{24}-[a-fA-F0-9]{34}"),
    _rule(
        "newrelic-key",
        "NRAK- NRJS- NRII- NRRA-",
        r"NR(?:AK-[A-Z0-9]{27}|JS-[a-f0-9]{19}|II-[A-Za-z0-9\-]{32}|RA-[a-f0-9]{42})",
    ),
    _rule(
        "grafana-token",
        "glsa_ glc_",
        r"(?:glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}|glc_[A-Za-z0-9+/]{32,}+={0,2})",
        _EDGE,
    ),
    _rule("grafana-token", "eyJrIjoi", r"eyJrIjoi[A-Za-z0-9]{60,}+={0,2}", _EDGE),
    _rule("sentry-token", "sntrys_ sntryu_", r"sntry[su]_[A-Za-z0-9+/=_]{40,}+"),
    _rule("dynatrace-token", "dt0c01. dt0s01. dt0s16.", r"dt0[a-z]\d\d\.[A-Za-z0-9]{8,24}\.[A-Za-z0-9]{64}"),
    _rule("launchdarkly-key", "sdk- api- mob-", r"(?:sdk|api|mob)-" + _UUID, _RUN_EDGE),
    _rule("octopus-key", "API-", r"API-[A-Z0-9]{25,32}" + _STOP, _RUN_EDGE),
    _rule("readme-key", "rdme_", r"rdme_[a-z0-9]{70}", _EDGE),
    _rule("typeform-token", "tfp_", r"tfp_[A-Za-z0-9_.=\-]{40,}+", _EDGE),
    _rule("asana-token", "2/ 1/", r"[12]/\d{16}(?:/\d{16})?:[a-f0-9]{32}" + _STOP, r"(?<![\w/])"),
    _rule("easypost-key", "EZAK EZTK", r"EZ[AT]K[A-Za-z0-9]{54}" + _STOP, _EDGE),
    _rule("sonar-token", "sqp_ squ_ sqa_", r"sq[pua]_[a-f0-9]{40}" + _STOP, _EDGE),
    _rule("buildkite-token", "bkua_", r"bkua_[a-f0-9]{40}" + _STOP, _EDGE),
    _rule("circleci-token", "CCIPAT_ CCIPRJ_", r"CCIP(?:AT|RJ)_[A-Za-z0-9]{16,}+_[a-f0-9]{40}"),
    _rule("contentful-token", "CFPAT-", r"CFPAT-[A-Za-z0-9_\-]{43,}+"),
    _rule("airtable-token", "pat", r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}" + _STOP, _EDGE),
    _rule(
        "telegram-token",
        ":AA",
        r":AA[A-Za-z0-9_\-]{32,33}(?![A-Za-z0-9_\-])",
        lead=Lead(string.digits, 8, 10),
    ),
    _rule("maxmind-key", "_mmk", r"_mmk" + _STOP, lead=Lead(_ALPHANUMERIC + "_", 36, 36)),
    _rule("mailchimp-key", "-us", r"-us\d{1,2}" + _STOP, lead=Lead("0123456789abcdef", 32, 32)),
    # Any vendor
    _rule("jwt", "eyJ", r"eyJ[A-Za-z0-9_\-]{8,}+\.[A-Za-z0-9_\-]{8,}+(?:\.[A-Za-z0-9_\-]*+){0,3}", _RUN_EDGE),
    _rule("private-key", '"d"', r'"d"\s{0,4}:\s{0,4}"(?P<secret>[A-Za-z0-9_\-]{30,}+)"'),
    _rule(
        "private-key",
        "Private-Lines:",
        r"Private-Lines: ?\d{1,4}(?:\r?\n|\\r|\\n)"
        r"(?P<secret>(?:[A-Za-z0-9+/=]{4,}+(?:\r?\n|\\r|\\n)?){1,200}+)",
    ),
    _rule("password-hash", "$2a$ $2b$ $2x$ $2y$", r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}"),
    _rule("password-hash", "$apr1$ $1$", r"\$(?:apr1|1)\$[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{22}"),
    _rule(
        "password-hash",
        "$5$ $6$ $y$ $7$",
        r"\$(?:[567]|y)\$(?:rounds=\d{1,9}\$)?[./A-Za-z0-9]{1,40}\$(?:[./A-Za-z0-9]{1,40}\$)?[./A-Za-z0-9]{43,86}",
    ),
    _rule(
        "password-hash",
        "$argon2",
        r"\$argon2(?:id|i|d)\$[vmtp=,$0-9]{4,40}\$?[A-Za-z0-9+/]{8,}+\$[A-Za-z0-9+/]{16,}+",
    ),
    _rule(
        "password-hash",
        "pbkdf2_sha",
        r"pbkdf2_sha(?:1|256|512)\$\d{1,9}\$[A-Za-z0-9+/=]{6,}+\$[A-Za-z0-9+/=]{20,}+",
    ),
    _rule("password-hash", "{SHA} {SSHA}", r"\{S?SHA\}[A-Za-z0-9+/]{27,}+={0,2}"),
    _folded(
        "bearer-token",
        ("bearer ", "bearer\t", "bearer%20"),
        r"bearer(?:[ \t]{1,8}|%20)(?P<secret>[A-Za-z0-9._~+/\-]{12,}+={0,2})",
        looks_like_token,
    ),
    _folded(
        "basic-credentials",
        ("basic ",),
        r"basic {1,8}(?P<secret>[A-Za-z0-9+/]{8,4096}+={0,2})",
        holds_basic_credentials,
    ),
    _folded(
        "authorization-header",
        ("authorization",),
        r"authorization[\"']{0,2}\s{0,4}[:=,]\s{0,4}[\"']{0,2}"
        r"(?:(?:token|apikey|api-key|key|digest|negotiate|splunk)[ =]{1,4})?"
        r"(?P<secret>[A-Za-z0-9._~+/\-]{12,}+={0,2})",
        looks_like_token,
    ),
    _folded(
        "aws-secret-key",
        ("secret_access_key", "secretaccesskey", "aws_secret", "aws secret"),
        r"(?:aws[_ ])?secret[_ ]?(?:access[_ ]?)?key(?:[_ ]id)?[\"'\]]{0,2}"
        r"\s{0,4}(?:=>|:=|[=:,])\s{0,4}[\"']?"
        r"(?P<secret>[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+]))",
        looks_like_token,
    ),
    _folded(
        "seed-phrase",
        ("mnemonic", "seed phrase", "recovery phrase", "seed_phrase"),
        r"(?:mnemonic|(?:seed|recovery)[ _]phrase)[\"']?(?: is)?\s{0,4}[:=]?\s{0,4}[\"'`]?"
        r"(?P<secret>[a-z]{3,8}(?: [a-z]{3,8}){11,23})(?![a-z ])",
    ),
    _folded(
        "basic-credentials",
        ("auth",),
        r"auth\s{0,2}[=(]\s{0,2}\(?\s{0,2}[\"'][^\"'\n]{1,80}[\"'],\s{0,4}[\"'](?P<secret>[^\"'\n]{5,200})[\"']",
        looks_like_password,
    ),
)
