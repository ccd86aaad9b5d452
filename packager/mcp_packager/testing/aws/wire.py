"""Requests to Lambda as they go over the wire, read by botocore's own model of the service (``rest-json``)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote

import botocore.session


@dataclass(frozen=True)
class Route:
    """One operation and where it is asked for."""

    name: str
    method: str
    path: re.Pattern[str]
    status: int
    places: Mapping[str, tuple[str, str]]
    """Where a member of the input stands that is not in the body: ``uri``, ``querystring`` or ``header``, and its name
    there."""
    blob: str
    """The member that is the body as it stands; empty where the body is JSON."""
    bytes_: frozenset[str]
    """Members that are bytes, which JSON has in base64."""


@cache
def routes() -> tuple[Route, ...]:
    """Every operation of Lambda, those with more fixed parts in their path first."""
    model = botocore.session.get_session().get_service_model("lambda")
    found = [_route(model.operation_model(name)) for name in model.operation_names]
    return tuple(sorted(found, key=lambda route: (-route.path.pattern.count("/"), len(route.places))))


def read(method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[Route, dict[str, Any]]:
    """What is asked, by the names of the model.

    Raises:
        LookupError: no operation of Lambda is asked for like this.
    """
    bare, _, query = path.partition("?")
    for route in routes():
        found = route.path.fullmatch(bare.rstrip("/"))
        if found and route.method == method:
            return route, _asked(route, found.groupdict(), parse_qs(query, keep_blank_values=True), headers, body)
    raise LookupError(f"{method} {path}")


def _asked(
    route: Route,
    labels: Mapping[str, str],
    query: Mapping[str, list[str]],
    headers: Mapping[str, str],
    body: bytes,
) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    if route.blob:
        asked[route.blob] = body
    elif body:
        asked.update(_decoded(json.loads(body), route.bytes_))
    for member, (place, name) in route.places.items():
        match place:
            case "uri":
                asked[member] = unquote(labels[name])
            case "querystring" if name in query:
                asked[member] = query[name] if member == "TagKeys" else query[name][0]
            case "header" if name.lower() in headers:
                asked[member] = headers[name.lower()]
    return asked


def _decoded(value: Any, names: frozenset[str]) -> Any:
    match value:
        case dict():
            return {
                key: base64.b64decode(one) if key in names and isinstance(one, str) else _decoded(one, names)
                for key, one in value.items()
                if one is not None
            }
        case list():
            return [_decoded(one, names) for one in value]
    return value


def _route(operation: Any) -> Route:
    shape = operation.input_shape
    members = {} if shape is None else dict(shape.members)
    places = {
        name: (member.serialization["location"], member.serialization.get("name", name))
        for name, member in members.items()
        if "location" in member.serialization
    }
    payload = "" if shape is None else shape.serialization.get("payload", "")
    uri = operation.http["requestUri"].partition("?")[0].rstrip("/")
    path = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(uri))
    return Route(
        name=operation.name,
        method=operation.http["method"],
        path=re.compile(path),
        status=operation.http.get("responseCode", 200),
        places=places,
        blob=payload if payload and members[payload].type_name == "blob" else "",
        bytes_=frozenset({"ZipFile"}),
    )
