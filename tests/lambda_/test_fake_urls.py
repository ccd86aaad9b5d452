"""Who may reach a function, as AWS keeps it and moto does not: policies of aliases, URLs, signatures, invocations."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from mcp_packager.testing.aws.signatures import KEY, SECRET
from tests.lambda_.fake import ACCOUNT, REGION, Cloud
from tests.lambda_.functions import Made, edited, published, refused, weighted


def test_policies_belong_to_a_qualifier(aws: Any, made: Made) -> None:
    name = made()
    aws.create_alias(FunctionName=name, Name="live", FunctionVersion=published(aws, name))
    statement = {
        "FunctionName": name,
        "Qualifier": "live",
        "StatementId": "url",
        "Action": "lambda:InvokeFunctionUrl",
        "Principal": "*",
        "FunctionUrlAuthType": "NONE",
    }
    aws.add_permission(**statement)
    with pytest.raises(ClientError) as error:
        aws.add_permission(**statement)
    assert refused(error) == ("ResourceConflictException", 409)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        aws.get_policy(FunctionName=name)
    (shown,) = json.loads(aws.get_policy(FunctionName=name, Qualifier="live")["Policy"])["Statement"]
    assert shown["Condition"] == {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}}
    assert shown["Resource"] == f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}:live"
    with pytest.raises(ClientError, match="only supported for lambda:InvokeFunctionUrl"):
        aws.add_permission(**{**statement, "StatementId": "b", "Action": "lambda:InvokeFunction"})
    with pytest.raises(ClientError, match="PreconditionFailedException"):
        aws.remove_permission(FunctionName=name, Qualifier="live", StatementId="url", RevisionId="another")
    aws.remove_permission(FunctionName=name, Qualifier="live", StatementId="url")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        aws.remove_permission(FunctionName=name, Qualifier="live", StatementId="url")


def test_a_url_belongs_to_an_alias(aws: Any, made: Made) -> None:
    name = made()
    number = published(aws, name)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        aws.create_function_url_config(FunctionName=name, Qualifier="live", AuthType="NONE")
    with pytest.raises(ClientError, match="ValidationException"):
        aws.create_function_url_config(FunctionName=name, Qualifier=number, AuthType="NONE")
    aws.create_alias(FunctionName=name, Name="live", FunctionVersion=number)
    url = aws.create_function_url_config(FunctionName=name, Qualifier="live", AuthType="NONE")["FunctionUrl"]
    with pytest.raises(ClientError) as error:
        aws.create_function_url_config(FunctionName=name, Qualifier="live", AuthType="NONE")
    assert refused(error) == ("ResourceConflictException", 409)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        aws.get_function_url_config(FunctionName=name)
    assert aws.get_function_url_config(FunctionName=name, Qualifier="live")["FunctionUrl"] == url
    assert asks(url) == 403
    aws.delete_alias(FunctionName=name, Name="live")
    assert aws.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"] == []


def asks(url: str, headers: Mapping[str, str] | None = None) -> int | str:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers or {})), timeout=60) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def signed(url: str, service: str, secret: str = SECRET) -> dict[str, str]:
    request = AWSRequest("GET", url)
    SigV4Auth(Credentials(KEY, secret), service, REGION).add_auth(request)
    return dict(request.headers)


def rights(aws: Any, name: str, principal: str, kind: str) -> Iterator[None]:
    """Give both that a URL takes, one after the other."""
    common = {"FunctionName": name, "Qualifier": "live", "Principal": principal}
    aws.add_permission(**common, StatementId="url", Action="lambda:InvokeFunctionUrl", FunctionUrlAuthType=kind)
    yield
    aws.add_permission(**common, StatementId="invoke", Action="lambda:InvokeFunction", InvokedViaFunctionUrl=True)
    yield


@pytest.mark.real("lambda-emulator", "python3.13")
def test_a_url_takes_both_rights_and_leads_to_the_alias_s_version(aws: Any, made: Made) -> None:
    name = made()
    first = published(aws, name)
    aws.create_alias(FunctionName=name, Name="live", FunctionVersion=first)
    url = aws.create_function_url_config(FunctionName=name, Qualifier="live", AuthType="NONE")["FunctionUrl"]
    seen: list[int | str] = [asks(url)]
    seen += [asks(url) for _ in rights(aws, name, "*", "NONE")]
    edited(aws, name, "two")
    seen.append(asks(url))
    second = published(aws, name)
    weighted(aws.update_alias, name, first, {second: 0.5})
    seen += [asks(url) for _ in range(4)]
    weighted(aws.update_alias, name, second, {})
    seen.append(asks(url))
    assert seen == [403, 403, "one", "one", "one", "two", "one", "two", "two"]


@pytest.mark.real("lambda-emulator", "python3.13")
def test_a_url_that_asks_who_is_calling(aws: Any, made: Made) -> None:
    name = made()
    aws.create_alias(FunctionName=name, Name="live", FunctionVersion=published(aws, name))
    url = aws.create_function_url_config(FunctionName=name, Qualifier="live", AuthType="AWS_IAM")["FunctionUrl"]
    list(rights(aws, name, ACCOUNT, "AWS_IAM"))
    shown = [{}, signed(url, "execute-api"), signed(url, "lambda", "not the secret"), signed(url, "lambda")]
    assert [asks(url, headers) for headers in shown] == [403, 403, 403, "one"]


@pytest.mark.real("lambda-emulator", "python3.13")
def test_invocations_and_their_lines(aws: Any, made: Made, cloud: Cloud) -> None:
    name = made()
    logs = cloud.client("logs")
    aws.invoke(FunctionName=name, Payload=b"{}")  # there is no group yet: its lines are lost
    logs.create_log_group(logGroupName=f"/aws/lambda/{name}")
    good = aws.invoke(FunctionName=name, Payload=b"{}")
    assert json.loads(good["Payload"].read())["body"] == "one"
    assert (good["ExecutedVersion"], good.get("FunctionError")) == ("$LATEST", None)
    bad = aws.invoke(FunctionName=name, Payload=b'"fail"', LogType="Tail")
    assert "asked" in base64.b64decode(bad["LogResult"]).decode().splitlines()
    assert (bad["StatusCode"], bad["FunctionError"]) == (200, "Unhandled")
    assert json.loads(bad["Payload"].read())["errorType"] == "ValueError"
    lines = [one["message"] for one in logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]]
    assert lines.count("asked") == 2
    aws.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError) as error:
        aws.invoke(FunctionName=name)
    assert refused(error) == ("TooManyRequestsException", 429)
