"""Secrets that stand in Secrets Manager or in Parameter Store, read at the start: one call for all that each holds.

The standard library does it; importing AWS's own SDK would be most of a cold start. Values are kept for as long as the
process lives, and read anew where it comes out of a snapshot.

    secretsmanager.GetSecretValue, secretsmanager.BatchGetSecretValue (20 at once), ssm.GetParameters (10 at once)

The credentials are those of the function's role, in the environment (Lambda developer guide, "Defined runtime
environment variables"); `AWS_ENDPOINT_URL_SECRETS_MANAGER` and `AWS_ENDPOINT_URL_SSM` name another endpoint.
"""

import json
import os
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcp_tool.serve.aws.signing import Credentials, sign
from mcp_tool.serve.problem import StartProblem

if TYPE_CHECKING:
    from mcp_tool.config import SecretRef

_PATIENCE: Final = 5.0
"""Seconds that one attempt may take."""

_PAUSES: Final = (0.1, 0.4)
"""Seconds before the second and the third attempt, where the service was busy or away."""

_SECRETS: Final = 20
_PARAMETERS: Final = 10
"""How many are read at once (API references of BatchGetSecretValue and GetParameters)."""

_NOT_FOUND: Final = "not found"
_AWAY: Final = frozenset({_NOT_FOUND, "ResourceNotFoundException"})

_VALUES: dict[str, str] = {}


def value(reference: "SecretRef") -> str | None:
    """The value of one reference; None where it is empty.

    Raises:
        StartProblem: It cannot be read.
    """
    if str(reference) not in _VALUES:
        fetch([reference])
    return _VALUES[str(reference)] or None


def fetch(references: Iterable["SecretRef"], optional: Collection["SecretRef"] = ()) -> None:
    """Read all of these, also those that were read before.

    Args:
        references: What to read.
        optional: Those of them that need not be there; their value is then empty.

    Raises:
        StartProblem: Some cannot be read; all of them are named, no value is.
    """
    wanted = list(references)
    secrets = sorted({_secret_id(found.aws_sm)[0] for found in wanted if found.aws_sm})
    parameters = sorted({found.aws_ssm for found in wanted if found.aws_ssm})
    faults: dict[str, str] = {}
    texts: dict[str, str] = {}
    for at in range(0, len(secrets), _SECRETS):
        texts |= {f"aws-sm:{name}": text for name, text in _secrets(secrets[at : at + _SECRETS], faults).items()}
    for at in range(0, len(parameters), _PARAMETERS):
        found = _parameters(parameters[at : at + _PARAMETERS], faults)
        texts |= {f"aws-ssm:{name}": text for name, text in found.items()}
    for reference in wanted:
        _keep(reference, texts, faults)
    for reference in optional:
        name = reference.aws_ssm or _secret_id(reference.aws_sm or "")[0]
        if faults.get(name) in _AWAY:
            del faults[name]
            _VALUES[str(reference)] = ""
    if faults:
        raise StartProblem(
            f"secrets cannot be read: {'; '.join(f'{name}: {why}' for name, why in sorted(faults.items()))}",
            "see that they exist in the function's region, and that its role may read them",
        )


def _keep(reference: "SecretRef", texts: Mapping[str, str], faults: dict[str, str]) -> None:
    if reference.aws_ssm is not None:
        text = texts.get(f"aws-ssm:{reference.aws_ssm}")
        if text is not None:
            _VALUES[str(reference)] = text
        return
    identity, key = _secret_id(reference.aws_sm or "")
    text = texts.get(f"aws-sm:{identity}")
    if text is None:
        return
    if key is None:
        _VALUES[str(reference)] = text
        return
    try:
        inner = json.loads(text)
    except ValueError:
        inner = None
    if isinstance(inner, dict) and isinstance(inner.get(key), str | int | float):
        _VALUES[str(reference)] = str(inner[key])
    else:
        faults[f"{identity}#{key}"] = "the secret is no JSON object with that key"


def _secret_id(name: str) -> tuple[str, str | None]:
    """A secret's id, and the key inside it where one is named after `#`."""
    identity, mark, key = name.partition("#")
    return identity, key if mark else None


def _secrets(names: Sequence[str], faults: dict[str, str]) -> dict[str, str]:
    """Their texts by id. One alone needs no right to read many."""
    service = _Service("secretsmanager", "secretsmanager", "AWS_ENDPOINT_URL_SECRETS_MANAGER")
    if len(names) == 1:
        answer = service.ask("GetSecretValue", {"SecretId": names[0]}, names, faults)
        found = [answer] if answer else []
    else:
        answer = service.ask("BatchGetSecretValue", {"SecretIdList": list(names)}, names, faults)
        found = answer.get("SecretValues") or []
        for error in answer.get("Errors") or ():
            faults[str(error.get("SecretId"))] = str(error.get("ErrorCode"))
    texts: dict[str, str] = {}
    for name in names:
        # Whoever asks by name or by part of an ARN is answered with both.
        match = next((entry for entry in found if name in {entry.get("Name"), entry.get("ARN")}), None)
        if match is None and len(names) == 1 and found:
            match = found[0]
        match = match or next((entry for entry in found if str(entry.get("ARN", "")).startswith(f"{name}-")), None)
        if match is not None and isinstance(match.get("SecretString"), str):
            texts[name] = match["SecretString"]
        else:
            faults.setdefault(name, "it holds no text")
    return texts


def _parameters(names: Sequence[str], faults: dict[str, str]) -> dict[str, str]:
    service = _Service("ssm", "AmazonSSM", "AWS_ENDPOINT_URL_SSM")
    answer = service.ask("GetParameters", {"Names": list(names), "WithDecryption": True}, names, faults)
    # Who asks for one version of a parameter, as NAME:VERSION, is answered with the two apart.
    found = answer.get("Parameters") or ()
    texts = {f"{entry['Name']}{entry.get('Selector') or ''}": entry["Value"] for entry in found}
    for name in names:
        if name not in texts:
            faults.setdefault(name, _NOT_FOUND)
    return texts


@dataclass(frozen=True)
class _Service:
    """One service of AWS that speaks JSON 1.1.

    Attributes:
        name: In host names and signatures.
        target: What stands before the operation's name in `X-Amz-Target`.
        endpoint: Environment variable that names another endpoint.
    """

    name: str
    target: str
    endpoint: str

    def ask(
        self, operation: str, question: Mapping[str, Any], names: Sequence[str], faults: dict[str, str]
    ) -> dict[str, Any]:
        """The answer; empty, with a fault for each of the names, where there is none."""
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
        if not region or not key or not secret:
            faults.update(dict.fromkeys(names, "there are no credentials of AWS in this environment"))
            return {}
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        url = os.environ.get(self.endpoint) or f"https://{self.name}.{region}.{domain}/"
        credentials = Credentials(key, secret, os.environ.get("AWS_SESSION_TOKEN"))
        body = json.dumps(question).encode()
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"{self.target}.{operation}"}
        why = ""
        for pause in (*_PAUSES, None):
            moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
            signed = sign(url, headers, body, credentials, region, self.name, moment)
            answer, why, again = _post(url, signed, body)
            if answer is not None:
                return answer
            if pause is None or not again:
                break
            time.sleep(pause)
        faults.update(dict.fromkeys(names, why))
        return {}


def _post(url: str, headers: Mapping[str, str], body: bytes) -> tuple[dict[str, Any] | None, str, bool]:
    """The answer, or else why there is none and whether another attempt may help."""
    import http.client
    from urllib.parse import urlsplit

    place = urlsplit(url)
    make = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    connection = make(place.netloc, timeout=_PATIENCE)
    try:
        connection.request("POST", place.path or "/", body, dict(headers))
        response = connection.getresponse()
        text = response.read()
    except (OSError, http.client.HTTPException) as error:
        return None, f"{place.netloc} does not answer: {type(error).__name__}", True
    finally:
        connection.close()
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return None, f"{place.netloc} answered {response.status} without JSON", response.status >= 500
    if response.status == 200:
        return document, "", False
    kind = str(document.get("__type", response.status)).rpartition("#")[2]
    return None, kind, response.status >= 500 or "Throttl" in kind


__all__ = ["fetch", "value"]
