"""A share of the calls by weights: what stands beside a canary, and what lets clients in while it is there. Pure.

A Service of its own leads to the canary's Pods, and what lets clients in sends each Service its percents:

- an Ingress of the AWS Load Balancer Controller, by an action that forwards to two target groups
  (https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#actions);
- an Ingress of ingress-nginx, by a second one for the same paths
  (https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/#canary);
- a route of the Gateway API, by the weights of its backends
  (https://gateway-api.sigs.k8s.io/reference/spec/#httpbackendref).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from mcp_targets._kube.names import TRIED
from mcp_targets._kube.site import Object, Sharing

ALL: Final = 100
"""Percent."""
HOW: Final = "tried"
"""Field of a canary's resource: how it is tried."""
NGINX_CLASS: Final = "k8s.io/ingress-nginx"
"""The controller of ingress-nginx's classes."""

_ACTION: Final = "alb.ingress.kubernetes.io/actions."
_NGINX: Final = "nginx.ingress.kubernetes.io/"
_WEIGHT: Final = f"{_NGINX}canary-weight"
_BY_ACTION: Final = "use-annotation"
_DOORS: Final = ("Ingress", "HTTPRoute")


def doors(made: Iterable[Object], service: str) -> tuple[Object, ...]:
    """What of a deployment's objects lets clients in to a Service."""
    return tuple(item for item in made if item["kind"] in _DOORS and service in _services(item))


def beside(made: Iterable[Object], service: str, name: str, selector: Mapping[str, str], by: Sharing) -> list[Object]:
    """What stands beside a canary: its Service, and what its door takes to be there.

    Args:
        made: the deployment's objects, after patches.
        service: the tool's Service.
        name: of the canary.
        selector: labels of the canary's Pods.
        by: what weighs calls.
    """
    made = list(made)
    found: list[Object] = []
    for item in made:
        match item["kind"]:
            case "Service" if item["metadata"]["name"] == service:
                found.append(_service(item, name, selector))
            case "TargetGroupConfiguration" if item["spec"]["targetReference"]["name"] == service:
                spec = {**item["spec"], "targetReference": {**item["spec"]["targetReference"], "name": name}}
                found.append({**_named(item, name), "spec": spec})
    if by is Sharing.NGINX:
        found += [_second(item, service, name) for item in doors(made, service)]
    return found


def weighed(door: Mapping[str, Any], service: str, tried: str, share: int) -> Object:
    """An Ingress of an ALB, or a route, that sends ``share`` percent of the calls to the Service ``tried``."""
    if door["kind"] == "HTTPRoute":
        return _marked(_routed(door, service, tried, share), is_tried=True)
    plain = unweighed(door, service, tried)
    port = next(_spelled(backend["port"]) for backend in _backends(plain) if backend["name"] == service)
    groups = [
        {"serviceName": name, "servicePort": port, "weight": weight}
        for name, weight in ((service, ALL - share), (tried, share))
    ]
    action = {"type": "forward", "forwardConfig": {"targetGroups": groups}}
    annotations = {**_annotations(plain), _ACTION + service: json.dumps(action, separators=(",", ":"))}
    given = _ported(plain, service, {"name": _BY_ACTION})
    return _marked({**given, "metadata": {**given["metadata"], "annotations": annotations}}, is_tried=True)


def unweighed(door: Mapping[str, Any], service: str, tried: str) -> Object:
    """The same without the Service ``tried``."""
    if door["kind"] == "HTTPRoute":
        return _marked(_routed(door, service, tried, None), is_tried=False)
    annotations = dict(_annotations(door))
    said = annotations.pop(_ACTION + service, None)
    if said is None:
        return _marked(door, is_tried=False)
    port = json.loads(said)["forwardConfig"]["targetGroups"][0]["servicePort"]
    given = _ported(door, service, {"number" if isinstance(port, int) else "name": port})
    return _marked({**given, "metadata": {**given["metadata"], "annotations": annotations}}, is_tried=False)


def is_weighed(thing: Mapping[str, Any]) -> bool:
    """Whether it lets some calls in to a canary."""
    return TRIED in _annotations(thing)


def reweighed(second: Mapping[str, Any], share: int) -> Object:
    """The second Ingress of ingress-nginx with another share."""
    annotations = {**_annotations(second), _WEIGHT: str(share)}
    return {**second, "metadata": {**second["metadata"], "annotations": annotations}}


def scaled_up_alone(autoscaler: Mapping[str, Any]) -> Object:
    """An autoscaler that takes no Pod away: those of the Deployment get all calls again when the canary goes.

    https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#scale-down-disabling
    """
    if is_weighed(autoscaler):
        return dict(autoscaler)
    behavior = autoscaler["spec"].get("behavior") or {}
    down = behavior.get("scaleDown") or {}
    kept = {**down, "selectPolicy": "Disabled"}
    marked = _marked(autoscaler, is_tried=True)
    # What stood there is kept with the mark.
    marked["metadata"]["annotations"][TRIED] = down.get("selectPolicy", "true")
    return {**marked, "spec": {**marked["spec"], "behavior": {**behavior, "scaleDown": kept}}}


def scaled_both_ways(autoscaler: Mapping[str, Any]) -> Object:
    """The same as it was before."""
    if not is_weighed(autoscaler):
        return dict(autoscaler)
    before = _annotations(autoscaler)[TRIED]
    behavior = autoscaler["spec"].get("behavior") or {}
    down = {key: value for key, value in (behavior.get("scaleDown") or {}).items() if key != "selectPolicy"}
    down |= {} if before == "true" else {"selectPolicy": before}
    rest = {key: value for key, value in {**behavior, "scaleDown": down}.items() if value}
    spec = {key: value for key, value in autoscaler["spec"].items() if key != "behavior"}
    return {**_marked(autoscaler, is_tried=False), "spec": {**spec, **({"behavior": rest} if rest else {})}}


def is_second(thing: Mapping[str, Any]) -> bool:
    """Whether an Ingress is one that ingress-nginx takes for a part of another: its paths are that one's."""
    return _annotations(thing).get(f"{_NGINX}canary") == "true"


def _service(item: Object, name: str, selector: Mapping[str, str]) -> Object:
    # A port of the nodes, or an address, is of one Service alone.
    ports = [{key: value for key, value in port.items() if key != "nodePort"} for port in item["spec"]["ports"]]
    spec = {key: value for key, value in item["spec"].items() if key not in {"clusterIP", "clusterIPs"}}
    return {**_named(item, name), "spec": {**spec, "selector": dict(selector), "ports": ports}}


def _second(item: Object, service: str, name: str) -> Object:
    """All but its annotations ingress-nginx takes from the Ingress that has the same paths."""
    given = _ported(item, service, None, name)
    spec = {key: value for key, value in given["spec"].items() if key != "tls"}
    annotations = {f"{_NGINX}canary": "true", _WEIGHT: "0"}
    named = _named(item, name)
    return {**named, "metadata": {**named["metadata"], "annotations": annotations}, "spec": spec}


def _named(item: Object, name: str) -> Object:
    metadata = item["metadata"]
    return {**item, "metadata": {**metadata, "name": name, "labels": {**metadata.get("labels", {}), TRIED: "true"}}}


def _services(item: Mapping[str, Any]) -> set[str]:
    if item["kind"] == "HTTPRoute":
        return {reference["name"] for rule in item["spec"]["rules"] for reference in rule.get("backendRefs") or ()}
    return {backend["name"] for backend in _backends(item)}


def _backends(item: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for rule in item["spec"].get("rules") or ():
        for path in (rule.get("http") or {}).get("paths") or ():
            if "service" in path["backend"]:
                yield path["backend"]["service"]


def _ported(
    item: Mapping[str, Any], service: str, port: Mapping[str, Any] | None, name: str | None = None
) -> dict[str, Any]:
    """An Ingress whose paths to a Service have another port, or another Service."""

    def changed(path: Mapping[str, Any]) -> Mapping[str, Any]:
        backend = path["backend"].get("service") or {}
        if backend.get("name") != service:
            return path
        led = {"name": name or service, "port": dict(backend["port"] if port is None else port)}
        return {**path, "backend": {"service": led}}

    rules = [
        {**rule, "http": {"paths": [changed(path) for path in rule["http"]["paths"]]}} if "http" in rule else rule
        for rule in item["spec"]["rules"]
    ]
    return {**item, "spec": {**item["spec"], "rules": rules}}


def _spelled(port: Mapping[str, Any]) -> int | str:
    number: int | str = port["number"] if "number" in port else port["name"]
    return number


def _routed(door: Mapping[str, Any], service: str, tried: str, share: int | None) -> dict[str, Any]:
    """The route with a weight of the Service's own divided between two, or put together again."""

    def changed(references: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        is_divided = any(reference["name"] == tried for reference in references)
        for reference in references:
            if reference["name"] == tried:
                continue
            if reference["name"] != service:
                yield reference
                continue
            whole = _whole(references, service, tried) if is_divided else reference.get("weight", 1)
            if share is None:
                yield {**reference, "weight": whole}
                continue
            yield {**reference, "weight": whole * (ALL - share)}
            yield {**reference, "name": tried, "weight": whole * share}

    rules = [
        {**rule, "backendRefs": list(changed(rule["backendRefs"]))} if rule.get("backendRefs") else rule
        for rule in door["spec"]["rules"]
    ]
    return {**door, "spec": {**door["spec"], "rules": rules}}


def _whole(references: Iterable[Mapping[str, Any]], service: str, tried: str) -> int:
    weights = [int(reference["weight"]) for reference in references if reference["name"] in {service, tried}]
    return sum(weights) // ALL


def _annotations(thing: Mapping[str, Any]) -> Mapping[str, str]:
    found: Mapping[str, str] = thing["metadata"].get("annotations") or {}
    return found


def _marked(thing: Mapping[str, Any], *, is_tried: bool) -> Object:
    annotations = {key: value for key, value in _annotations(thing).items() if key != TRIED}
    if is_tried:
        annotations[TRIED] = "true"
    metadata = {key: value for key, value in thing["metadata"].items() if key != "annotations"}
    return {**thing, "metadata": {**metadata, **({"annotations": annotations} if annotations else {})}}
