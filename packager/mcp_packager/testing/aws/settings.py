"""What Lambda takes of a function's settings. Limits: Lambda developer guide, "Lambda quotas"; API reference."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from mcp_packager.testing.aws.refusals import invalid, unlike

_DEFAULTS: Mapping[str, Any] = {
    "Description": "",
    "Timeout": 3,
    "MemorySize": 128,
    "PackageType": "Zip",
    "Architectures": ["x86_64"],
    "EphemeralStorage": {"Size": 512},
    "Environment": {"Variables": {}},
    "TracingConfig": {"Mode": "PassThrough"},
    "SnapStart": {"ApplyOn": "None"},
    "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []},
    "DeadLetterConfig": {},
}
_TAKEN = frozenset(
    {
        *_DEFAULTS,
        *("Role", "Runtime", "Handler", "ImageConfig", "LoggingConfig", "KMSKeyArn", "Layers", "FileSystemConfigs"),
    }
)
_RUNTIMES = frozenset({"python3.12", "python3.13", "python3.14"})
_RANGES = {"Timeout": (1, 900), "MemorySize": (128, 10_240)}
_STORAGE = (512, 10_240)
_MOST_VARIABLES = 4096
_RESERVED = re.compile(
    r"^(_HANDLER|_X_AMZN_TRACE_ID|AWS_(DEFAULT_)?REGION|AWS_EXECUTION_ENV|AWS_LAMBDA_FUNCTION_(NAME|MEMORY_SIZE|VERSION)"
    r"|AWS_LAMBDA_INITIALIZATION_TYPE|AWS_LAMBDA_LOG_(GROUP|STREAM)_NAME|AWS_ACCESS_KEY(_ID)?|AWS_SECRET_ACCESS_KEY"
    r"|AWS_SESSION_TOKEN|AWS_LAMBDA_RUNTIME_API|LAMBDA_TASK_ROOT|LAMBDA_RUNTIME_DIR)$"
)
"""Lambda developer guide, "Defined runtime environment variables"."""


def created(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a new function, defaults filled in.

    Raises:
        RefusedError: Lambda does not take them.
    """
    wanted = {key: value for key, value in asked.items() if key in _TAKEN}
    made = _filled({**copy.deepcopy(dict(_DEFAULTS)), **copy.deepcopy(wanted)}, asked["FunctionName"])
    is_image = made["PackageType"] == "Image"
    # API reference, CreateFunction: both are required of a zip, and an image has neither.
    for name in ("Runtime", "Handler"):
        if is_image == (name in made):
            raise invalid(
                f"{name} is not supported for functions created with container images."
                if is_image
                else f"{name} and Handler are mandatory parameters for functions created with deployment packages."
            )
    _check(made)
    return made


def changed(settings: Mapping[str, Any], asked: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The settings after UpdateFunctionConfiguration: what is not named stays.

    Raises:
        RefusedError: Lambda does not take them.
    """
    wanted = {key: value for key, value in asked.items() if key in _TAKEN - {"PackageType", "Architectures"}}
    made = _filled({**copy.deepcopy(dict(settings)), **copy.deepcopy(wanted)}, name)
    _check(made)
    return made


def _filled(made: dict[str, Any], name: str) -> dict[str, Any]:
    logging = {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}", **made.get("LoggingConfig", {})}
    if logging["LogFormat"] == "JSON":
        logging = {"ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO", **logging}
    elif {"ApplicationLogLevel", "SystemLogLevel"} & logging.keys():
        # Lambda developer guide, "Configuring advanced logging controls": levels are for JSON alone.
        raise invalid("ApplicationLogLevel and SystemLogLevel are only supported with the JSON log format.")
    network = {"SubnetIds": [], "SecurityGroupIds": [], **made["VpcConfig"]}
    return {
        **made,
        "LoggingConfig": logging,
        "VpcConfig": network,
        "Environment": {"Variables": dict(made["Environment"].get("Variables", {}))},
    }


def _check(made: Mapping[str, Any]) -> None:
    for name, (least, most) in _RANGES.items():
        _within(name[0].lower() + name[1:], made[name], least, most)
    _within("ephemeralStorage.size", made["EphemeralStorage"]["Size"], *_STORAGE)
    if made.get("Runtime", "python3.13") not in _RUNTIMES:
        raise unlike(f"Value '{made['Runtime']}' at 'runtime' failed to satisfy constraint: Member must satisfy enum")
    variables = made["Environment"]["Variables"]
    if reserved := sorted(name for name in variables if _RESERVED.match(name)):
        raise invalid(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided contains reserved keys that are currently not supported for modification. Reserved keys used in "
            f"this request: {', '.join(reserved)}"
        )
    if sum(len(name.encode()) + len(value.encode()) for name, value in variables.items()) > _MOST_VARIABLES:
        raise invalid(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided exceeded the 4KB limit."
        )
    if made["SnapStart"]["ApplyOn"] == "PublishedVersions" and (
        made["EphemeralStorage"]["Size"] > _STORAGE[0] or made["PackageType"] == "Image"
    ):
        # Lambda developer guide, "SnapStart: supported features and limitations".
        raise invalid("SnapStart does not support container images or ephemeral storage greater than 512 MB.")


def _within(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        bound = f"less than or equal to {most}" if value > most else f"greater than or equal to {least}"
        raise unlike(f"Value '{value}' at '{name}' failed to satisfy constraint: Member must have value {bound}")
