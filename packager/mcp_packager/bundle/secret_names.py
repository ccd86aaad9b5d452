"""Files that are secrets by their name."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_HARMLESS = re.compile(r"\.(example|sample|template|dist|j2|pub)\Z", re.IGNORECASE)
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\.env(\..+|rc)?\Z", re.IGNORECASE), "an environment file"),
    (re.compile(r".+\.env\Z", re.IGNORECASE), "an environment file"),
    (re.compile(r"id_(rsa|dsa|ecdsa|ed25519)(_sk)?(\..+)?\Z"), "an SSH key"),
    (re.compile(r".+\.(pem|key|p12|pfx|jks|keystore|ppk|kdbx)\Z", re.IGNORECASE), "a key or key store"),
    (re.compile(r"\.?_?netrc\Z"), "credentials for hosts"),
    (
        re.compile(r"\.(pypirc|npmrc|yarnrc\.yml|pgpass|my\.cnf|htpasswd|git-credentials|vault-token|boto|s3cfg)\Z"),
        "credentials",
    ),
    (re.compile(r"\.?dockercfg\Z|\.dockerconfigjson\Z"), "registry credentials"),
    (re.compile(r"(.+\.)?kubeconfig(\..+)?\Z|kube-?config(\.ya?ml)?\Z", re.IGNORECASE), "cluster credentials"),
    (re.compile(r".+\.tfstate(\..+)?\Z|.+\.tfvars(\.json)?\Z"), "Terraform state, which holds secrets"),
    (
        re.compile(r"(application_default_credentials|service[-_]?account.*|client_secret.*|credentials)\.json\Z"),
        "cloud credentials",
    ),
)
_IN_FOLDER = {
    ".aws": "AWS credentials",
    ".azure": "Azure credentials",
    ".gcloud": "Google credentials",
    ".gnupg": "GnuPG keys",
    ".ssh": "SSH keys",
    ".kube": "cluster credentials",
    ".docker": "registry credentials",
}


def secret_by_name(path: str) -> str | None:
    """What a file is by its name, such as ``an SSH key``; ``None`` for an ordinary name."""
    pure = PurePosixPath(path)
    for part in pure.parts[:-1]:
        if part in _IN_FOLDER:
            return _IN_FOLDER[part]
    if _HARMLESS.search(pure.name):
        return None
    return next((what for rule, what in _RULES if rule.match(pure.name)), None)
