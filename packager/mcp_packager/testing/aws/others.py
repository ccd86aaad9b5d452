"""Everything but Lambda: moto in this process, handed requests as if they had gone to AWS, and rules that it lacks."""

from __future__ import annotations

import fnmatch
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import requests

from mcp_packager.testing.aws.account import ACCOUNT, ECR, REGION
from mcp_packager.testing.aws.refusals import RefusedError, unlike

Response = tuple[int, Mapping[str, str], bytes]

_GLOBAL = frozenset({"iam"})
_HOSTS: Mapping[str, str] = {"ecr": "api.ecr"}
_HOP = frozenset({"connection", "content-length", "content-encoding", "host", "transfer-encoding"})
_STANDARD, _ADVANCED = 4096, 8192
"""Bytes of a parameter's value, by its tier (Systems Manager user guide, "Managing parameter tiers")."""
_MOST_NAMES = 10
_MOST_TAGS = 50


def forwarded(service: str, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Response:
    """What moto answers."""
    name = _HOSTS.get(service, service)
    if service == "ssm" and headers.get("x-amz-target", "").endswith(".GetParameters"):
        return selected(json.loads(body))
    host = f"{name}.amazonaws.com" if service in _GLOBAL else f"{name}.{REGION}.amazonaws.com"
    kept = {key: value for key, value in headers.items() if key not in _HOP}
    answer = requests.request(
        method, f"https://{host}{path}", data=body, headers=kept, timeout=30, allow_redirects=False
    )
    content = answer.content
    if service == "ssm" and headers.get("x-amz-target", "").endswith(".GetParameters") and answer.status_code == 200:
        content = _selected(json.loads(body)["Names"], json.loads(content))
    return answer.status_code, {k: v for k, v in answer.headers.items() if k.lower() not in _HOP}, content


def at(registry: str, answer: Response) -> Response:
    """An answer of ECR's about repositories that are at a registry."""
    status, headers, content = answer
    return status, headers, content.replace(ECR.encode(), registry.encode())


def _selected(names: Sequence[str], answer: Mapping[str, Any]) -> bytes:
    """The answer with each ``Selector``: what followed the name (API reference, Parameter), which moto leaves out."""
    wanted = dict(name.partition(":")[::2] for name in names)
    found = [
        {**one, **({"Selector": f":{wanted[one['Name']]}"} if wanted.get(one["Name"]) else {})}
        for one in answer["Parameters"]
    ]
    return json.dumps({**answer, "Parameters": found}).encode()


def selected(asked: Mapping[str, Any]) -> Response:
    """GetParameters, which in moto leaves out under which version or label a value was asked for.

    Systems Manager API reference, Parameter, ``Selector``.
    """
    from moto.ssm.models import ssm_backends

    found = ssm_backends[ACCOUNT][REGION].get_parameters(asked["Names"])
    there = []
    for name, parameter in found.items():
        said = parameter.response_object(bool(asked.get("WithDecryption")), REGION)
        said["LastModifiedDate"] = said["LastModifiedDate"].timestamp()
        _, mark, selector = name.partition(":")
        there.append({**said, "Selector": f":{selector}"} if mark else said)
    document = {"Parameters": there, "InvalidParameters": [name for name in asked["Names"] if name not in found]}
    return 200, {"content-type": "application/x-amz-json-1.1"}, json.dumps(document).encode()


def check(service: str, operation: str, body: bytes) -> None:
    """Refuse what moto takes and AWS does not.

    Raises:
        RefusedError: as AWS would.
    """
    if service == "ssm" and operation == "PutParameter":
        _parameter(json.loads(body))
    if service == "ssm" and operation in {"GetParameters", "DeleteParameters"}:
        names = json.loads(body)["Names"]
        if len(names) > _MOST_NAMES:
            # Systems Manager API reference, GetParameters and DeleteParameters: Names, at most 10 items.
            raise unlike(f"Value at 'names' failed to satisfy constraint: length less than or equal to {_MOST_NAMES}")


def _parameter(asked: Mapping[str, Any]) -> None:
    size = len(asked["Value"].encode())
    tier = asked.get("Tier", "Standard")
    if tier == "Standard" and size > _STANDARD:
        raise RefusedError(
            400,
            "ValidationException",
            "Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger "
            "parameter value, upgrade the parameter to use the advanced-parameter tier.",
        )
    if size > _ADVANCED:
        raise RefusedError(400, "ValidationException", "Advanced tier parameters support at most 8192 characters.")
    # Systems Manager API reference, PutParameter: tags only where the parameter is new.
    if asked.get("Overwrite") and asked.get("Tags"):
        raise RefusedError(
            400,
            "ValidationException",
            "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please "
            "remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource.",
        )
    # The same page: Description, at most 1024 characters.
    if len(asked.get("Description", "")) > 1024:
        raise unlike("Value at 'description' failed to satisfy constraint: length less than or equal to 1024")
    if len(asked["Name"].strip("/").split("/")) > 15:
        raise RefusedError(400, "HierarchyLevelLimitExceededException", "A hierarchy has 15 levels at most.")


def trusted(role: str) -> bool:
    """Whether there is such a role, and Lambda may be it."""
    from moto.core.exceptions import ServiceException
    from moto.iam.models import iam_backends

    try:
        found = iam_backends[ACCOUNT]["aws"].get_role_by_arn(role)
    except ServiceException:
        return False
    return "lambda.amazonaws.com" in found.assume_role_policy_document


def permitted(role: str, action: str) -> bool:
    """Whether a role's own policies allow an action on anything; ``*`` in them stands for any letters."""
    from moto.iam.models import iam_backends

    found = iam_backends[ACCOUNT]["aws"].get_role_by_arn(role)
    documents = [json.loads(one) if isinstance(one, str) else one for one in found.policies.values()]
    statements = [one for document in documents for one in document["Statement"] if one["Effect"] == "Allow"]
    named = [one["Action"] if isinstance(one["Action"], list) else [one["Action"]] for one in statements]
    return any(fnmatch.fnmatchcase(action, each) for actions in named for each in actions)


def write_line(group: str, stream: str, line: str) -> None:
    """Put a log line where it belongs.

    It is lost where there is no such group: the role may write to its own group and make none.
    """
    from moto.logs.models import logs_backends

    backend = logs_backends[ACCOUNT][REGION]
    if group not in backend.groups:
        return
    name = f"{time.strftime('%Y/%m/%d', time.gmtime())}/{stream}"
    if name not in backend.groups[group].streams:
        backend.create_log_stream(group, name)
    backend.put_log_events(group, name, [{"timestamp": int(time.time() * 1000), "message": line}])
