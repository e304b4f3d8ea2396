"""One table of names and shapes: what is masked, what is left alone, and at what cost."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crlab.model.mask import (
    MASK,
    VALUE_MASK,
    mask,
    mask_text,
    mask_value,
    may_hold_secret,
)
from crlab.model.secret_name import is_secret_name

CANARY = "c4n4ryc4n4ryc4n4ry"
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----"
PGP = PEM.replace("RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK")
ENCODED_PEM = base64.b64encode(PEM.encode()).decode()
SHAPES = {
    "ghp": "ghp_" + "a1B2" * 9,
    "gho": "gho_" + "a1B2" * 9,
    "github_pat": "github_pat_" + "a1B2_" * 8,
    "gitlab": "glpat-" + "x9_Zk2-Pq1Lm0aBc4dE5",
    "slack": "xoxb-123456789012-abcdefABCDEF",
    "slack hook": "https://hooks.slack.com/services/T00000000/B00000000/abcdefABCDEF12345678",
    "google": "AIza" + "Sy0-_" * 7,
    "stripe": "sk_live_" + "4eC39HqLyjWDarjt",
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "aws session": "ASIA" + "IOSFODNN7EXAMPLE",
    "jwt": f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ{CANARY}.sig",
    "bearer": f"Bearer {CANARY}",
    "lower bearer": f"BEARER {CANARY}",
    "basic": "Basic dXNlcjpwYXNz",
    "pem": PEM,
    "pgp": PGP,
    "base64 of pem": ENCODED_PEM,
    "url": f"postgres://u:{CANARY}@db/x",
    "url with @": f"postgres://u:p@{CANARY}@db/x",
    "url with /": f"postgres://u:p/{CANARY}@db/x",
    "url with quote": f"postgres://u:p'{CANARY}@db/x",
    "argument": f"--db-password={CANARY},&;'tail",
    "variable in a command": f"env DB_PASSWORD={CANARY} run",
    "query": f"https://h/p?access_token={CANARY}",
    "json": f'{{"user": "x", "password": "{CANARY}", "n": 1}}',
    "json in json": f'{{\\"apiKey\\": \\"{CANARY}\\"}}',
    "yaml": f"user: x\npassword: {CANARY} and {CANARY}\nn: 1",
    "yaml block": f"a:\n  token: |\n    {CANARY}\n    {CANARY}\n  n: 1",
    "properties": f"user = x\ndb.password = {CANARY} {CANARY}\n",
    "env file with a key": f"A=b\nDEPLOY_KEY={PEM}\nC=d",
    "kubeconfig": f"kind: Config\nusers:\n- name: a\n  user:\n    token: {CANARY}\n",
    "kubeconfig key": f"users:\n- user:\n    client-key-data: {CANARY}\n",
    "secret manifest": f"apiVersion: v1\nkind: Secret\nstringData:\n  a: {CANARY}\n",
    "secret as json": f'{{"kind":"Secret","data":{{"a":"{CANARY}"}}}}',
    "docker": f'{{"auths":{{"r.io":{{"auth":"{CANARY}"}}}}}}',
}
HARMLESS = (
    "https://registry:5000/img@sha256:abcdef",
    "https://medium.com/@user/a:b",
    "ssh://git@github.com/a/b.git",
    "registry.k8s.io/pause@sha256:0123456789abcdef",
    "basic authentication is off",
    "a bearer token is wanted",
    'secret "db-credentials" not found',
    'MountVolume.SetUp failed for volume "x" : secret "y" not found',
    "/var/run/secrets/kubernetes.io/serviceaccount",
    "--token-path=/var/run/token",
    "--service-account-private-key-file=/etc/kubernetes/pki/sa.key",
    "asia-east1",
    "password: true",
    "system:serviceaccount:kube-system:token-cleaner",
    base64.b64encode(b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----").decode(),
)
SECRET_NAMES = (
    "PASSWORD password DB_PASS DBPASS dbPass api-key apiKey AWS_SECRET_ACCESS_KEY githubToken"
    " SSH_KEY tls.key id_rsa id_rsa.pem APP_KEY STRIPE_KEY SLACK_WEBHOOK PASSCODE NEO4J_AUTH"
    " Authorization --token example.com/password clientSecret connectionString DATABASE_DSN"
)
PLAIN_NAMES = (
    "IMAGE TOKEN_PATH key monkey secretName secretRef passwordSecretRef imagePullSecretName"
    " tokenTTL tokenExpirationSeconds automountServiceAccountToken tokenPath passwordFile"
    " expirationSeconds audiences topologyKey maxTokens bypass PUBLIC_KEY secretProviderClass"
    " credentialsSecretRef tokenReviewers.name nginx.ingress.kubernetes.io/auth-secret"
)
TEXTS = st.one_of(
    st.text(max_size=60),
    st.sampled_from(sorted(SHAPES.values())),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["", "a ", "\n", "x{", '"', "--"]),
        st.sampled_from((SECRET_NAMES + " " + PLAIN_NAMES).split()),
        st.sampled_from(["=", ": ", '":"', " = ", ":\n"]),
        st.text(max_size=20),
    ),
)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("around", ["{}", "see {} and more", "x={}", "it:\n{}\n"])
def test_every_promised_shape_is_masked_wherever_it_stands(shape, around):
    """Alone, in prose, as an argument, in a file; of an object and in an error."""
    secret = SHAPES[shape]
    value, text = mask_value(around.format(secret)), mask_text(around.format(secret))
    for masked in (value, text):
        assert CANARY not in masked
        assert secret not in masked
    assert VALUE_MASK.search(value)
    assert MASK in text
    assert not VALUE_MASK.search(text)  # a controller may write what an error said


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_text_stays_as_it_is(text):
    """Words about secrets, references to them, digests and @ in a path are none."""
    assert mask_value(text) == text


def test_advice_is_no_secret():
    """A setting at the end of a clause, as crlab's own errors give it."""
    for text in (
        "read with include_secrets=True, or patch",
        "(include_secrets=True)",
        "token=yes.",
    ):
        assert mask_text(text) == text


def test_a_mask_says_how_many_bytes_it_hides():
    """Also within a longer text, and of a value that is no text."""
    assert mask("pässword") == "<redacted: 9 bytes>"
    assert mask("aHVudGVyMg==", encoded=True) == "<redacted: 7 bytes>"
    assert mask(1234) == "<redacted: 4 bytes>"
    assert mask({"a": 1}) == "<redacted: 7 bytes>"
    assert mask_value("http://u:hunter2-real@h") == "http://<redacted: 14 bytes>@h"
    assert mask_value("Bearer abcdefghij1234567890") == "Bearer <redacted: 20 bytes>"
    assert mask_value("--password=x,y") == "--password=<redacted: 3 bytes>"
    assert mask_value('{"password": "abc", "n": 1}') == (
        '{"password": "<redacted: 3 bytes>", "n": 1}'
    )
    assert mask_value("a:\n  token: |\n    x\n  n: 1") == "a:\n  token: <redacted: 7 bytes>\n  n: 1"


def test_urls_of_a_list_are_masked_one_by_one():
    """A password ends where the next URL begins."""
    masked = mask_value("amqp://u:p@h1,amqp://u:q@h2")
    assert masked == "amqp://<redacted: 3 bytes>@h1,amqp://<redacted: 3 bytes>@h2"


def test_secret_names_are_told_from_references_and_settings():
    """Recall first; names that only point at a secret stay readable."""
    assert not [name for name in SECRET_NAMES.split() if not is_secret_name(name)]
    assert not [name for name in PLAIN_NAMES.split() if is_secret_name(name)]


@given(TEXTS)
@example("pwd=x")
@example('"eyJ')
@example("\u212aey")
def test_the_quick_look_never_knows_fewer_than_the_scan(text):
    """`may_hold_secret` may say yes for nothing, never no for something."""
    if not may_hold_secret(text):
        assert mask_value(text) == text
        assert mask_text(text) == text


@given(st.lists(TEXTS, max_size=4))
def test_the_quick_look_at_many_texts_is_that_at_each(texts):
    """A column is looked at as one text."""
    if not may_hold_secret("\n".join(texts)):
        assert not any(map(may_hold_secret, texts))


@given(st.text(max_size=60))
def test_a_secret_name_has_a_piece_that_the_quick_look_knows(name):
    """Names and their pieces are one table."""
    if is_secret_name(name):
        assert may_hold_secret(f"{name}=")


@given(TEXTS)
def test_what_is_masked_stays_as_it_is(text):
    """Masking twice is masking once: a mask is no secret."""
    once = mask_value(text)
    assert mask_value(once) == once


@pytest.mark.parametrize(
    "piece",
    [
        "eyJ", "eyJaaaaa.", "://a:", "http://@", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----",
        "password:", 'password="', "a-", "bearer ", "\\", "LS0tLS1CRUdJTi", '"data":{', 'name="a",',
        "password: |\n", "xoxb-", "z PASSWORD=x ", "{password: {", "a {password: true, ", "'\"",
    ],
)  # fmt: skip
def test_hostile_text_costs_no_more_than_its_length(piece):
    """Four times the text, about four times the time; judged generously, as machines are busy."""

    def seconds(count):
        text = piece * count
        started = time.process_time()
        mask_value(text)
        mask_text(text)
        is_secret_name(text)
        return time.process_time() - started

    few = max(seconds(8_000 // len(piece)), 0.001)
    assert seconds(64_000 // len(piece)) < 8 * 6 * few + 0.2
