"""What Ingress objects ask of load balancers: data to data, as the AWS Load Balancer Controller reads them.

https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/ and what was watched of
the real controller. An Ingress of the plain class is read as ingress-nginx does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Object: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Snapshot:
    """The objects that count, as the API server lists them."""

    classes: Sequence[Object]
    params: Sequence[Object]
    ingresses: Sequence[Object]
    services: Sequence[Object]
    slices: Sequence[Object]
    pods: Sequence[Object]
    nodes: Sequence[Object]
    secrets: Mapping[tuple[str, str], Object] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """Where a request can be sent; ``pod`` is whose address it is, as ``(namespace, name)``."""

    address: str
    port: int
    pod: tuple[str, str] | None = None

    @property
    def place(self) -> str:
        """``address:port``."""
        return f"{self.address}:{self.port}"


@dataclass(frozen=True)
class Check:
    """How a target proves its health. Seconds, and consecutive answers; ``codes`` are statuses such as ``200-299``."""

    path: str = "/"
    interval: float = 15.0
    timeout: float = 5.0
    healthy: int = 2
    unhealthy: int = 2
    codes: str = "200"


@dataclass(frozen=True)
class TargetGroup:
    """Targets that are alike.

    Attributes:
        name: That of its TargetGroupBinding; a Pod's readiness gate has it too.
        service: Namespace and name.
        port: Of the Service.
        check: ``None``: whoever is ready gets requests at once, and whoever leaves gets none.
        delay: Seconds that a target which leaves may use for what it has.
    """

    name: str
    service: tuple[str, str]
    port: int
    kind: str
    targets: tuple[Target, ...]
    check: Check | None
    delay: float


@dataclass(frozen=True)
class Forward:
    """Names of target groups with their weights."""

    groups: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Fixed:
    """An answer of the balancer's own."""

    status: int
    body: str = ""
    content_type: str = "text/plain"


@dataclass(frozen=True)
class Redirect:
    """To https, the rest of the address as it was."""

    status: int = 301


Action: TypeAlias = Forward | Fixed | Redirect


@dataclass(frozen=True)
class Rule:
    """The first that matches is taken. Patterns may have ``*`` and ``?``; no hosts is any host.

    ``body`` is the largest body in bytes, 0 for any; ``silence`` the seconds that a target may say nothing, 0 for the
    balancer's own idle time-out.
    """

    hosts: tuple[str, ...]
    paths: tuple[str, ...]
    action: Action
    body: int = 0
    silence: float = 0.0


@dataclass(frozen=True)
class Listener:
    """What is done with a request at a port."""

    rules: tuple[Rule, ...]
    default: Action


@dataclass(frozen=True)
class Balancer:
    """One load balancer.

    Attributes:
        key: Its name; several Ingresses share one.
        owners: Namespace and name of each Ingress that it was made of.
        idle: Seconds without a byte after which a connection is cut, at either side.
        listeners: By scheme, ``http`` and ``https``.
        certificates: PEM of certificate and key by host; for others the tests' own certificate is shown.
    """

    key: str
    owners: tuple[tuple[str, str], ...]
    idle: float
    listeners: Mapping[str, Listener]
    groups: Mapping[str, TargetGroup]
    certificates: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """Why a load balancer is left as it is, as the real controller says it in an event on each of its Ingresses."""

    key: str
    owners: tuple[tuple[str, str], ...]
    reason: str
    message: str


class BuildError(Exception):
    """An Ingress, or a group of them, that no load balancer can be made of."""

    def __init__(self, message: str, reason: str = "FailedBuildModel") -> None:
        super().__init__(message)
        self.reason = reason


def name_of(item: Object) -> tuple[str, str]:
    """Namespace and name."""
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def controlled(snapshot: Snapshot, controller: str) -> dict[str, Object]:
    """The classes of a controller, by name."""
    return {item["metadata"]["name"]: item for item in snapshot.classes if item["spec"]["controller"] == controller}


def class_of(ingress: Object) -> str:
    """The class that an Ingress names, in either of two ways."""
    named = ingress["spec"].get("ingressClassName")
    annotations = ingress["metadata"].get("annotations", {})
    return str(named or annotations.get("kubernetes.io/ingress.class", ""))


def service_of(snapshot: Snapshot, namespace: str, name: str) -> Object:
    """A Service by name."""
    for service in snapshot.services:
        if name_of(service) == (namespace, name):
            return service
    raise BuildError(f"Service {namespace}/{name} is not found")


def port_of(service: Object, wanted: Mapping[str, Any]) -> Object:
    """The port of a Service that a backend names, by number or name."""
    ports: Sequence[Object] = service["spec"].get("ports", [])
    for port in ports:
        if wanted.get("number") == port["port"] or wanted.get("name", "-") == port.get("name"):
            return port
    raise BuildError(f"Service {'/'.join(name_of(service))} has no port {dict(wanted)}")


def pod_targets(snapshot: Snapshot, service: Object, port: Object, gate: str | None) -> tuple[Target, ...]:
    """The Pods behind a port of a Service that are ready.

    ``gate``: those as well whose containers are ready and that wait for nothing but to be a healthy target.
    """
    namespace, name = name_of(service)
    pods = {name_of(pod): pod for pod in snapshot.pods}
    found: dict[str, Target] = {}
    for item in snapshot.slices:
        labels = item["metadata"].get("labels", {})
        if item["metadata"]["namespace"] != namespace or labels.get("kubernetes.io/service-name") != name:
            continue
        numbers = [each["port"] for each in item.get("ports") or [] if each.get("name", "") == port.get("name", "")]
        for endpoint in item.get("endpoints") or []:
            reference = endpoint.get("targetRef", {})
            pod = pods.get((namespace, reference.get("name", "")))
            ready = endpoint.get("conditions", {}).get("ready", True)
            if not ready and not (gate and pod and waits_for_gate(pod, gate)):
                continue
            for number in numbers:
                target = Target(endpoint["addresses"][0], number, name_of(pod) if pod else None)
                found[target.place] = target
    return tuple(found[place] for place in sorted(found))


def waits_for_gate(pod: Object, gate: str) -> bool:
    """Whether a Pod has that readiness gate, is not leaving, and its containers are ready."""
    gates = [each["conditionType"] for each in pod["spec"].get("readinessGates", [])]
    conditions = {each["type"]: each["status"] for each in pod.get("status", {}).get("conditions", [])}
    leaving = "deletionTimestamp" in pod["metadata"]
    return gate in gates and conditions.get("ContainersReady") == "True" and not leaving


def patterns(path: str, kind: str) -> tuple[str, ...]:
    """The patterns of a path: a prefix is the path itself and all below it."""
    if kind != "Prefix":
        return (path,)
    return ("/*",) if path == "/" else (path.rstrip("/"), f"{path.rstrip('/')}/*")


def digest(*parts: str) -> str:
    """A few letters for a name."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:10]
