"""A tool's repository of images in ECR. Images go by the repository's own lifecycle, never by a deploy."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mcp_packager.errors import Problem, WorldError
from mcp_packager.target import Action, Identity, Kind, Observed, Resource, Scope, Step, Value, owned
from mcp_targets._aws.errors import code_of, speaking
from mcp_targets._aws.names import is_ours, listed, strange, tags, unlisted
from mcp_targets._aws.session import Aws

KIND: Final = "ecr-repository"

_OWNED: Final = Scope.DATA
_SCOPE: Final = "mcp-pack/scope"


def _as_shared(observed: Mapping[str, Value], desired: Mapping[str, Value]) -> Mapping[str, Value]:
    """What somebody else owns is as it should be when it is there."""
    return desired if desired.get("shared") else owned(observed, desired)


KINDS: Final = (Kind(KIND, project=_as_shared, stable=frozenset({"uri"})),)


def lifecycle(*, untagged_days: int, keep: int) -> dict[str, Any]:
    """Images without a tag go after some days, and of the others the newest stay.

    The form: https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html.
    """
    return {
        "rules": [
            {
                "rulePriority": 1,
                "description": "what no tag names",
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": untagged_days,
                },
                "action": {"type": "expire"},
            },
            {
                "rulePriority": 2,
                "description": "all but the newest",
                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": keep},
                "action": {"type": "expire"},
            },
        ]
    }


def wanted(name: str, *, shared: bool, lifecycle: Mapping[str, Any], key: str | None) -> Resource:
    """The repository as a resource.

    One that several tools share is made where it is missing, and else somebody's own: nothing about it is changed.
    ``key`` is the KMS key that images are encrypted with; AES-256 by ECR's own where unset.
    """
    if shared:
        return Resource(KIND, name, {"shared": True}, scope=Scope.SHARED)
    fields = {"shared": False, "mutability": "IMMUTABLE", "scan": True, "lifecycle": dict(lifecycle), "key": key}
    return Resource(KIND, name, fields, scope=_OWNED)


class Repositories:
    """The repository of one deployment, by its name."""

    def __init__(self, aws: Aws, identity: Identity, name: str) -> None:
        self._aws = aws
        self._identity = identity
        self._name = name

    def observe(self) -> Iterator[Observed]:
        """The repository: with all that it is where it is ours, and else that it is there."""
        found = self._found()
        if found is None:
            return
        if is_ours(self._tags(found), self._identity):
            yield Observed(KIND, self._name, self._fields(found), _OWNED)
        else:
            yield Observed(KIND, self._name, {"shared": True, "uri": found["repositoryUri"]}, Scope.SHARED)

    def apply(self, step: Step) -> Mapping[str, Value]:
        """Make the repository, set it right, or remove it with its images, which only ``--data`` does."""
        if step.resource is None or step.action is Action.DELETE:
            self._remove()
            return {}
        found = self._found()
        if found is None:
            return self._make(step.resource)
        if step.resource.fields["shared"]:
            return {"shared": True, "uri": found["repositoryUri"]}
        return self._set(step.resource, found)

    def _found(self) -> Mapping[str, Any] | None:
        from botocore.exceptions import ClientError

        with speaking(f"read the repository {self._name}"):
            try:
                answer = self._ecr.describe_repositories(repositoryNames=[self._name])
            except ClientError as error:
                if code_of(error) == "RepositoryNotFoundException":
                    return None
                raise
            found: Mapping[str, Any] = answer["repositories"][0]
            return found

    def _tags(self, found: Mapping[str, Any]) -> dict[str, str]:
        with speaking(f"read the tags of the repository {self._name}"):
            return unlisted(self._ecr.list_tags_for_resource(resourceArn=found["repositoryArn"])["tags"])

    def _fields(self, found: Mapping[str, Any]) -> dict[str, Value]:
        encryption = found.get("encryptionConfiguration", {})
        return {
            "shared": False,
            "uri": found["repositoryUri"],
            "mutability": found.get("imageTagMutability"),
            "scan": bool(found.get("imageScanningConfiguration", {}).get("scanOnPush")),
            "lifecycle": self._lifecycle(),
            "key": encryption.get("kmsKey") if encryption.get("encryptionType") == "KMS" else None,
        }

    def _lifecycle(self) -> Any:
        from botocore.exceptions import ClientError

        with speaking(f"read the lifecycle of the repository {self._name}"):
            try:
                answer = self._ecr.get_lifecycle_policy(repositoryName=self._name)
            except ClientError as error:
                if code_of(error) == "LifecyclePolicyNotFoundException":
                    return None
                raise
            return json.loads(answer["lifecyclePolicyText"])

    def _make(self, resource: Resource) -> Mapping[str, Value]:
        fields = resource.fields
        asked: dict[str, Any] = {}
        if fields.get("key") is not None:
            asked["encryptionConfiguration"] = {"encryptionType": "KMS", "kmsKey": fields["key"]}
        held = {**tags(self._identity)} if not fields["shared"] else {_SCOPE: Scope.SHARED.value}
        with speaking(f"make the repository {self._name}"):
            found = self._ecr.create_repository(
                repositoryName=self._name,
                imageTagMutability=fields.get("mutability", "IMMUTABLE"),
                imageScanningConfiguration={"scanOnPush": fields.get("scan", True)},
                tags=listed(held),
                **asked,
            )["repository"]
        if fields.get("lifecycle"):
            self._put_lifecycle(fields["lifecycle"])
        return {**fields, "uri": found["repositoryUri"]}

    def _set(self, resource: Resource, found: Mapping[str, Any]) -> Mapping[str, Value]:
        held = self._tags(found)
        if not is_ours(held, self._identity):
            raise strange(f"the repository {self._name}", held)
        fields, have = resource.fields, self._fields(found)
        if fields["key"] != have["key"]:
            raise WorldError(
                Problem(
                    f"the repository {self._name} exists, and ECR does not change what encrypts one",
                    "leave kms_key as it was, or name another repository",
                    expected=str(fields["key"] or "AES-256"),
                    found=str(have["key"] or "AES-256"),
                )
            )
        with speaking(f"set the repository {self._name} right"):
            if fields["mutability"] != have["mutability"]:
                self._ecr.put_image_tag_mutability(repositoryName=self._name, imageTagMutability=fields["mutability"])
            if fields["scan"] != have["scan"]:
                self._ecr.put_image_scanning_configuration(
                    repositoryName=self._name, imageScanningConfiguration={"scanOnPush": fields["scan"]}
                )
        if fields["lifecycle"] != have["lifecycle"]:
            self._put_lifecycle(fields["lifecycle"])
        return {**fields, "uri": found["repositoryUri"]}

    def _put_lifecycle(self, rules: Mapping[str, Any]) -> None:
        with speaking(f"say how long images stay in {self._name}"):
            self._ecr.put_lifecycle_policy(
                repositoryName=self._name, lifecyclePolicyText=json.dumps(rules, sort_keys=True)
            )

    def _remove(self) -> None:
        found = self._found()
        if found is None:
            return
        held = self._tags(found)
        if not is_ours(held, self._identity):
            raise strange(f"the repository {self._name}", held)
        with (
            speaking(f"remove the repository {self._name}"),
            contextlib.suppress(self._ecr.exceptions.RepositoryNotFoundException),
        ):
            self._ecr.delete_repository(repositoryName=self._name, force=True)

    @property
    def _ecr(self) -> Any:
        return self._aws.client("ecr")
