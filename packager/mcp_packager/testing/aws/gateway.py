"""HTTP APIs of API Gateway. API Gateway V2 API reference, of each resource; developer guide, where a rule says so."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from mcp_packager.testing.aws.refusals import RefusedError

Response = tuple[int, Mapping[str, str], bytes]
Said = dict[str, Any]

_NOUNS = {"integrations": "Integration", "routes": "Route", "stages": "Stage"}
_VERBS = {"POST": "Create", "PATCH": "Update", "DELETE": "Delete", "GET": "Get"}
_IDS = {"integrations": "integrationId", "routes": "routeId", "stages": "stageName"}
_ROUTE_KEY = re.compile(r"\$default|(ANY|GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) /\S*")
_AUTHORIZATION = frozenset({"NONE", "AWS_IAM", "JWT"})
_TIMEOUT = (50, 30_000)
"""Milliseconds (Integration, ``timeoutInMillis``, of HTTP APIs)."""
_FIXED = frozenset({"apiId", "apiEndpoint", "protocolType", "tags"})


@dataclass
class Api:
    """One API and what belongs to it, by its ids, as the service tells each."""

    said: Said
    integrations: dict[str, Said] = field(default_factory=dict)
    routes: dict[str, Said] = field(default_factory=dict)
    stages: dict[str, Said] = field(default_factory=dict)

    def part(self, kind: str) -> dict[str, Said]:
        """Integrations, routes or stages."""
        return {"integrations": self.integrations, "routes": self.routes, "stages": self.stages}[kind]

    def route(self, method: str, path: str) -> Said | None:
        """The route of a request: the most exact one (developer guide, "Working with routes for HTTP APIs").

        Nothing leads anywhere without a stage to which routes are deployed.
        """
        if not self.stages.get("$default", {}).get("autoDeploy"):
            return None
        found = [one for one in self.routes.values() if _fits(one["routeKey"], method, path)]
        return max(found, key=lambda one: _exactness(one["routeKey"]), default=None)


class Gateway:
    """All HTTP APIs of an account. ``opened`` and ``closed`` are told of an API that is made or goes, by its id."""

    def __init__(self, opened: Callable[[str], str], closed: Callable[[str], None]) -> None:
        self.apis: dict[str, Api] = {}
        self._opened = opened
        self._closed = closed

    @staticmethod
    def operation(method: str, path: str) -> str:
        """What a request asks for, as the service's model names it."""
        parts = path.partition("?")[0].strip("/").split("/")
        noun = "Api" if len(parts) <= 3 else _NOUNS.get(parts[3], parts[3])
        many = "s" if method == "GET" and len(parts) in {2, 4} else ""
        return f"{_VERBS.get(method, method)}{noun}{many}"

    def answer(self, method: str, path: str, body: bytes) -> Response:
        """What a request is answered.

        Raises:
            RefusedError: as API Gateway would.
        """
        parts = [unquote(one) for one in path.partition("?")[0].strip("/").split("/")]
        asked = json.loads(body) if body else {}
        match parts:
            case ["v2", "apis"] if method == "GET":
                return _ok({"items": [one.said for one in self.apis.values()]})
            case ["v2", "apis"]:
                return _ok(self._create(asked), HTTPStatus.CREATED)
            case ["v2", "apis", one]:
                return self._one(method, self._api(one), asked)
            case ["v2", "apis", one, kind] if kind in _NOUNS and method == "GET":
                return _ok({"items": list(self._api(one).part(kind).values())})
            case ["v2", "apis", one, kind] if kind in _NOUNS:
                return _ok(_made(self._api(one), kind, asked), HTTPStatus.CREATED)
            case ["v2", "apis", one, kind, part] if kind in _NOUNS:
                return _part(method, self._api(one), kind, part, asked)
            case _:
                raise RefusedError(404, "NotFoundException", "the fake of API Gateway does not know this")

    def _api(self, identity: str) -> Api:
        if identity not in self.apis:
            raise _missing(f"Invalid API identifier specified {identity}")
        return self.apis[identity]

    def _create(self, asked: Said) -> Said:
        if not 1 <= len(asked.get("name", "")) <= 128:
            raise _bad("Invalid name specified")
        if asked.get("protocolType") != "HTTP":
            raise _bad("Invalid protocol specified. Must be one of [HTTP, WEBSOCKET]")
        identity = secrets.token_hex(5)
        said = {
            "disableExecuteApiEndpoint": False,
            **asked,
            "apiId": identity,
            "apiEndpoint": self._opened(identity),
            "routeSelectionExpression": "$request.method $request.path",
        }
        self.apis[identity] = Api(said)
        return said

    def _one(self, method: str, api: Api, asked: Said) -> Response:
        match method:
            case "DELETE":
                del self.apis[api.said["apiId"]]
                self._closed(api.said["apiId"])
                return 204, {}, b""
            case "PATCH":
                api.said.update({key: value for key, value in asked.items() if key not in _FIXED})
        return _ok(api.said)


def _made(api: Api, kind: str, asked: Said) -> Said:
    _check(api, kind, asked, None)
    identity = asked["stageName"] if kind == "stages" else secrets.token_hex(4)
    said = {**asked, _IDS[kind]: identity}
    api.part(kind)[identity] = said
    return said


def _part(method: str, api: Api, kind: str, identity: str, asked: Said) -> Response:
    there = api.part(kind)
    if identity not in there:
        raise _missing(f"Unable to find {_NOUNS[kind]} by {_IDS[kind]} {identity} within the provided API")
    match method:
        case "PATCH":
            changed = {**there[identity], **asked}
            _check(api, kind, changed, identity)
            there[identity] = changed
        case "DELETE":
            _unused(api, kind, identity)
            del there[identity]
            return 204, {}, b""
    return _ok(there[identity])


def _check(api: Api, kind: str, said: Said, own: str | None) -> None:
    match kind:
        case "integrations":
            least, most = _TIMEOUT
            if not least <= said.get("timeoutInMillis", most) <= most:
                raise _bad(f"Timeout should be between {least} ms and {most} ms")
            if said.get("payloadFormatVersion") not in {"1.0", "2.0"}:
                raise _bad("PayloadFormatVersion is a required parameter for integration")
        case "routes":
            key = said.get("routeKey", "")
            if not _ROUTE_KEY.fullmatch(key):
                raise _bad(f"The provided route key is not formatted properly for HTTP protocol: {key}")
            if any(one["routeKey"] == key for name, one in api.routes.items() if name != own):
                raise RefusedError(409, "ConflictException", f"Route with key {key} already exists for this API")
            if said.get("authorizationType", "NONE") not in _AUTHORIZATION:
                raise _bad("Invalid authorization type specified")
            if said.get("target", "").removeprefix("integrations/") not in api.integrations:
                raise _missing("Unable to find Integration by integration id within the provided API")
        case "stages":
            if own is None and said["stageName"] in api.stages:
                raise RefusedError(409, "ConflictException", "Stage already exists")


def _unused(api: Api, kind: str, identity: str) -> None:
    using = [one["routeKey"] for one in api.routes.values() if one.get("target") == f"integrations/{identity}"]
    if kind == "integrations" and using:
        said = f"Cannot delete Integration '{identity}'. Following Routes reference it: {', '.join(using)}"
        raise RefusedError(409, "ConflictException", said)


def _fits(key: str, method: str, path: str) -> bool:
    wanted, _, pattern = key.partition(" ")
    if key == "$default":
        return True
    if wanted not in {"ANY", method}:
        return False
    return re.fullmatch("/".join(_pattern(one) for one in pattern.split("/")), path) is not None


def _pattern(part: str) -> str:
    """A part of a route's path, as a regular expression."""
    if part.startswith("{"):
        return ".+" if part.endswith("+}") else "[^/]+"
    return re.escape(part)


def _exactness(key: str) -> tuple[bool, bool, bool]:
    return key != "$default", "{" not in key, not key.startswith("ANY")


def _ok(document: Said, status: int = HTTPStatus.OK) -> Response:
    return int(status), {"content-type": "application/json"}, json.dumps(document).encode()


def _bad(message: str) -> RefusedError:
    return RefusedError(400, "BadRequestException", message)


def _missing(message: str) -> RefusedError:
    return RefusedError(404, "NotFoundException", message)
