"""What `doctor` says of the rights that a deploy to Lambda needs, where IAM answers what a test says.

moto has no SimulatePrincipalPolicy; botocore's stub holds question and answer against the service's own model.
"""

from __future__ import annotations

from mcp_targets._aws.examining import allowed
from mcp_targets._aws.rights import actions
from mcp_targets.aws_lambda.examine import NEEDED
from tests.targets.aws.conftest import ACCOUNT
from tests.targets.aws.making import Said, stubbed


def test_a_right_that_is_missing_is_told_with_what_takes_it() -> None:
    denied = {"cloudwatch:TagResource", "lambda:PublishVersion", "logs:TagResource"}
    iam, asked = Said("iam"), list(actions(NEEDED))
    results = [
        {"EvalActionName": name, "EvalDecision": "implicitDeny" if name in denied else "allowed"} for name in asked
    ]
    question = {"PolicySourceArn": f"arn:aws:iam::{ACCOUNT}:user/deployer", "ActionNames": asked}
    iam.asked("simulate_principal_policy", question, {"EvaluationResults": results, "IsTruncated": False})
    with stubbed(iam) as aws:
        counted, *told = allowed(aws, NEEDED)
    assert counted.detail == f"{len(asked) - 3} of {len(asked)} are there"
    assert {(one.name, one.state, one.needed_for) for one in told} == {
        ("right to cloudwatch:TagResource", "missing", "the alarms of a canary"),
        ("right to lambda:PublishVersion", "broken", "the function, its versions and its URL"),
        ("right to logs:TagResource", "broken", "the function's log"),
    }
