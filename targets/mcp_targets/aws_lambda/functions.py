"""The function and its versions: code and settings go to ``$LATEST``, which no client reaches, and are published.

A version cannot be changed and has no tags: its description names it. What a version of ours runs already is not sent
again, so going back to one sends nothing.
"""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mcp_packager.errors import Problem, WorldError
from mcp_packager.target import Identity, Observed, Resource, TransientError, Value
from mcp_targets._aws.errors import code_of, speaking
from mcp_targets._aws.names import is_ours, strange, tags
from mcp_targets._aws.session import Aws
from mcp_targets.aws_lambda.code import Code
from mcp_targets.aws_lambda.doors import LIVE
from mcp_targets.aws_lambda.place import function_name
from mcp_targets.aws_lambda.reading import MARK, fields_of, made_of, observed_version, same, version_name
from mcp_targets.aws_lambda.reading import code_of as hash_of
from mcp_targets.aws_lambda.render import FUNCTION
from mcp_targets.aws_lambda.settings import packed
from mcp_targets.aws_lambda.waiting import UPDATE_SECONDS, VERSION_SECONDS, Waiting

GONE: Final = "ResourceNotFoundException"
OUTDATED: Final = "PreconditionFailedException"
_ZIP_SECONDS: Final = 120
_THERE: Final = "ResourceConflictException"


@dataclass(frozen=True, slots=True)
class Look:
    """A function of ours as AWS has it: ``$LATEST``, what was published, and where the alias leads, by AWS's words."""

    latest: Mapping[str, Any]
    versions: Sequence[Mapping[str, Any]]
    alias: Mapping[str, Any] | None
    reserved: int | None

    def version(self, number: str) -> Mapping[str, Any] | None:
        """The version of a number."""
        return next((one for one in self.versions if one["Version"] == number), None)

    def named(self, name: str) -> list[Mapping[str, Any]]:
        """The versions of a name, the oldest first."""
        return [one for one in self.versions if version_name(one) == name]

    @property
    def live(self) -> Mapping[str, Any] | None:
        """The version of ours that clients get."""
        found = None if self.alias is None else self.version(self.alias["FunctionVersion"])
        return found if found is not None and version_name(found) is not None else None

    @property
    def led_to(self) -> frozenset[str]:
        """The numbers of the versions that the alias leads to."""
        if self.alias is None:
            return frozenset()
        weights = (self.alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        return frozenset({self.alias["FunctionVersion"], *weights})


class Functions:
    """The function of one deployment."""

    def __init__(self, aws: Aws, identity: Identity, waiting: Waiting, code: Code) -> None:
        self._aws = aws
        self._identity = identity
        self._waiting = waiting
        self._code = code
        self.name: Final = function_name(identity)
        self.turn: Final = threading.Lock()
        """Held while the function is changed: Lambda takes one change at a time."""

    def look(self) -> Look | None:
        """The function, where there is one of ours."""
        found = self._found()
        return None if found is None or not is_ours(found.get("Tags") or {}, self._identity) else self._seen(found)

    def _seen(self, found: Mapping[str, Any]) -> Look:
        with speaking(f"list the versions of {self.name}"):
            pages = self._client.get_paginator("list_versions_by_function").paginate(FunctionName=self.name)
            versions = [one for page in pages for one in page["Versions"] if one["Version"] != "$LATEST"]
        reserved = (found.get("Concurrency") or {}).get("ReservedConcurrentExecutions")
        versions.sort(key=lambda one: int(one["Version"]))
        return Look(found["Configuration"], versions, self.alias(), reserved)

    def observed(self, look: Look) -> list[Observed]:
        """The function as clients get it, and its versions: of a name, the one that clients get, or the newest."""
        live = look.live
        shown = live or look.latest
        made = [Observed(FUNCTION, self.name, {**fields_of(shown), "arn": look.latest["FunctionArn"]})]
        by_name = {version_name(one): one for one in look.versions}
        if live is not None:
            by_name[version_name(live)] = live
        return made + [observed_version(name, self.name, one) for name, one in by_name.items() if name is not None]

    def function(self, resource: Resource) -> Mapping[str, Value]:
        """Bring ``$LATEST`` to what is wanted, where no version of it is there already."""
        wanted = resource.fields
        look = self._held()
        if look is None:
            self._create(wanted)
        elif not any(same(fields_of(one), wanted) for one in look.versions if version_name(one) is not None):
            self._update(wanted)
        return dict(wanted)

    def version(self, resource: Resource) -> Mapping[str, Value]:
        """The version of what is wanted: one that is there, else published now."""
        wanted = resource.fields["made_of"]
        look = self._held()
        if look is None:
            raise WorldError(Problem(f"the function {self.name} is gone", "run the same command again"))
        there = [one for one in look.named(resource.name) if same({"made_of": made_of(one)}, {"made_of": wanted})]
        number = str(there[-1]["Version"]) if there else self._publish(resource.name, wanted)
        self.await_version(number)
        for one in look.named(resource.name):
            if one["Version"] not in {number, *look.led_to}:
                self._drop(one["Version"])
        return {**resource.fields, "number": number, "state": "Active"}

    def remove(self) -> None:
        """Remove the function, and all that belongs to it."""
        from botocore.exceptions import ClientError

        if self._held() is None:
            return
        with speaking(f"remove the function {self.name}"):
            try:
                self._waiting.taken(lambda: self._client.delete_function(FunctionName=self.name), UPDATE_SECONDS)
            except ClientError as error:
                if code_of(error) != GONE:
                    raise

    def remove_version(self, name: str) -> None:
        """Remove every version of a name."""
        look = self._held()
        for one in look.named(name) if look is not None else ():
            self._drop(one["Version"])

    def alias(self) -> Mapping[str, Any] | None:
        """Where clients are led."""
        from botocore.exceptions import ClientError

        with speaking(f"read the alias {LIVE} of {self.name}"):
            try:
                found: Mapping[str, Any] = self._client.get_alias(FunctionName=self.name, Name=LIVE)
            except ClientError as error:
                if code_of(error) == GONE:
                    return None
                raise
            return found

    def _held(self) -> Look | None:
        """As :meth:`look`, of a function that is to be changed.

        Raises:
            WorldError: one of that name is somebody else's.
        """
        found = self._found()
        if found is None:
            return None
        held = found.get("Tags") or {}
        if not is_ours(held, self._identity):
            raise strange(f"the function {self.name}", held)
        return self._seen(found)

    def _found(self) -> Mapping[str, Any] | None:
        from botocore.exceptions import ClientError

        with speaking(f"read the function {self.name}"):
            try:
                found: Mapping[str, Any] = self._client.get_function(FunctionName=self.name)
            except ClientError as error:
                if code_of(error) == GONE:
                    return None
                raise
            return found

    def _create(self, wanted: Mapping[str, Value]) -> None:
        from botocore.exceptions import ClientError

        settings = self._settings(wanted)
        with self._code.sent(wanted["code"], _nowhere) as code, speaking(f"make the function {self.name}"):
            try:
                self._waiting.taken(
                    lambda: self._client.create_function(
                        FunctionName=self.name,
                        PackageType=wanted["PackageType"],
                        Architectures=wanted["Architectures"],
                        Code=code,
                        Tags=tags(self._identity),
                        **settings,
                    )
                )
            except ClientError as error:
                # An answer that was lost: the function is there, and is held to what is wanted.
                if code_of(error) != _THERE or self._held() is None:
                    raise
        self._update(wanted)

    def _update(self, wanted: Mapping[str, Value]) -> None:
        """Send what ``$LATEST`` does not have."""
        there = self._settled()
        if not same(fields_of(there), {"code": wanted["code"], "Architectures": wanted["Architectures"]}):
            with self._code.sent(wanted["code"], self._zip) as code:
                asked = {**code, "Architectures": wanted["Architectures"]}
                self._change("update_function_code", "put the code into", asked, there, {"code": wanted["code"]})
            there = self._settled()
        settings = {name: wanted[name] for name in ("settings", "variables", "config")}
        if not same(fields_of(there), settings):
            asked = self._settings(wanted)
            self._change("update_function_configuration", "set", asked, there, settings)
            self._settled()

    def _zip(self, sha256: str) -> bytes | None:
        """The zip of a version, out of the place that AWS names for ten minutes (API reference, GetFunction)."""
        look = self.look()
        alike = [one for one in look.versions if hash_of(one)["sha256"] == sha256] if look is not None else []
        if not alike:
            return None
        with speaking(f"find the code of {self.name}"):
            said = self._client.get_function(FunctionName=self.name, Qualifier=alike[-1]["Version"])
        try:
            with urllib.request.urlopen(said["Code"]["Location"], timeout=_ZIP_SECONDS) as answer:  # noqa: S310  # AWS names it
                found: bytes = answer.read()
        except OSError as error:
            raise TransientError(
                Problem(f"AWS: the code of {self.name} cannot be read back: {error}", "run the same command again")
            ) from error
        return found

    def _change(
        self,
        operation: str,
        words: str,
        asked: Mapping[str, Any],
        there: Mapping[str, Any],
        wanted: Mapping[str, Value],
    ) -> None:
        """One change of ``$LATEST``, from the revision that was looked at."""
        from botocore.exceptions import ClientError

        calls = {
            "update_function_code": self._client.update_function_code,
            "update_function_configuration": self._client.update_function_configuration,
        }
        with speaking(f"{words} the function {self.name}"):
            try:
                self._waiting.taken(
                    lambda: calls[operation](FunctionName=self.name, RevisionId=there["RevisionId"], **asked)
                )
            except ClientError as error:
                if code_of(error) != OUTDATED:
                    raise
                now = self._settled()
                # An answer that was lost: what we sent is what is there.
                if not same(fields_of(now), wanted):
                    raise changed_meanwhile(f"the function {self.name}", now.get("LastModified")) from error

    def _settings(self, wanted: Mapping[str, Value]) -> dict[str, Any]:
        return {**wanted["settings"], "Environment": {"Variables": packed(wanted["config"], wanted["variables"])}}

    def _settled(self) -> Mapping[str, Any]:
        """``$LATEST``, when no change of it is under way any more.

        Raises:
            WorldError: the change failed, or takes longer than any does.
        """

        def look() -> Mapping[str, Any] | None:
            with speaking(f"read the function {self.name}"):
                there: Mapping[str, Any] = self._client.get_function_configuration(FunctionName=self.name)
            # With a snapshot LastUpdateStatus may be missing for a moment; then the change is under way.
            if there.get("State") == "Pending" or there.get("LastUpdateStatus", "InProgress") == "InProgress":
                return None
            return there

        there = self._waiting.until(look, UPDATE_SECONDS, f"the function {self.name}")
        for state, reason in (("State", "StateReason"), ("LastUpdateStatus", "LastUpdateStatusReason")):
            if there.get(state) == "Failed":
                raise _failed(f"the function {self.name}", there, reason)
        return there

    def _publish(self, name: str, wanted: Mapping[str, Value]) -> str:
        from botocore.exceptions import ClientError

        there = self._settled()
        if not same({"made_of": made_of(there)}, {"made_of": wanted}):
            raise changed_meanwhile(f"the function {self.name}", there.get("LastModified"))
        with speaking(f"publish a version of {self.name}"):
            try:
                published = self._waiting.taken(
                    lambda: self._client.publish_version(
                        FunctionName=self.name,
                        CodeSha256=there["CodeSha256"],
                        RevisionId=there["RevisionId"],
                        Description=f"{MARK}{name}",
                    )
                )
            except ClientError as error:
                if code_of(error) != OUTDATED:
                    raise
                look = self.look()
                made = look.named(name) if look is not None else []
                if not made:
                    raise changed_meanwhile(f"the function {self.name}", there.get("LastModified")) from error
                published = made[-1]
        if version_name(published) != name:
            raise WorldError(
                Problem(
                    f"version {published['Version']} of {self.name} was published by somebody else",
                    f"remove it: aws lambda delete-function --function-name {self.name} "
                    f"--qualifier {published['Version']}; then run the same command again",
                )
            )
        return str(published["Version"])

    def await_version(self, number: str) -> None:
        """Wait until a version may be invoked.

        Raises:
            WorldError: AWS could not make it, or takes too long.
        """

        def look() -> Mapping[str, Any] | None:
            with speaking(f"read version {number} of {self.name}"):
                there: Mapping[str, Any] = self._client.get_function_configuration(
                    FunctionName=self.name, Qualifier=number
                )
            return None if there.get("State") == "Pending" else there

        what = f"version {number} of {self.name}"
        there = self._waiting.until(look, VERSION_SECONDS, what)
        if there.get("State") == "Failed":
            raise _failed(what, there, "StateReason")

    def _drop(self, number: str) -> None:
        from botocore.exceptions import ClientError

        with speaking(f"remove version {number} of {self.name}"):
            try:
                self._waiting.taken(
                    lambda: self._client.delete_function(FunctionName=self.name, Qualifier=number), UPDATE_SECONDS
                )
            except ClientError as error:
                if code_of(error) != GONE:
                    raise

    @property
    def _client(self) -> Any:
        return self._aws.client("lambda")


def _nowhere(_: str) -> None:
    """A function that is not there yet has no version."""


def changed_meanwhile(what: str, when: Any) -> WorldError:
    """The refusal to write over what somebody else wrote a moment ago. AWS tells when; CloudTrail knows who."""
    return WorldError(
        Problem(
            f"{what} was changed by somebody else while it was deployed",
            "look who it was (mcp-pack history, CloudTrail), then run the same command again",
            found=None if when is None else f"last changed {when}",
        )
    )


def _failed(what: str, there: Mapping[str, Any], reason: str) -> WorldError:
    return WorldError(
        Problem(
            f"AWS could not make {what} ready",
            "mend what AWS names",
            found=str(there.get(reason) or there.get(f"{reason}Code") or "no reason"),
        )
    )
