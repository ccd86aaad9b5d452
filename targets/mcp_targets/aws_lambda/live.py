"""What clients are led by: the alias, its URL, who may call it, and how many environments there may be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from mcp_packager.errors import Problem, WorldError
from mcp_packager.target import Observed, Resource, Value
from mcp_targets._aws.errors import code_of, speaking
from mcp_targets._aws.session import Aws
from mcp_targets.aws_lambda.canary import Canary
from mcp_targets.aws_lambda.doors import LIVE, PERMISSION, URL
from mcp_targets.aws_lambda.functions import GONE, OUTDATED, Functions, Look, changed_meanwhile
from mcp_targets.aws_lambda.parameters import Parameters
from mcp_targets.aws_lambda.reading import (
    STATEMENT,
    fields_of,
    observed_permission,
    places_of,
    settings_of,
    version_name,
)
from mcp_targets.aws_lambda.render import ALIAS, PROVISIONED, READS, RESERVED
from mcp_targets.aws_lambda.waiting import UPDATE_SECONDS, Waiting

_NO_CONFIG: Final = "ProvisionedConcurrencyConfigNotFoundException"
_THERE: Final = "ResourceConflictException"


class Live:
    """One deployment's alias, and what hangs on it."""

    def __init__(
        self, aws: Aws, functions: Functions, parameters: Parameters, waiting: Waiting, canary: Canary | None
    ) -> None:
        self._aws = aws
        self._functions = functions
        self._parameters = parameters
        self._waiting = waiting
        self._canary = canary
        self._name = functions.name
        self._ahead = False

    def observe(self, look: Look, account: str) -> list[Observed]:
        """All of it that is there."""
        found: list[Observed] = []
        if look.reserved is not None:
            fields = {"FunctionName": self._name, "ReservedConcurrentExecutions": look.reserved}
            found.append(Observed(RESERVED, self._name, fields))
        if look.alias is None:
            return found
        found.append(Observed(ALIAS, LIVE, self._alias_fields(look, look.alias)))
        url = self._url()
        if url is not None:
            found.append(Observed(URL, LIVE, url))
        for statement in self._policy():
            permission = observed_permission(statement, self._name, account)
            if permission is not None:
                found.append(permission)
        provisioned = self._provisioned()
        self._ahead = provisioned is not None
        if provisioned is not None:
            number = provisioned["RequestedProvisionedConcurrentExecutions"]
            fields = {"FunctionName": self._name, "Qualifier": LIVE, "ProvisionedConcurrentExecutions": number}
            found.append(Observed(PROVISIONED, LIVE, fields))
        return found

    def apply(self, resource: Resource, observed: Observed | None, account: str) -> Mapping[str, Value]:
        """Make one of them, or set it right."""
        match resource.kind:
            case "alias":
                return self._lead(resource, observed)
            case "url":
                return self._open(resource)
            case "permission":
                return self._permit(resource, account)
            case "reserved-concurrency":
                return self._reserve(resource)
            case _:
                return self._provision(resource)

    def remove(self, kind: str, name: str) -> None:
        """Remove one of them; what is gone is fine."""
        from botocore.exceptions import ClientError

        client, on = self._client, {"FunctionName": self._name}
        calls = {
            ALIAS: lambda: client.delete_alias(**on, Name=LIVE),
            URL: lambda: client.delete_function_url_config(**on, Qualifier=LIVE),
            PERMISSION: lambda: client.remove_permission(**on, Qualifier=LIVE, StatementId=f"{STATEMENT}{name}"),
            RESERVED: lambda: client.delete_function_concurrency(**on),
            PROVISIONED: lambda: client.delete_provisioned_concurrency_config(**on, Qualifier=LIVE),
        }
        with speaking(f"remove the {kind} of {self._name}"):
            try:
                self._waiting.taken(calls[kind], UPDATE_SECONDS)
            except ClientError as error:
                if code_of(error) not in {GONE, _NO_CONFIG}:
                    raise

    def _alias_fields(self, look: Look, alias: Mapping[str, Any]) -> dict[str, Value]:
        number = str(alias["FunctionVersion"])
        weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        shares = ", ".join(f"{share:.0%} to {other}" for other, share in sorted(weights.items()))
        version = look.version(number)
        return {
            "FunctionName": self._name,
            "FunctionVersion": f"{number} ({shares})" if shares else number,
            READS: self._reads(version),
        }

    def _reads(self, version: Mapping[str, Any] | None) -> dict[str, Value]:
        if version is None:
            return {}
        root = self._parameters.root
        found = places_of(fields_of(version)["config"], root)
        return {
            name.removeprefix("secrets/"): f"{root}/{name}:{number}"
            for name, number in found.items()
            if name.startswith("secrets/")
        }

    def _lead(self, resource: Resource, observed: Observed | None) -> Mapping[str, Value]:
        """Move clients to a version: at once, or by steps where it is new."""
        look = self._functions.look()
        if look is None:
            raise WorldError(Problem(f"the function {self._name} is gone", "run the same command again"))
        number = self._chosen(look, str(resource.fields["FunctionVersion"]), resource.fields.get(READS) or {})
        fields = {**resource.fields, "FunctionVersion": number}
        if look.alias is None:
            self._first(number)
            return fields
        there = self._alias_fields(look, look.alias)["FunctionVersion"]
        if there == number:
            return fields
        if observed is not None and there != observed.fields["FunctionVersion"]:
            raise changed_meanwhile(f"the alias {LIVE} of {self._name}", None)
        before = str(look.alias["FunctionVersion"])
        alias = look.alias
        is_new = there == before and int(before) < int(number)
        if self._canary is not None and is_new and _can_share(look.version(before), look.version(number)):
            alias = self._canary.walk(alias, number, self._move)
        self._move(alias, number, {})
        if self._ahead:
            self._started_ahead()
        return fields

    def _chosen(self, look: Look, number: str, reads: Mapping[str, Value]) -> str:
        """The version of that number, or the one of its name that reads those versions of the secrets."""
        wanted = {name: place for name, place in reads.items() if place is not None}
        version = look.version(number)
        if version is None or self._reads(version) == wanted:
            return number
        alike = [one for one in look.named(version_name(version) or "") if self._reads(one) == wanted]
        return str(alike[-1]["Version"]) if alike else number

    def _first(self, number: str) -> None:
        from botocore.exceptions import ClientError

        with speaking(f"make the alias {LIVE} of {self._name}"):
            try:
                self._waiting.taken(
                    lambda: self._client.create_alias(FunctionName=self._name, Name=LIVE, FunctionVersion=number)
                )
            except ClientError as error:
                there = self._functions.alias()
                if code_of(error) != _THERE or there is None:
                    raise
                if there["FunctionVersion"] != number:
                    raise changed_meanwhile(f"the alias {LIVE} of {self._name}", None) from error

    def _move(self, alias: Mapping[str, Any], number: str, weights: Mapping[str, float]) -> Mapping[str, Any]:
        """One call: all of the traffic to a version, but for the shares of others. The alias as it is then."""
        from botocore.exceptions import ClientError

        routing = {"AdditionalVersionWeights": dict(weights)}
        with speaking(f"move the alias {LIVE} of {self._name}"):
            try:
                there: Mapping[str, Any] | None = self._waiting.taken(
                    lambda: self._client.update_alias(
                        FunctionName=self._name,
                        Name=LIVE,
                        FunctionVersion=number,
                        RoutingConfig=routing,
                        RevisionId=alias["RevisionId"],
                    )
                )
            except ClientError as error:
                if code_of(error) != OUTDATED:
                    raise
                there = self._functions.alias()
                found = ((there or {}).get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
                # An answer that was lost: what we sent is what is there.
                if there is None or there["FunctionVersion"] != number or found != dict(weights):
                    raise changed_meanwhile(f"the alias {LIVE} of {self._name}", None) from error
            return there or alias

    def _url(self) -> dict[str, Value] | None:
        from botocore.exceptions import ClientError

        with speaking(f"read the URL of {self._name}"):
            try:
                found = self._client.get_function_url_config(FunctionName=self._name, Qualifier=LIVE)
            except ClientError as error:
                if code_of(error) == GONE:
                    return None
                raise
        return self._url_fields(found)

    def _url_fields(self, found: Mapping[str, Any]) -> dict[str, Value]:
        return {
            "FunctionName": self._name,
            "Qualifier": LIVE,
            "AuthType": found["AuthType"],
            "InvokeMode": found.get("InvokeMode", "BUFFERED"),
            "url": found["FunctionUrl"],
        }

    def _open(self, resource: Resource) -> Mapping[str, Value]:
        from botocore.exceptions import ClientError

        wanted = {name: resource.fields[name] for name in ("AuthType", "InvokeMode")}
        on = {"FunctionName": self._name, "Qualifier": LIVE}
        there = self._url()
        if there is not None and all(there[name] == value for name, value in wanted.items()):
            return there
        call = self._client.create_function_url_config if there is None else self._client.update_function_url_config
        with speaking(f"open the URL of {self._name}"):
            try:
                return self._url_fields(self._waiting.taken(lambda: call(**on, **wanted)))
            except ClientError as error:
                now = self._url()
                # An answer that was lost: what we asked for is what is there.
                if code_of(error) != _THERE or now is None or any(now[name] != wanted[name] for name in wanted):
                    raise
                return now

    def _policy(self) -> list[Mapping[str, Any]]:
        from botocore.exceptions import ClientError

        with speaking(f"read who may call {self._name}"):
            try:
                answer = self._client.get_policy(FunctionName=self._name, Qualifier=LIVE)
            except ClientError as error:
                if code_of(error) == GONE:
                    return []
                raise
        found: list[Mapping[str, Any]] = json.loads(answer["Policy"])["Statement"]
        return found

    def _permit(self, resource: Resource, account: str) -> Mapping[str, Value]:
        from botocore.exceptions import ClientError

        there = self._permission(resource.name, account)
        if there == dict(resource.fields):
            return resource.fields
        if there is not None:
            self.remove(PERMISSION, resource.name)
        sid = f"{STATEMENT}{resource.name}"
        with speaking(f"say who may call {self._name}"):
            try:
                self._waiting.taken(lambda: self._client.add_permission(StatementId=sid, **resource.fields))
            except ClientError as error:
                # An answer that was lost: what we said is what is there.
                if code_of(error) != _THERE or self._permission(resource.name, account) != dict(resource.fields):
                    raise
        return resource.fields

    def _permission(self, name: str, account: str) -> dict[str, Value] | None:
        """A statement of ours, as it was asked for."""
        for statement in self._policy():
            found = observed_permission(statement, self._name, account)
            if found is not None and found.name == name:
                return dict(found.fields)
        return None

    def _reserve(self, resource: Resource) -> Mapping[str, Value]:
        with speaking(f"reserve environments for {self._name}"):
            self._waiting.taken(lambda: self._client.put_function_concurrency(**resource.fields))
        return resource.fields

    def _provisioned(self) -> Mapping[str, Any] | None:
        from botocore.exceptions import ClientError

        with speaking(f"read which environments of {self._name} are started ahead"):
            try:
                found: Mapping[str, Any] = self._client.get_provisioned_concurrency_config(
                    FunctionName=self._name, Qualifier=LIVE
                )
            except ClientError as error:
                if code_of(error) in {GONE, _NO_CONFIG}:
                    return None
                raise
            return found

    def _provision(self, resource: Resource) -> Mapping[str, Value]:
        with speaking(f"start environments of {self._name} ahead"):
            self._waiting.taken(lambda: self._client.put_provisioned_concurrency_config(**resource.fields))
        self._started_ahead()
        return resource.fields

    def _started_ahead(self) -> None:
        """Wait for the environments that are started ahead: also after a move, which has them started anew."""

        def look() -> Mapping[str, Any] | None:
            found = self._provisioned()
            if found is None:
                return {"Status": "GONE"}  # taken away by hand meanwhile, which is drift and no reason to wait
            return None if found["Status"] == "IN_PROGRESS" else found

        found = self._waiting.until(look, UPDATE_SECONDS, f"what is started ahead of {self._name}")
        if found["Status"] == "FAILED":
            raise WorldError(
                Problem(
                    f"AWS could not start environments of {self._name} ahead",
                    "ask for fewer: provisioned under [target.lambda.concurrency], or raise the account's quota",
                    found=str(found.get("StatusReason", "")),
                )
            )

    @property
    def _client(self) -> Any:
        return self._aws.client("lambda")


def _can_share(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Whether an alias may lead to both (Lambda developer guide, "Implement Lambda canary deployments")."""
    if one is None or other is None:
        return False
    mine, theirs = (settings_of(each) for each in (one, other))
    return all(mine[name] == theirs[name] for name in ("Role", "DeadLetterConfig"))
