"""``[permissions]``: what the code may touch, declared once; every target derives its own rules from it."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from mcp_packager.manifest.section import Many, Section
from mcp_packager.manifest.words import Cidr, HostName, Line, Port, Word

_ACTION: Final = r"^(\*|[a-z0-9-]+:[A-Za-z0-9*?]+)$"
_ARN: Final = r"^(\*|arn:[^\u0000-\u0020\u007f]+)$"
_KIND: Final = r"^(\*|[a-z0-9]([a-z0-9./-]*[a-z0-9])?)$"
_GROUP: Final = r"^(\*|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$"

IN_WORDS: Final = {
    _ACTION: 'an action such as "s3:GetObject"',
    _ARN: 'an ARN such as "arn:aws:s3:::bucket/*", or "*"',
    _KIND: 'a name such as "configmaps", or "*"',
    _GROUP: 'an API group such as "apps"; "" is the core group',
}
"""Each pattern for people."""

Action = Annotated[str, StringConstraints(max_length=200, pattern=_ACTION)]
Arn = Annotated[str, StringConstraints(max_length=2000, pattern=_ARN)]
Kind = Annotated[str, StringConstraints(max_length=253, pattern=_KIND)]
Group = Annotated[str, StringConstraints(max_length=253, pattern=_GROUP)]
Verb = Literal["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "*"]


class AwsStatement(Section):
    """``[[permissions.aws]]``: one statement of an IAM policy."""

    actions: Annotated[Many[Action], Field(min_length=1)] = Field(description='Actions, such as "s3:GetObject"')
    resources: Annotated[Many[Arn], Field(min_length=1)] = Field(description="ARNs, or *")
    conditions: dict[Word, dict[Word, Line | Many[Line]]] = Field({}, description="Conditions, as IAM writes them")


class KubernetesRule(Section):
    """``[[permissions.kubernetes]]``: one rule of a Role in the tool's own namespace."""

    groups: Annotated[Many[Group], Field(min_length=1)] = Field(("",), description='API groups; "" is the core group')
    resources: Annotated[Many[Kind], Field(min_length=1)] = Field(description='Kinds, such as "configmaps"')
    verbs: Annotated[Many[Verb], Field(min_length=1)] = Field(description='Verbs, such as "get" and "list"')
    names: Many[Kind] = Field((), description="Names of single objects; all of the kind where empty")


class Egress(Section):
    """``[[permissions.egress]]``: somewhere the code connects to."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["host"]}, {"required": ["cidr"]}]})

    host: HostName | None = Field(None, description="Host name; *.example.com for all below it")
    cidr: Cidr | None = Field(None, description="Network, such as 10.0.0.0/8")
    ports: Annotated[Many[Port], Field(min_length=1)] = Field((443,), description="Ports")
    protocol: Literal["tcp", "udp"] = Field("tcp", description="tcp or udp")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.host is None) == (self.cidr is None):
            raise PydanticCustomError(
                "egress_where",
                "needs host or cidr, one of them",
                {"expected": "either host or cidr", "fix": "Keep one of the two"},
            )
        return self


class Permissions(Section):
    """What the code may touch beyond its own process."""

    aws: Many[AwsStatement] = Field((), description="What it may do in AWS")
    kubernetes: Many[KubernetesRule] = Field((), description="What it may do in its Kubernetes cluster")
    egress: Many[Egress] = Field((), description="Where it connects to")
