"""What AWS says of a function, as the fields that are wanted of it. Pure.

AWS leaves out what is empty, adds what it found out itself, and has the config inside the variables; here each of the
three is undone, so that what was sent is what is read.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from typing import Any, Final

from mcp_packager.target import Observed, Value, owned
from mcp_packager.target.values import holds_unknown
from mcp_targets.aws_lambda.doors import LIVE, PERMISSION
from mcp_targets.aws_lambda.render import VERSION
from mcp_targets.aws_lambda.settings import CONFIG, present

MARK: Final = "mcp-pack "
"""Begins the description of a version of ours; its name follows."""

STATEMENT: Final = "mcp-pack-"
"""Begins the id of each statement of ours."""

_EMPTY: Final[Mapping[str, Mapping[str, Value]]] = {
    "EphemeralStorage": {"Size": 512},
    "LoggingConfig": {"LogFormat": "Text", "LogGroup": "", "SystemLogLevel": None},
    "SnapStart": {"ApplyOn": "None"},
    "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []},
    "DeadLetterConfig": {"TargetArn": ""},
    "TracingConfig": {"Mode": "PassThrough"},
    "ImageConfig": {"EntryPoint": [], "Command": [], "WorkingDirectory": ""},
}
"""What a setting is where AWS says nothing of it, and the parts of each that are ours."""

_PLAIN: Final = ("Role", "Runtime", "Handler", "Description", "MemorySize", "Timeout")


def settings_of(said: Mapping[str, Any]) -> dict[str, Value]:
    """The settings in a function's configuration, in one spelling."""
    found: dict[str, Value] = {name: said.get(name) for name in _PLAIN}
    image = (said.get("ImageConfigResponse") or {}).get("ImageConfig")
    for name, empty in _EMPTY.items():
        there = (image if name == "ImageConfig" else said.get(name)) or {}
        found[name] = {part: there.get(part, value) for part, value in empty.items()}
    found["VpcConfig"] = {part: sorted(listed) for part, listed in found["VpcConfig"].items()}
    return found


def code_of(said: Mapping[str, Any]) -> dict[str, Value]:
    """What a version runs. AWS tells a zip's hash in base64, and of an image its digest as digests are written."""
    text = str(said.get("CodeSha256", ""))
    if said.get("PackageType") != "Image":
        try:
            text = base64.b64decode(text, validate=True).hex()
        except (binascii.Error, ValueError):
            text = ""
    return {"sha256": text, "size": said.get("CodeSize")}


def fields_of(said: Mapping[str, Any]) -> dict[str, Value]:
    """A configuration as the fields of a function."""
    variables = dict((said.get("Environment") or {}).get("Variables") or {})
    config = variables.pop(CONFIG, None)
    return {
        "settings": settings_of(said),
        "Architectures": said.get("Architectures") or ["x86_64"],
        "PackageType": said.get("PackageType", "Zip"),
        "variables": variables,
        "config": None if config is None else _unpacked(config),
        "code": code_of(said),
    }


def _unpacked(text: str) -> Value:
    try:
        return json.loads(text if text.startswith("{") else zlib.decompress(base64.b64decode(text)))
    except (ValueError, binascii.Error, zlib.error):
        return {"unreadable": True}


def as_wanted(observed: Mapping[str, Value], desired: Mapping[str, Value]) -> Mapping[str, Value]:
    """A function's fields as far as they are ours, spelled as desired where that comes to the same."""
    found = dict(owned(observed, desired))
    for name, one in found.items():
        found[name] = _like(name, one, desired[name])
    return found


def same(observed: Mapping[str, Value], desired: Mapping[str, Value]) -> bool:
    """Whether what is observed is what is desired, in all that is desired."""
    return dict(as_wanted(observed, desired)) == dict(desired)


def _like(name: str, have: Value, wanted: Value) -> Value:
    match name:
        case "settings" if isinstance(have, Mapping):
            # A version's description is its name, in the place of the function's.
            shown = {**have, "Description": wanted.get("Description")} if _is_named(have) else have
            return {each: shown.get(each) for each in wanted}
        case "code":
            return _code_like(have, wanted)
        case "config":
            return _config_like(have, wanted)
        case "made_of" if isinstance(have, Mapping):
            return {each: _like(each, have.get(each), wanted[each]) for each in wanted}
        case _:
            return have


def _is_named(settings: Mapping[str, Value]) -> bool:
    return str(settings.get("Description") or "").startswith(MARK)


def _code_like(have: Value, wanted: Value) -> Value:
    return wanted if isinstance(have, Mapping) and have.get("sha256") == wanted["sha256"] else have


def _config_like(have: Value, wanted: Value) -> Value:
    """Places of secrets that have no value are not sent."""
    if holds_unknown(wanted):
        return have
    return wanted if have == json.loads(json.dumps(present(wanted))) else have


def version_name(said: Mapping[str, Any]) -> str | None:
    """The name of a version of ours."""
    text = str(said.get("Description") or "")
    return text.removeprefix(MARK) if text.startswith(MARK) else None


def made_of(said: Mapping[str, Any]) -> dict[str, Value]:
    """What tells two versions of one name apart."""
    found = fields_of(said)
    return {"code": found["code"], "config": found["config"]}


def observed_version(name: str, function: str, said: Mapping[str, Any]) -> Observed:
    """One version."""
    fields = {"FunctionName": function, "made_of": made_of(said), "number": said["Version"]}
    return Observed(VERSION, name, {**fields, "state": said.get("State") or "Active"})


def places_of(config: Value, root: str) -> dict[str, Value]:
    """Which version of each of the deployment's own parameters a config reads: names to numbers."""
    found: dict[str, Value] = {}

    def look(value: Value) -> None:
        match value:
            case {"aws-ssm": str(place)} if place.startswith(f"{root}/"):
                name, _, number = place.removeprefix(f"{root}/").rpartition(":")
                found[name] = number
            case Mapping():
                for each in value.values():
                    look(each)
            case list() | tuple():
                for each in value:
                    look(each)
            case _:
                pass

    look(config)
    return found


def observed_permission(statement: Mapping[str, Any], function: str, account: str) -> Observed | None:
    """A statement of an alias's policy, as AddPermission was asked for it; ``None`` for one that is not ours."""
    sid = str(statement.get("Sid", ""))
    if not sid.startswith(STATEMENT):
        return None
    conditions = {key: value for each in (statement.get("Condition") or {}).values() for key, value in each.items()}
    fields: dict[str, Value] = {
        "FunctionName": function,
        "Qualifier": LIVE,
        "Principal": _principal(statement.get("Principal"), account),
        "Action": statement.get("Action"),
    }
    if (auth := conditions.get("lambda:FunctionUrlAuthType")) is not None:
        fields["FunctionUrlAuthType"] = auth
    if (by_url := conditions.get("lambda:InvokedViaFunctionUrl")) is not None:
        fields["InvokedViaFunctionUrl"] = str(by_url).lower() == "true"
    if (source := conditions.get("AWS:SourceArn", conditions.get("aws:SourceArn"))) is not None:
        fields["SourceArn"] = source
    return Observed(PERMISSION, sid.removeprefix(STATEMENT), fields)


def _principal(said: Any, account: str) -> Value:
    """An account is spelled as its root where it was asked for by its number, a service by its name."""
    if isinstance(said, Mapping) and "Service" in said:
        return said["Service"]
    who = said.get("AWS") if isinstance(said, Mapping) else said
    return account if isinstance(who, str) and who.endswith(f":iam::{account}:root") else who
