"""Who we are at a registry: Docker's own settings and helpers, and AWS for its registries."""

from __future__ import annotations

import base64
import binascii
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mcp_packager.errors import Problem, UserError, WorldError
from mcp_packager.image.reference import HUB, Reference

_HUB_KEY: Final = "https://index.docker.io/v1/"
_HELPER_SECONDS: Final = 30
_TOKEN_USER: Final = "<token>"  # noqa: S105 - a user name
"""What a helper gives as user name where the secret is an identity token (docker/docker-credential-helpers)."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """User and password, or an OAuth identity token. Neither secret shows in the repr."""

    user: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of a Basic ``Authorization`` header."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


def credentials_for(reference: Reference, environ: Mapping[str, str] = os.environ) -> Credentials | None:
    """The credentials for an image's registry; ``None`` to go without.

    Docker's ``config.json`` (``$DOCKER_CONFIG``, else ``~/.docker``) is asked first: a helper for the registry, the
    helper for all, then what stands in the file. A private registry of AWS that Docker does not know is asked of AWS.

    Raises:
        UserError: the file is damaged, or a helper is missing or fails.
        WorldError: AWS gives no token.
    """
    path = Path(environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    document = _read(path)
    for key in _keys(reference.registry):
        helper = document.get("credHelpers", {}).get(key)
        if helper:
            found = _ask_helper(str(helper), key, environ)
            if found:
                return found
    for key in _keys(reference.registry):
        if document.get("credsStore") and (found := _ask_helper(str(document["credsStore"]), key, environ)):
            return found
        if key in document.get("auths", {}) and (found := _stored(document["auths"][key], path)):
            return found
    return _ecr(reference) if reference.is_ecr else None


def _keys(registry: str) -> tuple[str, ...]:
    """Under what names Docker keeps a registry."""
    names = (_HUB_KEY, "docker.io", "index.docker.io", "registry-1.docker.io") if registry == HUB else (registry,)
    return (*names, *(f"https://{name}" for name in names if not name.startswith("https://")))


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UserError(Problem(f"{path} cannot be read: {error.strerror}", "let yourself read it")) from error
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise UserError(Problem(f"{path} is not Docker's settings", "mend it, or log in again: docker login"))
    return document


def _stored(entry: Any, path: Path) -> Credentials | None:
    if not isinstance(entry, dict):
        return None
    if entry.get("identitytoken"):
        return Credentials(identity_token=str(entry["identitytoken"]))
    if entry.get("username"):
        return Credentials(str(entry["username"]), str(entry.get("password", "")))
    if not entry.get("auth"):
        return None
    try:
        user, _, password = base64.b64decode(str(entry["auth"]), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise UserError(Problem(f"{path} holds damaged credentials", "log in again: docker login")) from None
    return Credentials(user, password.rstrip("\0"))


def _ask_helper(name: str, key: str, environ: Mapping[str, str]) -> Credentials | None:
    """``docker-credential-NAME get``; ``None`` where it knows nothing of the registry."""
    program = f"docker-credential-{name}"
    try:
        done = subprocess.run(
            [program, "get"],
            input=key,
            capture_output=True,
            text=True,
            timeout=_HELPER_SECONDS,
            check=False,
            env=dict(environ),
        )
    except FileNotFoundError:
        raise UserError(
            Problem(f"Docker's settings name the credential helper {name}, and there is no {program}", "install it")
        ) from None
    except subprocess.TimeoutExpired:
        raise UserError(
            Problem(f"{program} did not answer within {_HELPER_SECONDS} s", "unlock it, or log in again: docker login")
        ) from None
    if done.returncode:
        # The helpers' own words for "not here" (docker/docker-credential-helpers, credentials/error.go).
        if "credentials not found" in done.stdout + done.stderr:
            return None
        said = (done.stderr or done.stdout).strip().splitlines()
        raise UserError(Problem(f"{program} failed: {said[0] if said else 'no word why'}", "mend it, or log in again"))
    try:
        answer = json.loads(done.stdout)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        raise UserError(Problem(f"{program} answered with something else than credentials", "update it")) from None
    return Credentials(identity_token=secret) if user == _TOKEN_USER else Credentials(user, secret)


def _ecr(reference: Reference) -> Credentials:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    region = reference.registry.split(".")[3]
    try:
        answer = boto3.client("ecr", region_name=region).get_authorization_token()
        text = base64.b64decode(answer["authorizationData"][0]["authorizationToken"]).decode()
    except (BotoCoreError, ClientError) as error:
        raise WorldError(
            Problem(
                f"AWS gives no token for {reference.registry}: {error}",
                "log in to AWS (aws sso login, or AWS_PROFILE), with ecr:GetAuthorizationToken allowed",
            )
        ) from error
    user, _, password = text.partition(":")
    return Credentials(user, password)
