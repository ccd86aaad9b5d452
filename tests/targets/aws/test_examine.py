"""What `doctor` says of an account, where AWS answers what a test says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mcp_targets._aws.examining import allowed, principal
from mcp_targets._aws.rights import actions
from mcp_targets.eks import target
from mcp_targets.eks.examine import NEEDED
from mcp_targets.eks.options import Options
from tests.targets.aws.conftest import ACCOUNT
from tests.targets.aws.deployments import written
from tests.targets.aws.making import Said, stubbed

ME = f"arn:aws:iam::{ACCOUNT}:user/deployer"


def simulated(iam: Said, denied: Sequence[str]) -> None:
    asked = {"PolicySourceArn": ME, "ActionNames": list(actions(NEEDED))}
    results: list[dict[str, Any]] = [
        {"EvalActionName": name, "EvalDecision": "implicitDeny" if name in denied else "allowed"}
        for name in actions(NEEDED)
    ]
    iam.asked("simulate_principal_policy", asked, {"EvaluationResults": results, "IsTruncated": False})


def test_all_rights_are_one_line() -> None:
    iam = Said("iam")
    simulated(iam, ())
    with stubbed(iam) as aws:
        (finding,) = allowed(aws, NEEDED)
    count = len(actions(NEEDED))
    assert (finding.state, finding.detail) == ("ok", f"{count} of {count} are there")


def test_a_right_that_every_deploy_needs_is_broken_and_another_is_missing() -> None:
    iam = Said("iam")
    simulated(iam, ("ecr:PutImage", "iam:CreateRole"))
    with stubbed(iam) as aws:
        _, image, role = allowed(aws, NEEDED)
    assert (image.name, image.state, image.needed_for) == ("right to ecr:PutImage", "broken", "the push of an image")
    assert (role.name, role.state) == ("right to iam:CreateRole", "missing")
    assert "[[permissions.aws]]" in role.needed_for


def test_who_may_not_ask_is_told_so() -> None:
    iam = Said("iam")
    iam.refused(
        "simulate_principal_policy", "AccessDenied", "not authorized to perform: iam:SimulatePrincipalPolicy", 403
    )
    with stubbed(iam) as aws:
        (finding,) = allowed(aws, NEEDED)
    assert finding.state == "missing"
    assert "iam:SimulatePrincipalPolicy is not allowed" in finding.detail


@pytest.mark.parametrize(
    ("session", "found"),
    [
        (ME, ME),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/me@here", f"arn:aws:iam::{ACCOUNT}:role/deployer"),
        (f"arn:aws-cn:sts::{ACCOUNT}:assumed-role/deployer/x", f"arn:aws-cn:iam::{ACCOUNT}:role/deployer"),
    ],
)
def test_a_sessions_rights_are_its_roles(session: str, found: str) -> None:
    assert principal(session) == found


def test_a_manifest_that_says_no_place_still_gets_the_policy(tmp_path: Path) -> None:
    seen = target.examine(written(tmp_path), Options(), {})
    assert [finding.state for finding in seen.findings] == ["broken"] * 3
    (grant,) = seen.grants
    assert "arn:aws:ecr:REGION:ACCOUNT:repository/*" in str(grant.document)
