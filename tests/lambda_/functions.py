"""Functions that say one word, for tests of the fake itself: made, changed and looked at by boto3."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

TRUST = {"Version": "2012-10-17", "Statement": [{"Principal": {"Service": "lambda.amazonaws.com"}}]}
"""That Lambda may be a role."""

Made = Callable[..., str]
"""Makes a function that is ready, and answers its name."""


def zipped(says: str) -> bytes:
    """The zip of a function that answers a request with some words."""
    code = f"""\
def handler(event, context):
    print("asked")
    if event == "fail":
        raise ValueError("no")
    return {{"statusCode": 200, "headers": {{}}, "body": "{says}"}}
"""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("mcp_handler.py", code)
    return made.getvalue()


def asked(name: str, role: str, says: str = "one") -> dict[str, Any]:
    return {
        "FunctionName": name,
        "Role": role,
        "Runtime": "python3.13",
        "Handler": "mcp_handler.handler",
        "Code": {"ZipFile": zipped(says)},
    }


def look(aws: Any, name: str, **more: str) -> Mapping[str, Any]:
    """Look until it is ready."""
    for _ in range(3):
        found: Mapping[str, Any] = aws.get_function_configuration(FunctionName=name, **more)
        if found["State"] == "Active" and found.get("LastUpdateStatus") == "Successful":
            return found
    raise AssertionError(f"not ready: {found}")


def published(aws: Any, name: str) -> str:
    number: str = aws.publish_version(FunctionName=name)["Version"]
    look(aws, name, Qualifier=number)
    return number


def edited(aws: Any, name: str, says: str) -> None:
    aws.update_function_code(FunctionName=name, ZipFile=zipped(says))
    look(aws, name)


def refused(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def weighted(call: Callable[..., Any], name: str, number: str, weights: Mapping[str, float]) -> None:
    call(
        FunctionName=name,
        Name="live",
        FunctionVersion=number,
        RoutingConfig={"AdditionalVersionWeights": dict(weights)},
    )
