"""Secrets that AWS keeps, as a deploy reads them. AWS is moto's."""

from __future__ import annotations

import json

import pytest

from mcp_packager.errors import UserError, WorldError
from mcp_targets._aws.secrets import read
from mcp_targets._aws.session import Aws
from tests.targets.aws.making import Said, stubbed


def test_a_secret_as_text_as_bytes_and_one_key_of_it(aws: Aws) -> None:
    manager = aws.client("secretsmanager")
    manager.create_secret(Name="team/text", SecretString="hush")
    manager.create_secret(Name="team/bytes", SecretBinary=b"\x00\xff")
    manager.create_secret(Name="team/both", SecretString=json.dumps({"user": "me", "port": 5432}))
    assert read(aws, "aws-sm", "team/text") == b"hush"
    assert read(aws, "aws-sm", "team/bytes") == b"\x00\xff"
    assert read(aws, "aws-sm", "team/both#user") == b"me"
    assert read(aws, "aws-sm", "team/both#port") == b"5432"
    assert read(aws, "aws-sm", manager.describe_secret(SecretId="team/text")["ARN"]) == b"hush"


def test_a_parameter_is_read_in_the_clear(aws: Aws) -> None:
    aws.client("ssm").put_parameter(Name="/team/key", Value="hush", Type="SecureString")
    assert read(aws, "aws-ssm", "/team/key") == b"hush"


@pytest.mark.parametrize(("scheme", "rest"), [("aws-sm", "team/none"), ("aws-ssm", "/team/none")])
def test_what_is_not_there_is_no_value(aws: Aws, scheme: str, rest: str) -> None:
    assert read(aws, scheme, rest) is None


@pytest.mark.parametrize(
    ("value", "said"), [("hush-hush", "is not a JSON document"), ('{"a": "hush-hush"}', "no key b")]
)
def test_a_key_that_is_not_there_is_said_and_the_value_is_not(aws: Aws, value: str, said: str) -> None:
    aws.client("secretsmanager").create_secret(Name="team/text", SecretString=value)
    with pytest.raises(UserError, match=said) as caught:
        read(aws, "aws-sm", "team/text#b")
    assert "hush-hush" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_secret_that_we_may_not_read_is_named_with_the_right_that_lacks() -> None:
    manager = Said("secretsmanager")
    said = "User: me is not authorized to perform: secretsmanager:GetSecretValue on resource: team/text"
    manager.refused("get_secret_value", "AccessDeniedException", said, 400)
    with stubbed(manager) as aws, pytest.raises(WorldError, match="secretsmanager:GetSecretValue on team/text is not"):
        read(aws, "aws-sm", "team/text")
