"""An HTTP API of API Gateway in front of the alias: the API, what it invokes, its routes and its stage.

The API has the deployment's tags; all the rest belongs to it. Names of APIs are no one's alone, and CreateApi can be
answered to nobody: what is there twice then is removed again at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mcp_packager.errors import Problem, WorldError
from mcp_packager.target import Identity, Observed, Resource, Value
from mcp_targets._aws.errors import code_of, speaking
from mcp_targets._aws.names import is_ours, tags
from mcp_targets._aws.session import Aws
from mcp_targets.aws_lambda.doors import API, DEFAULT_STAGE, INTEGRATION, LIVE, ROUTE, STAGE

_GONE: Final = "NotFoundException"
_THERE: Final = "ConflictException"
_API: Final = ("Name", "ProtocolType", "Description", "DisableExecuteApiEndpoint")
_INTEGRATION: Final = (
    "ApiId",
    "IntegrationType",
    "IntegrationMethod",
    "IntegrationUri",
    "PayloadFormatVersion",
    "TimeoutInMillis",
)
_ROUTE: Final = ("ApiId", "RouteKey", "AuthorizationType", "Target")
_STAGE: Final = ("ApiId", "StageName", "AutoDeploy")
_FIXED: Final = frozenset({"ProtocolType"})
"""Fields that an update does not take."""

Said = Mapping[str, Any]


class Apis:
    """The HTTP API of one deployment. ``name`` is that of the function, ``account`` whose it is."""

    def __init__(self, aws: Aws, identity: Identity, name: str, account: str) -> None:
        self._aws = aws
        self._identity = identity
        self._name = name
        self._account = account

    def observe(self) -> Iterator[Observed]:
        """The API and what belongs to it; of what there should be one of, each further one under its own id."""
        first = True
        for api in self._ours():
            yield Observed(API, self._name if first else api["ApiId"], self._api_fields(api))
            if first:
                yield from self._parts(api["ApiId"])
            first = False

    def apply(self, resource: Resource) -> Mapping[str, Value]:
        """Make one of them, or set it right."""
        match resource.kind:
            case "http-api":
                return self._api_fields(self._api(resource.fields))
            case "http-integration":
                return self._integration(resource.fields)
            case "http-route":
                return self._route(resource.fields)
            case _:
                return self._stage(resource.fields)

    def remove(self, kind: str, name: str) -> None:
        """Remove one of them; what is gone is fine."""
        from botocore.exceptions import ClientError

        for api in self._ours():
            one = api["ApiId"]
            with speaking(f"remove the {kind} {name} of {self._name}"):
                try:
                    self._gone(kind, name, one)
                except ClientError as error:
                    if code_of(error) != _GONE:
                        raise

    def _gone(self, kind: str, name: str, api: str) -> None:
        client = self._client
        match kind:
            case "http-api":
                if name in {self._name, api}:
                    client.delete_api(ApiId=api)
            case "http-integration":
                for each in self._integrations(api):
                    if name in {LIVE, each["IntegrationId"]}:
                        client.delete_integration(ApiId=api, IntegrationId=each["IntegrationId"])
            case "http-route":
                for each in self._routes(api):
                    if each["RouteKey"] == name:
                        client.delete_route(ApiId=api, RouteId=each["RouteId"])
            case _:
                client.delete_stage(ApiId=api, StageName=name)

    def _ours(self) -> list[Said]:
        with speaking("list the HTTP APIs"):
            pages = self._client.get_paginator("get_apis").paginate()
            found = [one for page in pages for one in page["Items"]]
        ours = [one for one in found if is_ours(one.get("Tags") or {}, self._identity)]
        return sorted(ours, key=lambda one: str(one["ApiId"]))

    def _only(self) -> Said:
        ours = self._ours()
        if not ours:
            raise WorldError(Problem(f"the HTTP API of {self._name} is gone", "run the same command again"))
        return ours[0]

    def _parts(self, api: str) -> Iterator[Observed]:
        for place, one in enumerate(self._integrations(api)):
            yield Observed(INTEGRATION, one["IntegrationId"] if place else LIVE, _integration_fields(api, one))
        for one in self._routes(api):
            yield Observed(ROUTE, one["RouteKey"], _picked(_ROUTE, {**one, "ApiId": api}))
        for one in self._stages(api):
            yield Observed(STAGE, one["StageName"], _picked(_STAGE, {**one, "ApiId": api}))

    def _api_fields(self, said: Said) -> dict[str, Value]:
        one, region = said["ApiId"], self._aws.region
        partition = self._aws.caller.partition
        return {
            **_picked(_API, {"DisableExecuteApiEndpoint": False, **said}),
            "ApiId": one,
            "endpoint": said.get("ApiEndpoint"),
            "source": f"arn:{partition}:execute-api:{region}:{self._account}:{one}/*",
        }

    def _api(self, wanted: Said) -> Said:
        ours = self._ours()
        if ours:
            (there, *_) = ours
            if _picked(_API, {"DisableExecuteApiEndpoint": False, **there}) == dict(wanted):
                return there
            with speaking(f"set the HTTP API of {self._name}"):
                made: Said = self._client.update_api(ApiId=there["ApiId"], **_changeable(wanted))
            return made
        with speaking(f"make the HTTP API of {self._name}"):
            self._client.create_api(**wanted, Tags=tags(self._identity))
        # An answer that was lost and asked for again: two are there, and one is enough.
        kept, *more = self._ours() or [self._only()]
        for one in more:
            with speaking(f"remove an HTTP API of {self._name} that was made twice"):
                self._client.delete_api(ApiId=one["ApiId"])
        return kept

    def _integration(self, wanted: Said) -> dict[str, Value]:
        api = str(wanted["ApiId"])
        there = self._integrations(api)
        if not there:
            with speaking(f"lead the HTTP API to {self._name}"):
                self._client.create_integration(**wanted)
            kept, *more = self._integrations(api)
            for one in more:
                with speaking("remove what was made twice"):
                    self._client.delete_integration(ApiId=api, IntegrationId=one["IntegrationId"])
            return _integration_fields(api, kept)
        found = _integration_fields(api, there[0])
        if any(found[name] != value for name, value in wanted.items()):
            with speaking(f"lead the HTTP API to {self._name}"):
                self._client.update_integration(IntegrationId=there[0]["IntegrationId"], **wanted)
        return {**wanted, "target": found["target"]}

    def _route(self, wanted: Said) -> Said:
        from botocore.exceptions import ClientError

        there = self._routed(wanted)
        if there is None:
            with speaking(f"make the route {wanted['RouteKey']} of {self._name}"):
                try:
                    self._client.create_route(**wanted)
                except ClientError as error:
                    # An answer that was lost: the route is there, and is held to what is wanted.
                    there = self._routed(wanted)
                    if code_of(error) != _THERE or there is None:
                        raise
        if there is not None and _picked(_ROUTE, {**there, "ApiId": wanted["ApiId"]}) != dict(wanted):
            with speaking(f"set the route {wanted['RouteKey']} of {self._name}"):
                self._client.update_route(RouteId=there["RouteId"], **wanted)
        return wanted

    def _routed(self, wanted: Said) -> Said | None:
        found = self._routes(str(wanted["ApiId"]))
        return next((one for one in found if one["RouteKey"] == wanted["RouteKey"]), None)

    def _stage(self, wanted: Said) -> Said:
        from botocore.exceptions import ClientError

        there = {one["StageName"] for one in self._stages(str(wanted["ApiId"]))}
        with speaking(f"make the stage {DEFAULT_STAGE} of {self._name}"):
            if DEFAULT_STAGE in there:
                self._client.update_stage(**wanted)
                return wanted
            try:
                self._client.create_stage(**wanted)
            except ClientError as error:
                # An answer that was lost: the stage is there, and is held to what is wanted.
                if code_of(error) != _THERE:
                    raise
                self._client.update_stage(**wanted)
        return wanted

    def _integrations(self, api: str) -> list[Said]:
        found = self._listed("get_integrations", api)
        return sorted(found, key=lambda one: str(one["IntegrationId"]))

    def _routes(self, api: str) -> list[Said]:
        return self._listed("get_routes", api)

    def _stages(self, api: str) -> list[Said]:
        return self._listed("get_stages", api)

    def _listed(self, operation: str, api: str) -> list[Said]:
        from botocore.exceptions import ClientError

        with speaking(f"look at the HTTP API of {self._name}"):
            try:
                pages = self._client.get_paginator(operation).paginate(ApiId=api)
                return [one for page in pages for one in page["Items"]]
            except ClientError as error:
                if code_of(error) == _GONE:
                    return []
                raise

    @property
    def _client(self) -> Any:
        return self._aws.client("apigatewayv2")


def _picked(names: tuple[str, ...], said: Said) -> dict[str, Value]:
    return {name: said.get(name) for name in names}


def _changeable(wanted: Said) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if name not in _FIXED}


def _integration_fields(api: str, said: Said) -> dict[str, Value]:
    return {**_picked(_INTEGRATION, {**said, "ApiId": api}), "target": f"integrations/{said['IntegrationId']}"}
