"""A deployment's role and what it may do.

What the role may do stands in inline policies named by their content. So a change makes the new policy beside the old
one in *prepare*, which only widens, and takes the old one away in *retire*, which narrows; a deploy that is undone has
lost nothing.
Inline policies have no tags: they belong to the role, which has.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mcp_packager.errors import Problem, WorldError
from mcp_packager.target import Action, Identity, Key, Kind, Observed, Resource, Step, Value, owned
from mcp_packager.target.values import holds_unknown
from mcp_targets._aws.documents import Document, normalised, text, trust_document
from mcp_targets._aws.errors import code_of, speaking
from mcp_targets._aws.names import ROLE, is_ours, listed, strange, tags, unlisted
from mcp_targets._aws.session import Aws

ROLE_KIND: Final = "iam-role"
POLICY_KIND: Final = "iam-policy"


_PREFIX: Final = "mcp-pack-"
_GONE: Final = "NoSuchEntity"
_ROOM: Final = 10_240
"""Characters that all inline policies of a role may have together
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html)."""


def _as_trusted(observed: Mapping[str, Value], desired: Mapping[str, Value]) -> Mapping[str, Value]:
    """A role's fields, its trust policy spelled as the wish that it fulfils."""
    have = owned(observed, desired)
    wish, document = desired["trust"], observed.get("trust")
    fulfilled = not holds_unknown(wish) and document == trust_document(wish)
    return {**have, "trust": wish if fulfilled else document}


KINDS: Final = (
    Kind(ROLE_KIND, project=_as_trusted, stable=frozenset({"arn", "name"})),
    Kind(POLICY_KIND, effect="changes what the tool may do in AWS", derived=True),
)


def role_name(identity: Identity) -> str:
    """What a deployment's role is called in its account."""
    return identity.name(alphabet=ROLE)


class Roles:
    """The role of one deployment, and its policies."""

    def __init__(self, aws: Aws, identity: Identity) -> None:
        self._aws = aws
        self._identity = identity
        self._name = role_name(identity)

    def observe(self) -> Iterator[Observed]:
        """The role and its policies, where the role is ours."""
        found = self._found()
        if found is None or not is_ours(unlisted(found.get("Tags", [])), self._identity):
            return
        yield Observed(ROLE_KIND, self._name, self._fields(found))
        for name in self._policies():
            document = self._document(name)
            if document is not None:
                yield Observed(POLICY_KIND, name.removeprefix(_PREFIX), {"document": document, "role": self._name})

    def apply(self, step: Step) -> Mapping[str, Value]:
        """Make, change or remove the role or one of its policies."""
        if step.resource is None or step.action is Action.DELETE:
            self._remove(step.key)
            return {}
        if step.key.kind == ROLE_KIND:
            return self._role(step.resource)
        return self._policy(step.resource)

    def _found(self) -> Mapping[str, Any] | None:
        from botocore.exceptions import ClientError

        with speaking(f"read the role {self._name}"):
            try:
                found: Mapping[str, Any] = self._iam.get_role(RoleName=self._name)["Role"]
            except ClientError as error:
                if code_of(error) == _GONE:
                    return None
                raise
            return found

    def _fields(self, found: Mapping[str, Any]) -> dict[str, Value]:
        return {
            "name": found["RoleName"],
            "arn": found["Arn"],
            "trust": normalised(found["AssumeRolePolicyDocument"]),
            "boundary": found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        }

    def _role(self, resource: Resource) -> Mapping[str, Value]:
        trust = trust_document(resource.fields["trust"])
        boundary = resource.fields["boundary"]
        found = self._found()
        if found is None:
            found = self._made(trust, boundary)
            if found is not None:
                return {**self._fields(found), "boundary": boundary}
            # An answer that was lost, or somebody who was quicker: the role is there now.
            found = self._found() or {}
        self._check(found)
        fields = self._fields(found)
        if fields["trust"] != trust:
            with speaking(f"say who may be the role {self._name}"):
                self._iam.update_assume_role_policy(RoleName=self._name, PolicyDocument=text(trust))
        if fields["boundary"] != boundary:
            with speaking(f"bound the role {self._name}"):
                if boundary is None:
                    self._iam.delete_role_permissions_boundary(RoleName=self._name)
                else:
                    self._iam.put_role_permissions_boundary(RoleName=self._name, PermissionsBoundary=boundary)
        return {**fields, "trust": trust, "boundary": boundary}

    def _made(self, trust: Document, boundary: Value) -> Mapping[str, Any] | None:
        """A new role; ``None`` where there is one of that name by now."""
        asked: dict[str, Any] = {} if boundary is None else {"PermissionsBoundary": boundary}
        with (
            speaking(f"make the role {self._name}"),
            contextlib.suppress(self._iam.exceptions.EntityAlreadyExistsException),
        ):
            made: Mapping[str, Any] = self._iam.create_role(
                RoleName=self._name,
                AssumeRolePolicyDocument=text(trust),
                Description=f"{self._identity}, deployed by mcp-pack"[:1000],
                Tags=listed(tags(self._identity)),
                **asked,
            )["Role"]
            return made
        return None

    def _policy(self, resource: Resource) -> Mapping[str, Value]:
        document = text(resource.fields["document"])
        if len(document) > _ROOM:
            raise WorldError(
                Problem(
                    f"what the tool may do in AWS does not fit into its role: IAM takes {_ROOM} characters",
                    "say it in fewer statements under [[permissions.aws]], with wildcards",
                    found=f"{len(document)} characters",
                )
            )
        # Put is the same again: a name is made from what the policy says.
        with speaking(f"say what the role {self._name} may do"):
            self._iam.put_role_policy(RoleName=self._name, PolicyName=_PREFIX + resource.name, PolicyDocument=document)
        return dict(resource.fields)

    def _remove(self, key: Key) -> None:
        found = self._found()
        if found is None:
            return
        self._check(found)
        whole = key.kind == ROLE_KIND
        names = self._policies(everybodys=True) if whole else [_PREFIX + key.name]
        with (
            speaking(f"remove the {key.kind} {key.name}"),
            contextlib.suppress(self._iam.exceptions.NoSuchEntityException),
        ):
            for name in names:
                self._iam.delete_role_policy(RoleName=self._name, PolicyName=name)
            if whole:
                self._detach()
                self._iam.delete_role(RoleName=self._name)

    def _detach(self) -> None:
        """Take off what somebody attached by hand: a role that has something does not go."""
        for page in self._iam.get_paginator("list_attached_role_policies").paginate(RoleName=self._name):
            for one in page["AttachedPolicies"]:
                self._iam.detach_role_policy(RoleName=self._name, PolicyArn=one["PolicyArn"])

    def _check(self, found: Mapping[str, Any]) -> None:
        held = unlisted(found.get("Tags", []))
        if not is_ours(held, self._identity):
            raise strange(f"the role {self._name}", held)

    def _policies(self, *, everybodys: bool = False) -> list[str]:
        """Our inline policies' names. Whoever else wrote one into the role keeps it until the role goes."""
        with speaking(f"list what the role {self._name} may do"):
            pages = self._iam.get_paginator("list_role_policies").paginate(RoleName=self._name)
            return [name for page in pages for name in page["PolicyNames"] if everybodys or name.startswith(_PREFIX)]

    def _document(self, name: str) -> Document | None:
        from botocore.exceptions import ClientError

        with speaking(f"read what the role {self._name} may do"):
            try:
                answer = self._iam.get_role_policy(RoleName=self._name, PolicyName=name)
            except ClientError as error:
                if code_of(error) == _GONE:
                    return None
                raise
            return normalised(answer["PolicyDocument"])

    @property
    def _iam(self) -> Any:
        return self._aws.client("iam")
