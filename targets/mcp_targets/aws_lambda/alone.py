"""What a function that is deployed without mcp-pack is made of: the same resources, where nobody keeps keys for it.

The key that seals questions is then a secret that AWS generates, and what the deploy would read from ``env:`` and
``file:`` is expected in Parameter Store. There is no probe: nobody asks with one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.target import (
    Artifact,
    DesiredInput,
    Exposure,
    Key,
    Ref,
    Resource,
    Value,
    base_config,
    identity_of,
)
from mcp_packager.target.values import Generated, resolve
from mcp_targets._aws import documents, iam
from mcp_targets.aws_lambda import doors, render
from mcp_targets.aws_lambda.alone_doors import ORDER
from mcp_targets.aws_lambda.options import Options
from mcp_targets.aws_lambda.place import Where, parameters, where
from mcp_targets.aws_lambda.settings import packed

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

STATE_KEY: Final = "state-key"


@dataclass(frozen=True, slots=True)
class Alone:
    """Everything, as the API spells it, with Refs to ARNs and version numbers left in.

    ``function`` is what CreateFunction is sent, without code. ``awaited`` are parameters that must be there before.
    """

    role: Resource
    policy: documents.Document
    log_group: Resource
    state_key: str
    function: Mapping[str, Value]
    alias: Resource
    door: Sequence[Resource]
    permissions: Sequence[Resource]
    alarms: Sequence[Resource]
    place: Where
    public_url: str
    reserved: int | None
    provisioned: int | None
    awaited: Sequence[str]


def alone(manifest: Manifest, options: Options, artifact: Artifact, name: str) -> Alone:
    """What stands in the templates beside an artifact.

    Raises:
        UserError: account or region are not known, or the settings are larger than Lambda takes.
    """
    identity, place = identity_of(manifest), where(manifest, options)
    config = base_config(manifest, name, Exposure.PLATFORM)
    made = render.resources(DesiredInput(manifest, options, identity, artifact, config), options)
    by_kind = {kind: [one for one in made if one.kind == kind] for kind in {one.kind for one in made}}
    (function,), (role,) = by_kind[render.FUNCTION], by_kind[iam.ROLE_KIND]
    (alias,), (group,) = by_kind[render.ALIAS], by_kind[render.LOG_GROUP]
    (policy,) = by_kind[iam.POLICY_KIND]
    root, state_key = parameters(identity), f"{parameters(identity)[1:]}/{STATE_KEY}"
    awaited = [f"{root}/secrets/{secret}" for secret in render.kept(manifest)]

    def known(leaf: Ref | Generated) -> Value:
        match leaf:
            case Ref(Key("secret", secret), "parameter"):
                return f"{root}/secrets/{secret}"
            case _:
                return leaf

    plain = resolve(function.fields["config"], known)
    serve = {**plain["serve"], "state_keys": [{"aws-sm": state_key}], "probe": None}
    variables = packed({**plain, "serve": serve}, function.fields["variables"])
    sources = [("aws-sm", state_key)]
    reading = documents.reading(sources, partition=place.partition, region=place.region, account=place.account)
    own = f":parameter{root}/keys/"
    statements = [_without(one, own) for one in policy.fields["document"]["Statement"]]
    return Alone(
        role=replace(role, fields={**role.fields, "trust": documents.trust_document(role.fields["trust"])}),
        policy=documents.policy([*(one for one in statements if one["Resource"]), *reading]),
        log_group=group,
        state_key=state_key,
        function={
            "FunctionName": function.name,
            **function.fields["settings"],
            "Architectures": function.fields["Architectures"],
            "PackageType": function.fields["PackageType"],
            "Environment": {"Variables": variables},
        },
        alias=alias,
        door=[one for kind in ORDER for one in by_kind.get(kind, ())],
        permissions=by_kind[doors.PERMISSION],
        alarms=by_kind.get(render.ALARM, ()),
        place=place,
        public_url=doors.public_address(manifest.serve.public_url or "", manifest.serve.path),
        reserved=options.concurrency.reserved,
        provisioned=options.concurrency.provisioned,
        awaited=awaited,
    )


def _without(statement: Mapping[str, Any], part: str) -> dict[str, Any]:
    """A statement about everything but the deploy's own keys."""
    return {**statement, "Resource": [one for one in statement["Resource"] if part not in one]}
