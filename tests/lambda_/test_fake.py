"""The rules of Lambda that moto does not keep, each as boto3 meets it in the fake. Sources stand beside the rules."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError, HTTPClientError

from mcp_packager.testing.aws.bounds import LIMIT, UNRESERVED
from mcp_packager.testing.aws.faults import Moment
from tests.lambda_.fake import ACCOUNT, Cloud
from tests.lambda_.functions import TRUST, Made, asked, edited, look, published, refused, weighted, zipped


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"Timeout": 901}, "ValidationException"),
        ({"MemorySize": 10_241}, "ValidationException"),
        ({"EphemeralStorage": {"Size": 10_241}}, "ValidationException"),
        ({"Runtime": "python3.6"}, "ValidationException"),
        ({"Environment": {"Variables": {"AWS_REGION": "here"}}}, "InvalidParameterValueException"),
        ({"Environment": {"Variables": {"LONG": "x" * 4093}}}, "InvalidParameterValueException"),
        ({"LoggingConfig": {"SystemLogLevel": "INFO"}}, "InvalidParameterValueException"),
        (
            {"SnapStart": {"ApplyOn": "PublishedVersions"}, "EphemeralStorage": {"Size": 513}},
            "InvalidParameterValueException",
        ),
        ({"Role": f"arn:aws:iam::{ACCOUNT}:role/nobody"}, "InvalidParameterValueException"),
        ({"PackageType": "Image"}, "InvalidParameterValueException"),
        ({"Code": {"ZipFile": b"no zip"}}, "InvalidParameterValueException"),
    ],
)
def test_settings_out_of_bounds(aws: Any, role: str, settings: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as error:
        aws.create_function(**{**asked("never", role), **settings})
    assert refused(error) == (code, 400)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        aws.get_function(FunctionName="never")


def test_the_largest_settings_are_taken_and_shown(aws: Any, made: Made) -> None:
    wanted = {
        "Timeout": 900,
        "MemorySize": 10_240,
        "EphemeralStorage": {"Size": 10_240},
        "Environment": {"Variables": {"LONG": "x" * 4092}},
        "LoggingConfig": {"LogFormat": "JSON", "LogGroup": "/mine", "SystemLogLevel": "WARN"},
        "Architectures": ["arm64"],
    }
    shown = aws.get_function_configuration(FunctionName=made(**wanted))
    assert {name: shown[name] for name in wanted} == {
        **wanted,
        "LoggingConfig": {**wanted["LoggingConfig"], "ApplicationLogLevel": "INFO"},  # type: ignore[dict-item]  # a table of many kinds
    }
    assert shown["SnapStart"] == {"ApplyOn": "None", "OptimizationStatus": "Off"}


def test_what_is_being_made_or_changed_cannot_be_used(aws: Any, role: str) -> None:
    name = "slow"
    assert aws.create_function(**asked(name, role))["State"] == "Pending"
    uses: list[Callable[[], Any]] = [
        lambda: aws.invoke(FunctionName=name),
        lambda: aws.publish_version(FunctionName=name),
        lambda: aws.update_function_configuration(FunctionName=name, Timeout=9),
    ]
    for use in uses:
        with pytest.raises(ClientError, match="Pending") as error:
            use()
        assert refused(error) == ("ResourceConflictException", 409)
    look(aws, name)
    assert aws.update_function_configuration(FunctionName=name, Timeout=9)["LastUpdateStatus"] == "InProgress"
    with pytest.raises(ClientError, match="An update is in progress"):
        aws.update_function_code(FunctionName=name, ZipFile=zipped("two"))
    look(aws, name)
    edited(aws, name, "two")


def test_a_second_function_of_the_name(aws: Any, made: Made, role: str) -> None:
    with pytest.raises(ClientError) as error:
        aws.create_function(**asked(made(), role))
    assert refused(error) == ("ResourceConflictException", 409)


def test_who_looked_before_somebody_else_changed_it_is_refused(aws: Any, made: Made) -> None:
    name = made()
    seen = aws.get_function_configuration(FunctionName=name)["RevisionId"]
    aws.update_function_configuration(FunctionName=name, Timeout=9, RevisionId=seen)
    look(aws, name)
    changes: list[Callable[[], Any]] = [
        lambda: aws.update_function_configuration(FunctionName=name, Timeout=10, RevisionId=seen),
        lambda: aws.update_function_code(FunctionName=name, ZipFile=zipped("two"), RevisionId=seen),
        lambda: aws.publish_version(FunctionName=name, RevisionId=seen),
    ]
    for change in changes:
        with pytest.raises(ClientError) as error:
            change()
        assert refused(error) == ("PreconditionFailedException", 412)
    number = published(aws, name)
    alias = aws.create_alias(FunctionName=name, Name="live", FunctionVersion=number)
    aws.update_alias(FunctionName=name, Name="live", Description="other", RevisionId=alias["RevisionId"])
    with pytest.raises(ClientError, match="PreconditionFailedException"):
        aws.update_alias(FunctionName=name, Name="live", RevisionId=alias["RevisionId"])


def test_a_version_is_published_once(aws: Any, made: Made, role: str) -> None:
    name = made()
    assert [published(aws, name), published(aws, name)] == ["1", "1"]
    aws.update_function_configuration(FunctionName=name, Timeout=9)
    look(aws, name)
    assert published(aws, name) == "2"
    with pytest.raises(ClientError, match="CodeSHA256") as error:
        aws.publish_version(FunctionName=name, CodeSha256="another")
    assert refused(error) == ("InvalidParameterValueException", 400)
    aws.delete_function(FunctionName=name)
    aws.create_function(**asked(name, role))
    look(aws, name)
    assert published(aws, name) == "3", "numbers are never used again"


def test_versions_are_listed_in_pages(aws: Any, made: Made) -> None:
    name = made()
    for timeout in (4, 5, 6):
        aws.update_function_configuration(FunctionName=name, Timeout=timeout)
        look(aws, name)
        published(aws, name)
    first = aws.list_versions_by_function(FunctionName=name, MaxItems=3)
    assert [one["Version"] for one in first["Versions"]] == ["$LATEST", "1", "2"]
    rest = aws.list_versions_by_function(FunctionName=name, Marker=first["NextMarker"])
    assert [(one["Version"], one["Timeout"]) for one in rest["Versions"]] == [("3", 6)]
    assert "NextMarker" not in rest


def test_a_version_behind_an_alias_stays(aws: Any, made: Made) -> None:
    name = made()
    first = published(aws, name)
    edited(aws, name, "two")
    second = published(aws, name)
    aws.create_alias(
        FunctionName=name,
        Name="live",
        FunctionVersion=first,
        RoutingConfig={"AdditionalVersionWeights": {second: 0.1}},
    )
    for number in (first, second):
        with pytest.raises(ClientError, match="following aliases reference it") as error:
            aws.delete_function(FunctionName=name, Qualifier=number)
        assert refused(error) == ("ResourceConflictException", 409)
    with pytest.raises(ClientError, match=r"\$LATEST"):
        aws.delete_function(FunctionName=name, Qualifier="$LATEST")
    aws.update_alias(
        FunctionName=name, Name="live", FunctionVersion=second, RoutingConfig={"AdditionalVersionWeights": {}}
    )
    aws.delete_function(FunctionName=name, Qualifier=first)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        aws.get_function(FunctionName=name, Qualifier=first)


def test_shares_of_an_alias(aws: Any, made: Made, role: str, cloud: Cloud) -> None:
    name = made()
    first = published(aws, name)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        aws.create_alias(FunctionName=name, Name="live", FunctionVersion="99")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        weighted(aws.create_alias, name, first, {"99": 0.5})
    edited(aws, name, "two")
    second = published(aws, name)
    for number, weights, said in (
        (first, {first: 0.5}, "cannot be the same"),
        (first, {second: 1.5}, "not between 0 and 1"),
        ("$LATEST", {second: 0.5}, "LATEST is not supported"),
    ):
        with pytest.raises(ClientError, match=said):
            weighted(aws.create_alias, name, number, weights)
    other = cloud.client("iam").create_role(RoleName="other", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    with pytest.raises(ClientError, match="cannot be assumed"):
        aws.update_function_configuration(FunctionName=name, Role=other)
    aws.update_function_configuration(FunctionName=name, Role=other)
    look(aws, name)
    with pytest.raises(ClientError, match="same Role"):
        weighted(aws.create_alias, name, first, {published(aws, name): 0.5})


def test_concurrency(aws: Any, made: Made) -> None:
    name = made()
    with pytest.raises(ClientError, match="below its minimum"):
        aws.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=LIMIT - UNRESERVED + 1)
    aws.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=5)
    provision = {"FunctionName": name, "ProvisionedConcurrentExecutions": 2}
    with pytest.raises(ClientError, match="unpublished"):
        aws.put_provisioned_concurrency_config(**provision, Qualifier="$LATEST")
    number = published(aws, name)
    with pytest.raises(ClientError, match="should not be greater"):
        aws.put_provisioned_concurrency_config(FunctionName=name, Qualifier=number, ProvisionedConcurrentExecutions=6)
    aws.put_provisioned_concurrency_config(**provision, Qualifier=number)
    states = [aws.get_provisioned_concurrency_config(FunctionName=name, Qualifier=number)["Status"] for _ in range(2)]
    assert states == ["IN_PROGRESS", "READY"]
    aws.delete_provisioned_concurrency_config(FunctionName=name, Qualifier=number)
    with pytest.raises(ClientError, match="ProvisionedConcurrencyConfigNotFoundException"):
        aws.get_provisioned_concurrency_config(FunctionName=name, Qualifier=number)


def test_tags_are_the_function_s(aws: Any, made: Made) -> None:
    arn = aws.get_function_configuration(FunctionName=made(Tags={"a": "1"}))["FunctionArn"]
    aws.tag_resource(Resource=arn, Tags={"b/c": "2"})
    aws.untag_resource(Resource=arn, TagKeys=["a"])
    assert aws.list_tags(Resource=arn)["Tags"] == {"b/c": "2"}


@pytest.mark.parametrize(
    "more",
    [
        {"Value": "x" * 4097},
        {"Value": "x" * 8193, "Tier": "Advanced"},
        {"Description": "x" * 1025},
        {"Overwrite": True, "Tags": [{"Key": "a", "Value": "b"}]},
    ],
)
def test_parameters_that_are_not_taken(cloud: Cloud, more: Mapping[str, Any]) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        cloud.client("ssm").put_parameter(**{"Name": "/large", "Value": "x", "Type": "String", **more})


def test_a_parameter_s_versions_are_read_by_their_numbers(cloud: Cloud) -> None:
    ssm = cloud.client("ssm")
    for value in ("old", "new"):
        ssm.put_parameter(Name="/kept", Value=value, Type="SecureString", Overwrite=value == "new")
    found = ssm.get_parameters(Names=["/kept:1", "/kept", "/kept:9"], WithDecryption=True)
    assert sorted((one["Name"], one.get("Selector", ""), one["Value"]) for one in found["Parameters"]) == [
        ("/kept", "", "new"),
        ("/kept", ":1", "old"),
    ]
    assert found["InvalidParameters"] == ["/kept:9"]


def test_what_goes_wrong_on_the_way(cloud: Cloud) -> None:
    ssm = cloud.client("ssm")

    def put(value: str) -> None:
        ssm.put_parameter(Name="/way", Value=value, Type="String", Overwrite=True)

    def value() -> str:
        return str(ssm.get_parameter(Name="/way")["Parameter"]["Value"])

    put("0")
    cloud.faults.throttled["PutParameter"] = 1
    with pytest.raises(ClientError, match="ThrottlingException"):
        put("1")
    assert value() == "0"
    cloud.faults.arm(Moment("lose", 1))
    put("2")
    with pytest.raises(HTTPClientError):
        put("3")
    assert value() == "3", "it was done, and nobody was told"
    cloud.faults.arm(None)
    put("4")
    assert cloud.faults.asked[-1] == "ssm PutParameter"
