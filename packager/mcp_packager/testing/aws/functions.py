"""Functions and their versions. Lambda API reference, of each action; Lambda developer guide, where a rule says so."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcp_packager.testing.aws import others, settings
from mcp_packager.testing.aws.account import ACCOUNT, ARN, PRESIGNED, REGION, Account, Answer, Asked, named, page
from mcp_packager.testing.aws.refusals import RefusedError, conflict, invalid, missing, outdated
from mcp_packager.testing.aws.running import unpacked
from mcp_packager.testing.aws.state import LATEST, Code, Function, Version, now, revision

MOST_SENT = 70_167_211
"""Bytes of a request with code in it: 50 MB in base64, and some."""
MOST_UNZIPPED = 262_144_000
_SNAPSHOT = 3
_INTERFACES = ("CreateNetworkInterface", "DescribeNetworkInterfaces", "DeleteNetworkInterface")


def create(account: Account, asked: Asked) -> Answer:
    """CreateFunction."""
    name = named(asked)
    if name in account.functions:
        raise conflict(f"Function already exist: {name}")
    made = settings.created(asked)
    _assumable(account, made["Role"])
    _able(made)
    code = _code(account, asked["Code"], made["PackageType"])
    latest = Version(LATEST, code, made, _settling(account, made))
    function = Function(name, ARN + name, latest, tags=dict(asked.get("Tags") or {}))
    account.functions[name] = function
    if asked.get("Publish"):
        return _published(account, function)
    return function.configuration(function.latest)


def get(account: Account, asked: Asked) -> Answer:
    """GetFunction."""
    function = account.function(asked)
    version = function.version(asked.get("Qualifier", ""))
    # A signed address in S3, good for ten minutes (API reference, FunctionCodeLocation).
    where = {"RepositoryType": "S3", "Location": f"{account.address}{PRESIGNED}{Path(version.code.folder).name}.zip"}
    if version.code.image:
        where = {"RepositoryType": "ECR", "ImageUri": version.code.image, "ResolvedImageUri": version.code.image}
    return {
        "Configuration": configuration(account, asked),
        "Code": where,
        "Tags": dict(function.tags),
        **({} if function.reserved is None else {"Concurrency": {"ReservedConcurrentExecutions": function.reserved}}),
    }


def configuration(account: Account, asked: Asked) -> Answer:
    """GetFunctionConfiguration. Each look brings what is being made closer to its end."""
    function, qualifier = account.function(asked), asked.get("Qualifier", "")
    version = function.version(qualifier)
    said = function.configuration(version, qualifier)
    version.looked()
    return said


def listed(account: Account, asked: Asked) -> Answer:
    """ListFunctions. State and LastUpdateStatus are not in it (API reference, ListFunctions)."""
    hidden = {"State", "StateReason", "StateReasonCode", "LastUpdateStatus"}
    found = [one.configuration(one.latest) for _, one in sorted(account.functions.items())]
    return page(asked, [{key: value for key, value in one.items() if key not in hidden} for one in found], "Functions")


def update_code(account: Account, asked: Asked) -> Answer:
    """UpdateFunctionCode."""
    function = account.function(asked)
    _unchanged(function, asked)
    function.settled()
    latest = function.latest
    code = _code(account, asked, latest.settings["PackageType"])
    wanted = asked.get("Architectures") or latest.settings["Architectures"]
    if asked.get("DryRun"):
        return {**function.configuration(latest), "CodeSha256": code.sha256, "CodeSize": code.size}
    function.latest = _anew(account, code, {**latest.settings, "Architectures": wanted})
    if asked.get("Publish"):
        function.latest.settling = 0
        return _published(account, function)
    return function.configuration(function.latest)


def update_configuration(account: Account, asked: Asked) -> Answer:
    """UpdateFunctionConfiguration."""
    function = account.function(asked)
    _unchanged(function, asked)
    function.settled()
    made = settings.changed(function.latest.settings, asked, function.name)
    _assumable(account, made["Role"])
    _able(made)
    function.latest = _anew(account, function.latest.code, made)
    return function.configuration(function.latest)


def publish(account: Account, asked: Asked) -> Answer:
    """PublishVersion."""
    function = account.function(asked)
    _unchanged(function, asked)
    function.settled()
    if asked.get("CodeSha256") not in {None, function.latest.code.sha256}:
        # API reference, PublishVersion: "Only publish a version if the hash value matches the value that's specified".
        raise invalid(
            f"CodeSHA256 ({asked['CodeSha256']}) is different from current CodeSHA256 in $LATEST "
            f"({function.latest.code.sha256}). Please try again with the CodeSHA256 in $LATEST."
        )
    return _published(account, function, asked.get("Description", ""))


def versions(account: Account, asked: Asked) -> Answer:
    """ListVersionsByFunction."""
    function = account.function(asked)
    there = [function.latest, *(one for _, one in sorted(function.versions.items(), key=lambda item: int(item[0])))]
    return page(asked, [function.configuration(one, one.number) for one in there], "Versions")


def delete(account: Account, asked: Asked) -> Answer:
    """DeleteFunction, of a function or of one of its versions."""
    function = account.function(asked)
    match asked.get("Qualifier", ""):
        case "":
            for url in function.urls.values():
                account.closed(url)
            del account.functions[function.name]
        case "$LATEST":
            raise invalid("$LATEST version cannot be deleted without deleting the function.")
        case number if not re.fullmatch(r"[0-9]+", number):
            raise invalid("Deletion of aliases is not currently supported.")
        case number:
            # Lambda developer guide, "Manage Lambda function versions": a version that an alias names stays.
            using = [one.name for one in function.aliases.values() if number in {one.number, *one.weights}]
            if using:
                raise conflict(
                    f"Unable to delete version {number} because the following aliases reference it: "
                    f"[{', '.join(sorted(using))}]"
                )
            if number not in function.versions:
                raise missing(f"Function not found: {function.named(number)}")
            del function.versions[number]
            function.policies.pop(number, None)
    return {"StatusCode": 204}


def _published(account: Account, function: Function, description: str = "") -> Answer:
    # Lambda developer guide, "Manage Lambda function versions": nothing is published where nothing has changed since
    # the last version; API reference, PublishVersion: that one is answered.
    latest = function.latest
    last = max(function.versions.values(), key=lambda one: int(one.number), default=None)
    if last is None or not last.same(latest):
        # The same guide: numbers are never used again, not even of a function that was deleted and made anew.
        account.numbers[function.name] += 1
        last = latest.published(str(account.numbers[function.name]), _settling(account, latest.settings))
        if latest.settings["SnapStart"]["ApplyOn"] == "PublishedVersions":
            # Lambda developer guide, "Activating and managing Lambda SnapStart": a version is Pending while its
            # snapshot is made, which is longer than any other, and Failed where its code does not start.
            last.settling += _SNAPSHOT if account.slow else 0
            last.failure = account.broken_snapshots
        if description:
            last.settings["Description"] = description
        function.versions[last.number] = last
    return function.configuration(last)


def _settling(account: Account, made: Mapping[str, Any]) -> int:
    """Looks that find it unready: more in a network (Lambda developer guide, "Lambda function states")."""
    return account.slow * 2 if made["VpcConfig"]["SubnetIds"] else account.slow


def _able(made: Mapping[str, Any]) -> None:
    """Hold that the role may do what Lambda does in its name.

    Lambda developer guide, "Giving Lambda functions access to resources in an Amazon VPC" and "Adding a dead-letter
    queue": what the role has to be allowed; in Lambda's words.
    """
    needed: list[tuple[str, str]] = []
    if made["VpcConfig"]["SubnetIds"]:
        needed += [("ec2", one) for one in _INTERFACES]
    match made["DeadLetterConfig"].get("TargetArn", "").split(":"):
        case [_, _, "sqs", *_]:
            needed.append(("sqs", "SendMessage"))
        case [_, _, "sns", *_]:
            needed.append(("sns", "Publish"))
    for service, action in needed:
        if not others.permitted(made["Role"], f"{service}:{action}"):
            raise invalid(
                f"The provided execution role does not have permissions to call {action} on {service.upper()}"
            )


def _anew(account: Account, code: Code, made: Mapping[str, Any]) -> Version:
    return Version(LATEST, code, dict(made), _settling(account, made), fresh=False, changed=now(), revision=revision())


def _unchanged(function: Function, asked: Asked) -> None:
    if asked.get("RevisionId") not in {None, "", function.latest.revision}:
        raise outdated()


def _assumable(account: Account, role: str) -> None:
    # IAM user guide, "Changes that I make are not always immediately visible": a new role is not known everywhere yet.
    if account.trusted(role):
        account.refused_roles[role] += 1
        if account.refused_roles[role] > account.shy:
            return
    raise invalid("The role defined for the function cannot be assumed by Lambda.")


def _code(account: Account, asked: Asked, kind: str) -> Code:
    if kind == "Image":
        image = str(asked.get("ImageUri") or "")
        # Lambda developer guide, "Create a Lambda function using a container image": ECR, and in the same region.
        if not image.startswith(f"{account.registry}/"):
            raise invalid(f"Source image {image} is not valid. Provide a valid source image.")
        digest = image.rpartition("@sha256:")[2]
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            digest = hashlib.sha256(image.encode()).hexdigest()
        return Code(digest, 0, image=image)
    body = asked.get("ZipFile") or _object(asked)
    data = base64.b64decode(body) if isinstance(body, str) else body
    if asked.get("ZipFile") and len(body) > MOST_SENT:
        raise RefusedError(413, "RequestEntityTooLargeException", f"Request must be smaller than {MOST_SENT} bytes")
    hashed = hashlib.sha256(data)
    folder = Path(account.folder) / hashed.hexdigest()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except zipfile.BadZipFile:
        raise invalid("Could not unzip uploaded file. Please check your file, then try to upload again.") from None
    if size > MOST_UNZIPPED:
        raise invalid(f"Unzipped size must be smaller than {MOST_UNZIPPED} bytes")
    if not folder.exists():
        packed = folder.with_suffix(".zip")
        packed.write_bytes(data)
        unpacked(packed, folder)
    return Code(base64.b64encode(hashed.digest()).decode(), len(data), str(folder))


def _object(asked: Asked) -> bytes:
    """The zip that lies in S3."""
    from moto.s3.models import s3_backends

    bucket, key = asked.get("S3Bucket"), asked.get("S3Key")
    if not bucket or not key:
        raise invalid("Please provide a source for function code.")
    backend = s3_backends[ACCOUNT]["aws"]
    there = backend.buckets.get(bucket)
    if there is not None and there.region_name != REGION:
        # API reference, FunctionCode, ``S3Bucket``: in the same region as the function; in Lambda's words.
        raise invalid(
            "Error occurred while GetObject. S3 Error Code: PermanentRedirect. S3 Error Message: The bucket is in this "
            f"region: {there.region_name}. Please use this region to retry the request"
        )
    found = None if there is None else backend.get_object(bucket, key)
    if found is None:
        raise invalid("Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: no such key")
    data: bytes = found.value
    return data
