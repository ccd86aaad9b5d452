"""The model of Ingresses of a class of the AWS Load Balancer Controller."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.cluster.alb.model import (
    Action,
    Balancer,
    BuildError,
    Check,
    Fixed,
    Forward,
    Listener,
    Object,
    Redirect,
    Refused,
    Rule,
    Snapshot,
    Target,
    TargetGroup,
    class_of,
    controlled,
    digest,
    name_of,
    patterns,
    pod_targets,
    port_of,
    service_of,
)

CONTROLLER = "ingress.k8s.aws/alb"
PREFIX = "alb.ingress.kubernetes.io/"
GATE = "target-health.elbv2.k8s.aws/"
MOST_GROUPS = 100
"""Target groups of one load balancer; the quota cannot be raised (ELB's documentation, ``load-balancer-limits``)."""
_NOT_FOUND = Fixed(404)
_KINDS = {"Exact": 0, "Prefix": 1}


@dataclass(frozen=True)
class _Member:
    """An Ingress of a group, with what its class's parameters say."""

    ingress: Object
    params: Mapping[str, Any]

    @property
    def name(self) -> tuple[str, str]:
        return name_of(self.ingress)

    def said(self, key: str, service: Object | None = None) -> str | None:
        """An annotation of the Service, else of the Ingress."""
        for item in (service, self.ingress):
            value = item["metadata"].get("annotations", {}).get(PREFIX + key) if item else None
            if value is not None:
                return str(value)
        return None

    @property
    def order(self) -> tuple[int, str]:
        return int(self.said("group.order") or 0), "/".join(self.name)

    @property
    def group(self) -> str:
        named = self.params.get("group", {}).get("name") or self.said("group.name")
        return str(named) if named else "/".join(self.name)


def balancers(snapshot: Snapshot) -> Iterator[Balancer | Refused]:
    """One for each group, or why there is none."""
    classes = controlled(snapshot, CONTROLLER)
    params = {item["metadata"]["name"]: item["spec"] for item in snapshot.params}
    groups: defaultdict[str, list[_Member]] = defaultdict(list)
    for ingress in snapshot.ingresses:
        named = classes.get(class_of(ingress))
        if named is not None and "deletionTimestamp" not in ingress["metadata"]:
            reference = named["spec"].get("parameters", {}).get("name", "")
            member = _Member(ingress, params.get(reference, {}))
            groups[member.group].append(member)
    for key, members in sorted(groups.items()):
        members.sort(key=lambda member: member.order)
        owners = tuple(member.name for member in members)
        try:
            yield _balancer(snapshot, key, members)
        except BuildError as error:
            yield Refused(key, owners, error.reason, str(error))


def _balancer(snapshot: Snapshot, key: str, members: Sequence[_Member]) -> Balancer:
    attributes = _attributes(members)
    _agreed(members, "scheme", lambda member: member.params.get("scheme") or member.said("scheme"))
    redirect = _agreed(
        members, "ssl-redirect", lambda member: member.params.get("sslRedirectPort") or member.said("ssl-redirect")
    )
    groups: dict[str, TargetGroup] = {}
    rules: defaultdict[str, list[Rule]] = defaultdict(list)
    defaults: dict[str, Action] = {}
    for member in members:
        schemes = _schemes(member)
        made = list(_rules(snapshot, member, groups))
        backend = member.ingress["spec"].get("defaultBackend")
        for scheme in schemes:
            rules[scheme] += made
            if backend:
                defaults[scheme] = _action(snapshot, member, backend, groups)
    if len(groups) > MOST_GROUPS:
        raise BuildError(f"TooManyTargetGroups: {len(groups)} of at most {MOST_GROUPS}", "FailedDeployModel")
    listeners = {name: Listener(tuple(found), defaults.get(name, _NOT_FOUND)) for name, found in rules.items()}
    if redirect and "http" in listeners:
        listeners["http"] = Listener((), Redirect())
    idle = float(attributes.get("idle_timeout.timeout_seconds", "60"))
    return Balancer(key, tuple(member.name for member in members), idle, listeners, groups)


def _attributes(members: Sequence[_Member]) -> dict[str, str]:
    found: dict[str, str] = {}
    for member in members:
        pairs = _pairs(member.said("load-balancer-attributes"))
        pairs |= {pair["key"]: pair["value"] for pair in member.params.get("loadBalancerAttributes", [])}
        for name, value in pairs.items():
            if found.setdefault(name, value) != value:
                raise BuildError(f"conflicting load balancer attributes {name}: {found[name]} | {value}")
    return found


def _agreed(members: Sequence[_Member], what: str, read: Any) -> str | None:
    said = sorted({str(value) for value in map(read, members) if value is not None})
    if len(said) > 1:
        raise BuildError(f"conflicting {what}: {said}")
    return said[0] if said else None


def _schemes(member: _Member) -> list[str]:
    certificate = member.said("certificate-arn") or member.params.get("certificateArn")
    said = member.said("listen-ports")
    ports = json.loads(said) if said else [{"HTTPS": 443} if certificate else {"HTTP": 80}]
    schemes = [scheme.lower() for entry in ports for scheme in entry]
    if "https" in schemes and not certificate:
        hosts = [rule.get("host") for rule in member.ingress["spec"].get("rules", [])]
        # The real one then looks for certificates of these hosts in the account, where the tests have one of each.
        if not all(hosts):
            raise BuildError(f"no certificate found for host: {hosts}")
    return schemes


def _rules(snapshot: Snapshot, member: _Member, groups: dict[str, TargetGroup]) -> Iterator[Rule]:
    for rule in member.ingress["spec"].get("rules", []):
        hosts = (rule["host"],) if rule.get("host") else ()
        paths = rule.get("http", {}).get("paths", [])
        for entry in sorted(paths, key=_precedence):
            path, kind = entry.get("path", "/*"), entry.get("pathType", "ImplementationSpecific")
            if kind in _KINDS and any(letter in path for letter in "*?"):
                raise BuildError(f"{kind} path shouldn't contain wildcards: {path}")
            action = _action(snapshot, member, entry["backend"], groups)
            yield Rule(hosts, patterns(path, kind), action)


def _precedence(entry: Object) -> tuple[int, int]:
    kind = _KINDS.get(entry.get("pathType", ""), 2)
    return kind, -len(entry.get("path", "")) if kind == 1 else 0


def _action(
    snapshot: Snapshot, member: _Member, backend: Mapping[str, Any], groups: dict[str, TargetGroup]
) -> Forward | Fixed | Redirect:
    service = backend["service"]
    if service.get("port", {}).get("name") != "use-annotation":
        return Forward(((_group(snapshot, member, service["name"], service["port"], groups), 1),))
    said = member.said(f"actions.{service['name']}")
    if said is None:
        raise BuildError(f"missing actions.{service['name']} configuration")
    action = json.loads(said)
    match action["type"]:
        case "forward":
            chosen = []
            for entry in action["forwardConfig"]["targetGroups"]:
                port = entry["servicePort"]
                wanted = {"number": int(port)} if str(port).isdigit() else {"name": port}
                name = _group(snapshot, member, entry["serviceName"], wanted, groups)
                chosen.append((name, int(entry.get("weight", 1))))
            return Forward(tuple(chosen))
        case "fixed-response":
            config = action["fixedResponseConfig"]
            body, kind = config.get("messageBody", ""), config.get("contentType", "text/plain")
            return Fixed(int(config["statusCode"]), body, kind)
        case "redirect":
            return Redirect(int(action["redirectConfig"]["statusCode"].removeprefix("HTTP_")))
    raise BuildError(f"unknown action type: {action['type']}")


def _group(
    snapshot: Snapshot,
    member: _Member,
    service_name: str,
    wanted: Mapping[str, Any],
    groups: dict[str, TargetGroup],
) -> str:
    namespace, _ = member.name
    service = service_of(snapshot, namespace, service_name)
    port = port_of(service, wanted)
    kind = member.params.get("targetType") or member.said("target-type", service) or "instance"
    name = f"k8s-{namespace[:8]}-{service_name[:8]}-{digest('/'.join(member.name), service_name, str(port['port']))}"
    attributes = _pairs(member.said("target-group-attributes", service))
    targets = _targets(snapshot, service, port, kind, name)
    delay = float(attributes.get("deregistration_delay.timeout_seconds", "300"))
    check = _check(member, service)
    groups[name] = TargetGroup(name, (namespace, service_name), port["port"], kind, targets, check, delay)
    return name


def refreshed(snapshot: Snapshot, group: TargetGroup) -> TargetGroup:
    """The same group with the targets of now: those are looked after even while the load balancer is left alone."""
    try:
        service = service_of(snapshot, *group.service)
        port = port_of(service, {"number": group.port})
        return replace(group, targets=_targets(snapshot, service, port, group.kind, group.name))
    except BuildError:
        return replace(group, targets=())


def _targets(snapshot: Snapshot, service: Object, port: Object, kind: str, name: str) -> tuple[Target, ...]:
    if kind == "ip":
        return pod_targets(snapshot, service, port, GATE + name)
    return _node_targets(snapshot, service, port)


def _node_targets(snapshot: Snapshot, service: Object, port: Object) -> tuple[Target, ...]:
    if "nodePort" not in port:
        raise BuildError(f"service type must be either 'NodePort' or 'LoadBalancer': {'/'.join(name_of(service))}")
    found = []
    for node in snapshot.nodes:
        # Those without the id that the cloud gave them are nobody it knows.
        addresses = [each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP"]
        if node["spec"].get("providerID") and addresses:
            found.append(Target(addresses[0], port["nodePort"]))
    return tuple(found)


def _check(member: _Member, service: Object) -> Check:
    usual = Check()
    return Check(
        path=member.said("healthcheck-path", service) or usual.path,
        interval=float(member.said("healthcheck-interval-seconds", service) or usual.interval),
        timeout=float(member.said("healthcheck-timeout-seconds", service) or usual.timeout),
        healthy=int(member.said("healthy-threshold-count", service) or usual.healthy),
        unhealthy=int(member.said("unhealthy-threshold-count", service) or usual.unhealthy),
        codes=member.said("success-codes", service) or usual.codes,
    )


def _pairs(said: str | None) -> dict[str, str]:
    return dict(pair.strip().split("=", 1) for pair in (said or "").split(",") if pair.strip())
