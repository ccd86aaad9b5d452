"""IAM documents as data: what a tool may do, who may be its role, and when two spellings say the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from mcp_packager.errors import Problem, WorldError
from mcp_packager.target import Value

if TYPE_CHECKING:
    from mcp_packager.manifest.permission import AwsStatement

VERSION: Final = "2012-10-17"
"""The one version of the policy language that is not the old one."""

Document: TypeAlias = dict[str, Any]

_MANY: Final = frozenset({"Action", "NotAction", "Resource", "NotResource"})


def policy(statements: Sequence[Mapping[str, Any]]) -> Document:
    """A document of these statements, in its one spelling."""
    return normalised({"Version": VERSION, "Statement": list(statements)})


def statements_of(declared: Iterable[AwsStatement]) -> list[Document]:
    """``[[permissions.aws]]`` as statements."""
    return [
        {
            "Effect": "Allow",
            "Action": list(one.actions),
            "Resource": list(one.resources),
            **({"Condition": _conditions(one.conditions)} if one.conditions else {}),
        }
        for one in declared
    ]


def reading(sources: Iterable[tuple[str, str]], *, partition: str, region: str, account: str) -> list[Document]:
    """Statements that let a tool read its own secrets; ``sources`` are scheme and rest of each, others are passed over.

    A secret's ARN ends in six characters that Secrets Manager adds to its name
    (https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html).
    """
    held: set[str] = set()
    parameters: set[str] = set()
    for scheme, rest in sources:
        name = rest.partition("#")[0]
        if scheme == "aws-sm":
            full = f"arn:{partition}:secretsmanager:{region}:{account}:secret:{name}-??????"
            held.add(name if name.startswith("arn:") else full)
        elif scheme == "aws-ssm":
            parameters.add(f"arn:{partition}:ssm:{region}:{account}:parameter/{name.lstrip('/')}")
    made: list[Document] = []
    if held:
        made.append({"Effect": "Allow", "Action": ["secretsmanager:GetSecretValue"], "Resource": sorted(held)})
    if parameters:
        made.append({"Effect": "Allow", "Action": ["ssm:GetParameter"], "Resource": sorted(parameters)})
    return made


def pod_trust(cluster: str, namespace: str, service_account: str) -> Document:
    """Who may be a role, as a resource's field: the Pods of a service account, by EKS Pod Identity."""
    return {"by": "pod-identity", "cluster": cluster, "namespace": namespace, "service_account": service_account}


def web_trust(provider: Value, issuer: Value, namespace: str, service_account: str) -> Document:
    """Who may be a role, as a resource's field: the Pods of a service account, by the cluster's tokens (IRSA)."""
    return {
        "by": "irsa",
        "provider": provider,
        "issuer": issuer,
        "namespace": namespace,
        "service_account": service_account,
    }


def service_trust(service: str) -> Document:
    """Who may be a role, as a resource's field: a service of AWS, such as ``lambda.amazonaws.com``."""
    return {"by": "service", "service": service}


def trust_document(wish: Mapping[str, Value]) -> Document:
    """The trust policy that a role's field asks for."""
    match wish:
        case {"by": "pod-identity", "cluster": str(cluster), "namespace": str(namespace), "service_account": str(who)}:
            return _by_pod_identity(cluster, namespace, who)
        case {"by": "irsa", "provider": provider, "issuer": issuer, "namespace": namespace, "service_account": who}:
            return _by_token(provider, issuer, f"system:serviceaccount:{namespace}:{who}")
        case {"by": "service", "service": str(service)}:
            principal = {"Service": service}
            return policy([{"Effect": "Allow", "Principal": principal, "Action": ["sts:AssumeRole"]}])
        case _:
            raise WorldError(
                Problem(
                    "this version of mcp-pack does not know who is to be the role",
                    "use the mcp-pack version that deployed it",
                    found=str(wish),
                )
            )


def _by_pod_identity(cluster: str, namespace: str, service_account: str) -> Document:
    """EKS says by tags who asks (https://docs.aws.amazon.com/eks/latest/userguide/pod-id-abac.html)."""
    tags = {
        "eks-cluster-name": cluster,
        "kubernetes-namespace": namespace,
        "kubernetes-service-account": service_account,
    }
    return policy(
        [
            {
                "Effect": "Allow",
                "Principal": {"Service": "pods.eks.amazonaws.com"},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
                "Condition": {"StringEquals": {f"aws:RequestTag/{key}": value for key, value in tags.items()}},
            }
        ]
    )


def _by_token(provider: str, issuer: str, subject: str) -> Document:
    """The cluster's issuer says who asks (https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html)."""
    return policy(
        [
            {
                "Effect": "Allow",
                "Principal": {"Federated": provider},
                "Action": ["sts:AssumeRoleWithWebIdentity"],
                "Condition": {"StringEquals": {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": subject}},
            }
        ]
    )


def normalised(document: Mapping[str, Any]) -> Document:
    """The one spelling of a policy: lists where IAM takes one or many, sorted; statements in one order."""
    statements = document.get("Statement", [])
    each = [statements] if isinstance(statements, Mapping) else list(statements)
    made = [_statement(one) for one in each]
    return {
        **{key: value for key, value in document.items() if key != "Statement"},
        "Statement": sorted(made, key=lambda one: json.dumps(one, sort_keys=True)),
    }


def text(document: Mapping[str, Any]) -> str:
    """The document as IAM is sent it: no spaces, which count."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def _statement(one: Mapping[str, Any]) -> Document:
    made: Document = {}
    for key, value in one.items():
        match key:
            case _ if key in _MANY:
                made[key] = _many(value)
            case "Principal" | "NotPrincipal" if isinstance(value, Mapping):
                made[key] = {kind: _many(who) for kind, who in value.items()}
            case "Condition":
                made[key] = _conditions(value)
            case _:
                made[key] = value
    return made


def _conditions(conditions: Mapping[str, Mapping[str, Any]]) -> Document:
    return {operator: {key: _many(value) for key, value in of.items()} for operator, of in sorted(conditions.items())}


def _many(value: Any) -> list[str]:
    each = [value] if isinstance(value, (str, bool, int)) else list(value)
    return sorted({str(one).lower() if isinstance(one, bool) else str(one) for one in each})
