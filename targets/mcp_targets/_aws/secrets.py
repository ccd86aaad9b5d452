"""Values of secrets that AWS keeps, read at deploy by whoever deploys."""

from __future__ import annotations

import json
from typing import Final

from mcp_packager.errors import Place, Problem, UserError
from mcp_targets._aws.errors import code_of, speaking
from mcp_targets._aws.session import Aws

SCHEMES: Final = frozenset({"aws-sm", "aws-ssm"})
_GONE: Final = frozenset({"ResourceNotFoundException", "ParameterNotFound"})


def read(aws: Aws, scheme: str, rest: str) -> bytes | None:
    """The value; ``None`` where AWS has none of that name.

    Args:
        aws: the account.
        scheme: ``aws-sm`` (Secrets Manager) or ``aws-ssm`` (a parameter of Systems Manager).
        rest: the secret's id or ARN, with ``#KEY`` for one key of a JSON document; or the parameter's name.

    Raises:
        UserError: the secret is no JSON document, or has no such key.
        WorldError: AWS refuses.
    """
    from botocore.exceptions import ClientError

    with speaking(f"read the secret {scheme}:{rest}"):
        try:
            return _parameter(aws, rest) if scheme == "aws-ssm" else _secret(aws, rest)
        except ClientError as error:
            if code_of(error) in _GONE:
                return None
            raise


def _parameter(aws: Aws, name: str) -> bytes:
    text: str = aws.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    return text.encode()


def _secret(aws: Aws, rest: str) -> bytes | None:
    name, _, key = rest.partition("#")
    answer = aws.client("secretsmanager").get_secret_value(SecretId=name)
    value: bytes = answer["SecretBinary"] if "SecretBinary" in answer else str(answer["SecretString"]).encode()
    if not key:
        return value
    try:
        document = json.loads(value)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        # Without the cause: its message would quote what is there.
        raise _unlike(rest, f"the secret {name} is not a JSON document, so it has no key {key}") from None
    if key not in document:
        raise _unlike(rest, f"the secret {name} has no key {key}")
    found = document[key]
    return (found if isinstance(found, str) else json.dumps(found)).encode()


def _unlike(rest: str, what: str) -> UserError:
    return UserError(
        Problem(what, "name one of its keys behind #, or leave #KEY away", Place(key="secrets"), found=rest)
    )
