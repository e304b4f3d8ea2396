"""Which names usually hold a secret: of a field, a key, a variable, a header, a flag.

To: `mask.py` and `redaction.py`, which hide what stands under one. A name that is missing here is
added to `NAMES`; one that only sounds like a secret, to `_HARMLESS_NAME`.

Thread: pure functions.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

# (a piece that every such name has, in lower case; the pattern, on the name in snake case)
NAMES = (
    ("pass", r"pass_?w(?:or)?d|pass_?phrase|pass_?code|(?<!by)(?<!com)pass(?:_(?!through)|$)"),
    ("pwd", r"pwd"),
    ("secret", r"secret"),
    ("token", r"token"),
    ("cred", r"credential|(?:^|_)creds?(?:_|$)"),
    ("cookie", r"cookie"),
    ("jwt", r"(?:^|_)jwt(?:_|$)"),
    ("auth", r"authorization|(?:^|_)auth$"),
    ("docker", r"docker_?cfg|docker_?config_?json"),
    ("kube", r"kube_?config"),
    (
        "key",
        r"(?:api|access|private|signing|encryption|master|auth|account|ssh|tls|client|sas|app"
        r"|stripe|shared|storage|license)_?key",
    ),
    ("webhook", r"webhook_?url|slack_?webhook"),
    ("conn", r"conn(?:ection)?_?str(?:ing)?"),
    ("dsn", r"(?:^|_)dsn(?:_|$)"),
    ("pin", r"(?:^|_)pin(?:_|$)"),
    ("otp", r"(?:^|_)otp(?:_|$)"),
    ("pat", r"(?:^|_)pat(?:_|$)"),
    ("salt", r"(?:^|_)salt(?:_|$)"),
    ("hmac", r"(?:^|_)hmac(?:_|$)"),
    ("sa", r"(?:^|_)id_(?:rsa|dsa|ecdsa)(?:_|$)"),
    ("ed25519", r"(?:^|_)id_ed25519(?:_|$)"),
    ("pem", r"_pem$"),
)
_SECRET_NAME = re.compile("|".join(pattern for _, pattern in NAMES))
# DJANGO_KEY, and the file server.key; `key` alone is a reference's word
_KEY_NAME = re.compile(r"[A-Z][A-Z0-9_]*_KEY|[^/]+\.key")
_PLAIN_KEY = re.compile(
    r"(?:^|_)(?:public|primary|foreign|partition|sort|cache|topology|routing|row|hash|label"
    r"|annotation|index|group|object|lookup)_key$"
)
_HARMLESS_NAME = re.compile(  # settings of a secret, and what only points at one
    r"^(?:max|min|num|total|is|has|uses?|enabled?|disabled?|requires?|allows?|automount|mount|no"
    r"|skip|with|supports)_"
    r"|_(?:file|path|dir|names?|namespaces?|refs?|references?|selector|ttl|seconds|minutes|hours"
    r"|days|duration|timeout|enabled|disabled|expiry|expiration|expires|at|in|count|length|size"
    r"|bytes|types?|mode|policy|class|provider|issuer|audiences?|format|algorithm|rotation"
    r"|interval|period|age|required|version|store|kind|group|status|user|username|pub|public|requests?)$"
    r"|(?<!webhook)(?<!slack)_(?:url|uri|endpoint|host|port)$"
)
_JOINT = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SEPARATOR = re.compile(r"[^A-Za-z0-9]+")
SETTINGS = frozenset({"", "true", "false", "none", "null", "enabled", "disabled", "yes", "no"})


@lru_cache(maxsize=8192)
def is_secret_name(name: str) -> bool:
    """Whether a field, key, variable, header or flag of this name usually holds a secret."""
    prefix, _, name = name.rpartition("/")
    snake = _SEPARATOR.sub("_", _JOINT.sub("_", name.lstrip("-"))).lower()
    if snake.endswith("_secret") and "ingress" in prefix:
        return False  # an ingress names a Secret in such annotations
    if not _SECRET_NAME.search(snake):
        return bool(_KEY_NAME.fullmatch(name)) and not _PLAIN_KEY.search(snake)
    return not _HARMLESS_NAME.search(snake)


def is_secret(name: str, value: Any) -> bool:
    """Whether a scalar that stands under `name` is a secret by that name."""
    if isinstance(value, str):
        return is_secret_name(name) and value.lower() not in SETTINGS
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return name != "pass" and is_secret_name(name)  # {"pass": 3, "fail": 0} are counts
