"""A repository: made as it should be, put right, kept. AWS is moto's."""

from __future__ import annotations

import json

import pytest

from mcp_packager.engine import diff
from mcp_packager.errors import WorldError
from mcp_packager.target import Action, Identity, Resource, Scope
from mcp_targets._aws.ecr import KINDS, Repositories, lifecycle, wanted
from mcp_targets._aws.names import listed, tags
from mcp_targets._aws.session import Aws
from tests.targets.aws.making import making, removing

RULES = lifecycle(untagged_days=14, keep=100)


def own(key: str | None = None) -> Resource:
    return wanted("notes", shared=False, lifecycle=RULES, key=key)


def test_what_is_made_is_immutable_scanned_and_does_not_grow_for_ever(aws: Aws, identity: Identity) -> None:
    repositories = Repositories(aws, identity, "notes")
    answer = repositories.apply(making(own()))
    (found,) = aws.client("ecr").describe_repositories()["repositories"]
    assert answer["uri"] == found["repositoryUri"]
    assert found["imageTagMutability"] == "IMMUTABLE"
    assert found["imageScanningConfiguration"]["scanOnPush"] is True
    policy = aws.client("ecr").get_lifecycle_policy(repositoryName="notes")["lifecyclePolicyText"]
    assert json.loads(policy) == RULES
    seen = {one.key: one for one in repositories.observe()}
    assert not diff((own(),), seen, KINDS).due


def test_what_somebody_changed_is_seen_and_put_right(aws: Aws, identity: Identity) -> None:
    repositories, ecr = Repositories(aws, identity, "notes"), aws.client("ecr")
    repositories.apply(making(own()))
    ecr.put_image_tag_mutability(repositoryName="notes", imageTagMutability="MUTABLE")
    ecr.delete_lifecycle_policy(repositoryName="notes")
    (seen,) = repositories.observe()
    (change,) = diff((own(),), {seen.key: seen}, KINDS).changes
    assert {field.path.partition(".")[0] for field in change.fields} == {"lifecycle", "mutability"}
    repositories.apply(making(own(), seen))
    (mended,) = repositories.observe()
    assert not diff((own(),), {mended.key: mended}, KINDS).due


def test_images_stay_unless_data_is_said(aws: Aws, identity: Identity) -> None:
    repositories = Repositories(aws, identity, "notes")
    repositories.apply(making(own()))
    seen = {one.key: one for one in repositories.observe()}
    assert diff((), seen, KINDS).changes == ()
    (change,) = diff((), seen, KINDS, data=True).changes
    assert change.action is Action.DELETE
    repositories.apply(removing(change.key))
    repositories.apply(removing(change.key))
    assert aws.client("ecr").describe_repositories()["repositories"] == []


def test_a_repository_that_tools_share_is_used_as_it_is_and_never_removed(aws: Aws, identity: Identity) -> None:
    aws.client("ecr").create_repository(repositoryName="team/tools", imageTagMutability="MUTABLE")
    repositories = Repositories(aws, identity, "team/tools")
    shared = wanted("team/tools", shared=True, lifecycle=RULES, key=None)
    seen = {one.key: one for one in repositories.observe()}
    assert not diff((shared,), seen, KINDS).due
    assert diff((), seen, KINDS, data=True).changes == ()
    assert seen[shared.key].scope is Scope.SHARED


def test_a_shared_repository_is_made_where_it_is_missing_and_belongs_to_nobody(aws: Aws, identity: Identity) -> None:
    repositories = Repositories(aws, identity, "team/tools")
    repositories.apply(making(wanted("team/tools", shared=True, lifecycle=RULES, key=None)))
    (seen,) = repositories.observe()
    assert seen.scope is Scope.SHARED


def test_somebody_elses_repository_is_not_taken_over(aws: Aws, identity: Identity) -> None:
    other = Identity("team", "notes", "dev")
    aws.client("ecr").create_repository(repositoryName="notes", tags=listed(tags(other)))
    repositories = Repositories(aws, identity, "notes")
    for step in (making(own()), removing(own().key)):
        with pytest.raises(WorldError) as caught:
            repositories.apply(step)
        assert "team/notes/dev" in str(caught.value.problems[0].found)


def test_what_encrypts_a_repository_cannot_be_changed_and_is_said_so(aws: Aws, identity: Identity) -> None:
    repositories = Repositories(aws, identity, "notes")
    repositories.apply(making(own()))
    (seen,) = repositories.observe()
    with pytest.raises(WorldError, match="ECR does not change what encrypts one"):
        repositories.apply(making(own(key="arn:aws:kms:eu-central-1:123456789012:key/1"), seen))
