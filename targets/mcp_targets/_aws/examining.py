"""What every target in AWS looks for first: whose the credentials are, and what they may do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from mcp_packager.errors import PackError, Problem
from mcp_packager.target import Examination, Finding, Grant
from mcp_targets._aws.errors import speaking
from mcp_targets._aws.rights import Needed, actions, deployer_policy
from mcp_targets._aws.session import Aws

_PLACEHOLDERS: Final = ("aws", "REGION", "ACCOUNT")
_ROLES: Final = ":assumed-role/"
_NEED: Final = "every deploy"


def nowhere(missing: Sequence[Problem], needed: Sequence[Needed]) -> Examination:
    """What is said where the manifest leaves open which account and region."""
    partition, region, account = _PLACEHOLDERS
    findings = tuple(Finding("place", "broken", one.what, _NEED, one.fix) for one in missing)
    return Examination(findings, (policy_of(needed, partition, region, account),))


def policy_of(needed: Sequence[Needed], partition: str, region: str, account: str) -> Grant:
    """What a deployer is to be granted."""
    document = deployer_policy(needed, partition=partition, region=region, account=account)
    return Grant("IAM policy of a deployer", document)


def who(aws: Aws) -> Finding:
    """Whose the credentials are."""
    try:
        caller = aws.caller
    except PackError as error:
        problem = error.problems[0]
        return Finding("AWS credentials", "broken", problem.what, _NEED, problem.fix)
    return Finding("AWS credentials", "ok", f"{caller.arn} of account {caller.account}", _NEED)


def allowed(aws: Aws, needed: Sequence[Needed]) -> Iterator[Finding]:
    """What AWS says that we may do; it says so to those alone who may ask."""
    name = "rights in AWS"
    try:
        with speaking("ask what we may do"):
            found = (
                aws.client("iam")
                .get_paginator("simulate_principal_policy")
                .paginate(PolicySourceArn=principal(aws.caller.arn), ActionNames=list(actions(needed)))
            )
            results: list[Any] = [one for page in found for one in page["EvaluationResults"]]
    except PackError as error:
        detail = f"could not be looked at: {error.problems[0].what}"
        yield Finding(
            name, "missing", detail, _NEED, "compare the policy below with yours, or allow iam:SimulatePrincipalPolicy"
        )
        return
    always = set(actions(needed, always=True))
    denied = [str(one["EvalActionName"]) for one in results if one["EvalDecision"] != "allowed"]
    yield Finding(name, "ok", f"{len(results) - len(denied)} of {len(results)} are there", _NEED)
    for action in denied:
        why = next(one.why for one in needed if action in actions([one]))
        state = "broken" if action in always else "missing"
        yield Finding(f"right to {action}", state, "not allowed", why, "have the IAM policy below attached to you")


def principal(arn: str) -> str:
    """Whose policies count for a session: its role's (a role with a path is not to be found by its session)."""
    if _ROLES not in arn:
        return arn
    head, _, rest = arn.partition(_ROLES)
    return f"{head.replace(':sts:', ':iam:')}:role/{rest.partition('/')[0]}"
