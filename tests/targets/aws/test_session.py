"""Nothing is asked of an account that is not the deployment's, and every refusal says what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from mcp_packager.errors import PackError, Place, UserError, WorldError
from mcp_packager.target import Identity, TransientError
from mcp_targets._aws.errors import speaking
from mcp_targets._aws.names import is_ours, registry, tags
from mcp_targets._aws.session import Aws, Wanted, plain_client
from tests.targets.aws.conftest import ACCOUNT, REGION


def refusal(code: str, message: str = "", status: int = 400) -> ClientError:
    said = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(said, "CreateRole")


def noting(asked: list[str]) -> Callable[[str, str], Any]:
    def make(service: str, region: str) -> Any:
        asked.append(service)
        return plain_client(service, region)

    return make


def told(error: Exception) -> PackError:
    with pytest.raises(PackError) as caught, speaking("make the role x"):
        raise error
    return caught.value


def test_another_accounts_credentials_are_refused_before_anything_is_asked(aws: Aws) -> None:
    asked: list[str] = []
    place = Place("mcp-tool.toml", key="pin.aws_account")
    strangers = Aws(Wanted(REGION, "999999999999", place), noting(asked))
    with pytest.raises(UserError) as caught:
        strangers.client("iam")
    assert asked == ["sts"]
    (problem,) = caught.value.problems
    assert problem.expected == "account 999999999999"
    assert ACCOUNT in str(problem.found)
    assert problem.where.key == "pin.aws_account"


def test_the_accounts_own_credentials_are_taken_and_asked_for_once(aws: Aws) -> None:
    asked: list[str] = []
    ours = Aws(Wanted(REGION, ACCOUNT), noting(asked))
    assert ours.client("iam") is ours.client("iam")
    assert ours.caller.account == ACCOUNT
    assert ours.caller.partition == "aws"
    assert asked == ["sts", "iam"]


def test_a_missing_right_is_named_by_action_and_resource() -> None:
    said = (
        f"User: arn:aws:iam::{ACCOUNT}:user/me is not authorized to perform: iam:CreateRole on resource: "
        f"arn:aws:iam::{ACCOUNT}:role/x because no identity-based policy allows the iam:CreateRole action"
    )
    error = told(refusal("AccessDenied", said, 403))
    assert "iam:CreateRole" in error.problems[0].what
    assert f"arn:aws:iam::{ACCOUNT}:role/x" in error.problems[0].what
    assert "mcp-pack doctor" in error.problems[0].fix


@pytest.mark.parametrize("code", ["Throttling", "ThrottlingException", "TooManyRequestsException", "SlowDown"])
def test_throttling_is_worth_another_try(code: str) -> None:
    assert isinstance(told(refusal(code)), TransientError)


def test_a_fault_of_awss_own_is_worth_another_try() -> None:
    assert isinstance(told(refusal("Whatever", status=503)), TransientError)
    assert isinstance(told(EndpointConnectionError(endpoint_url="https://iam")), TransientError)


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "RequestExpired"])
def test_credentials_that_are_too_old_are_said_to_be(code: str) -> None:
    error = told(refusal(code, status=403))
    assert not isinstance(error, TransientError)
    assert "not valid" in error.problems[0].what
    assert "aws sso login" in error.problems[0].fix


def test_no_credentials_is_a_problem_and_no_traceback() -> None:
    error = told(NoCredentialsError())
    assert isinstance(error, WorldError)
    assert "no credentials" in error.problems[0].what


def test_anything_else_is_told_as_aws_says_it() -> None:
    error = told(refusal("MalformedPolicyDocument", "Syntax errors in policy"))
    assert not isinstance(error, TransientError)
    assert error.problems[0].found == "Syntax errors in policy"


def test_tags_prove_whose_a_thing_is() -> None:
    ours, theirs = Identity("team", "notes", "prod"), Identity("team", "notes", "dev")
    assert is_ours({**tags(ours), "more": "x"}, ours)
    assert not is_ours(tags(theirs), ours)
    assert not is_ours({}, ours)


def test_registries_of_china_have_a_name_of_their_own() -> None:
    assert registry("1", "eu-central-1") == "1.dkr.ecr.eu-central-1.amazonaws.com"
    assert registry("1", "cn-north-1") == "1.dkr.ecr.cn-north-1.amazonaws.com.cn"
