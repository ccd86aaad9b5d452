"""What the tools behind one load balancer do to each other. Pure: from listings of a cluster to problems.

The AWS Load Balancer Controller takes the same host and path from two Ingresses and serves one of them; it stops a
whole group over one setting that two of its Ingresses do not agree on, and it cannot go past what a load balancer
holds. So all of it is looked for before anything is applied.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mcp_packager.errors import Place, Problem
from mcp_packager.target import Intent, Resource
from mcp_targets._kube.shares import HOW, weighed
from mcp_targets._kube.site import Sharing
from mcp_targets._kube.together import named, objects
from mcp_targets.eks.balancer import OWNER, PREFIX

TARGET_GROUPS: Final = 100
"""Target groups of one load balancer; AWS raises it for nobody
(https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html)."""
RULES: Final = 100
"""Rules of one load balancer; AWS raises it on request."""

_CONTROLLERS: Final = frozenset({"ingress.k8s.aws/alb", "eks.amazonaws.com/alb"})
_DEFAULT: Final = "ingressclass.kubernetes.io/is-default-class"
_OLD_CLASS: Final = "kubernetes.io/ingress.class"
_EXCLUSIVE: Final[Mapping[str, str]] = {
    "customer-owned-ipv4-pool": "",
    "ip-address-type": "ipAddressType",
    "load-balancer-name": "loadBalancerName",
    "scheme": "scheme",
    "security-groups": "",
    "ssl-policy": "sslPolicy",
    "ssl-redirect": "sslRedirectPort",
    "subnets": "subnets",
    "wafv2-acl-arn": "wafv2AclArn",
}
"""Annotations that a group takes one value of, and the key of IngressClassParams that is taken in their place."""
_ATTRIBUTES: Final = "load-balancer-attributes"
_SHOWN: Final = 5
_BY_ACTION: Final = "use-annotation"


@dataclass(frozen=True, slots=True)
class Member:
    """An Ingress as a load balancer sees it.

    ``tool`` names it for people; ``rules`` are host and path; ``settings`` what it says of the load balancer itself.
    """

    name: str
    tool: str
    group: str
    rules: tuple[tuple[str, str], ...]
    settings: Mapping[str, str]
    backends: frozenset[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of a cluster that are an ALB's, each with the parameters that it names."""

    params: Mapping[str, Mapping[str, Any]]
    default: str | None = None

    def of(self, ingress: Mapping[str, Any]) -> str | None:
        """The class of an Ingress; ``None`` for one of another controller."""
        annotated = (ingress["metadata"].get("annotations") or {}).get(_OLD_CLASS)
        named = ingress.get("spec", {}).get("ingressClassName") or annotated or self.default
        return named if named in self.params or named == "alb" else None


def classes(found: Iterable[Mapping[str, Any]], params: Iterable[Mapping[str, Any]]) -> Classes:
    """From the cluster's listings of ``IngressClass`` and ``IngressClassParams``."""
    specs = {one["metadata"]["name"]: one.get("spec") or {} for one in params}
    known: dict[str, Mapping[str, Any]] = {}
    default = None
    for one in found:
        spec, name = one.get("spec", {}), one["metadata"]["name"]
        if spec.get("controller") not in _CONTROLLERS:
            continue
        known[name] = specs.get((spec.get("parameters") or {}).get("name", ""), {})
        if (one["metadata"].get("annotations") or {}).get(_DEFAULT) == "true":
            default = name
    return Classes(known, default)


def members(ingresses: Iterable[Mapping[str, Any]], known: Classes) -> tuple[Member, ...]:
    """Every Ingress of a load balancer."""
    found = ((ingress, known.of(ingress)) for ingress in ingresses)
    return tuple(_member(ingress, known.params.get(name, {})) for ingress, name in found if name is not None)


def _member(ingress: Mapping[str, Any], params: Mapping[str, Any]) -> Member:
    metadata = ingress["metadata"]
    name = f"{metadata.get('namespace', 'default')}/{metadata['name']}"
    said = {
        key.removeprefix(PREFIX): value
        for key, value in (metadata.get("annotations") or {}).items()
        if key.startswith(PREFIX)
    }
    group = (params.get("group") or {}).get("name") or said.get("group.name") or f"the load balancer of {name}"
    rules, backends = [], set[tuple[str, str, str]]()
    for rule in ingress.get("spec", {}).get("rules") or ():
        for path in (rule.get("http") or {}).get("paths") or ():
            rules.append((str(rule.get("host", "*")).lower(), _plain(str(path.get("path", "/")))))
            service = (path.get("backend") or {}).get("service") or {}
            port = service.get("port") or {}
            if port.get("name") == _BY_ACTION:
                backends |= {(name, *group) for group in _groups(said.get(f"actions.{service.get('name', '')}", ""))}
                continue
            backends.add((name, str(service.get("name", "")), str(port.get("number", port.get("name", "")))))
    return Member(
        name, named({"kind": "Ingress", **ingress}), group, tuple(rules), _settings(said, params), frozenset(backends)
    )


def _groups(action: str) -> Iterator[tuple[str, str]]:
    """Service and port of each target group that an action forwards to; none of one that does something else."""
    try:
        said = json.loads(action)
        for group in (said.get("forwardConfig") or {}).get("targetGroups") or ():
            yield str(group.get("serviceName", group.get("targetGroupARN", ""))), str(group.get("servicePort", ""))
    except (ValueError, AttributeError):
        return  # its controller refuses what cannot be read


def _plain(path: str) -> str:
    return path.removesuffix("*").rstrip("/") or "/"


def _settings(said: Mapping[str, str], params: Mapping[str, Any]) -> dict[str, str]:
    """What an Ingress says of the load balancer, where no parameters say it in its place."""
    found = {
        key: value
        for key, value in said.items()
        if key in _EXCLUSIVE and not (_EXCLUSIVE[key] and params.get(_EXCLUSIVE[key]))
    }
    if not params.get("loadBalancerAttributes"):
        for each in filter(None, (part.strip() for part in said.get(_ATTRIBUTES, "").split(","))):
            key, _, value = each.partition("=")
            found[key] = value
    return found


def problems(ours: Sequence[Member], others: Sequence[Member]) -> Iterator[Problem]:
    """What is in conflict between a deployment's Ingresses and those that are there."""
    for mine in ours:
        group = [one for one in others if one.group == mine.group]
        yield from _claimed(mine, group)
        yield from _disagreed(mine, group)
    for name in dict.fromkeys(mine.group for mine in ours):
        yield from _full(name, ours, others)


def widest(ingresses: Iterable[Any], resources: Iterable[Resource]) -> list[Any]:
    """A deployment's Ingresses with every target group that they ever have: with a canary there is one more."""
    made = {item["metadata"]["name"]: item for item in ingresses}
    for resource in resources:
        how = resource.fields.get(HOW) or {}
        for door in how.get("doors", ()) if how.get("by") == Sharing.ALB else ():
            name = door.partition("/")[2]
            if name in made:
                made[name] = weighed(made[name], how["service"], resource.name, 0)
    return list(made.values())


def between(intent: Intent, others: Sequence[Intent]) -> tuple[Problem, ...]:
    """What is in conflict between a deployment and others that are wanted in the same run."""
    every = (intent, *others)
    known = classes(
        [one for each in every for one in objects(each, "ingressclass")],
        [one for each in every for one in objects(each, "ingressclassparams")],
    )
    mine = members(widest(objects(intent, "ingress"), intent.resources), known)
    return tuple(problems(mine, members([one for each in others for one in objects(each, "ingress")], known)))


def _claimed(mine: Member, group: Sequence[Member]) -> Iterator[Problem]:
    for other in group:
        for host, path in sorted(set(mine.rules) & set(other.rules)):
            yield Problem(
                f"{mine.tool} and {other.tool} both claim {host}{path} of {mine.group}: one of them would get no call",
                "give one of them another host or another path (serve.path, or shared_host = true)",
                Place(key="target.eks.host"),
                found=f"Ingress {other.name}",
            )


def _disagreed(mine: Member, group: Sequence[Member]) -> Iterator[Problem]:
    for key, value in sorted(mine.settings.items()):
        other = next((one for one in group if one.settings.get(key, value) != value), None)
        if other is not None:
            yield Problem(
                f"{mine.tool} and {other.tool} share the load balancer of {mine.group} and differ in {key}: "
                "its controller would change nothing of the whole group any more",
                "say it once: in the group's IngressClassParams, or with the same value in both",
                Place(key="target.eks"),
                expected=f"{key} = {other.settings[key]}, as {other.tool} has it",
                found=f"{key} = {value}",
            )


def _full(group: str, ours: Sequence[Member], others: Sequence[Member]) -> Iterator[Problem]:
    mine = [one for one in ours if one.group == group]
    there = [one for one in others if one.group == group]
    count = len({backend for one in (*mine, *there) for backend in one.backends})
    if count <= TARGET_GROUPS:
        return
    tools = sorted({one.tool for one in there})
    shown = ", ".join(tools[:_SHOWN]) + (f" and {len(tools) - _SHOWN} more" if len(tools) > _SHOWN else "")
    yield Problem(
        f"{mine[0].tool} does not fit into {group}: a load balancer has {TARGET_GROUPS} target groups at most",
        f'put it into another group, such as group = "{_next(group)}"',
        Place(key="target.eks.group"),
        expected=f"{TARGET_GROUPS} target groups at most",
        found=f"{count}, of {shown}",
    )


def _next(group: str) -> str:
    head, _, number = group.rpartition("-")
    return f"{head}-{int(number) + 1}" if head and number.isdecimal() else f"{group}-2"


def crowded(ours: Sequence[Member], others: Sequence[Member]) -> Iterator[str]:
    """What is near a limit that AWS may have raised, as lines for people."""
    counts = Counter(one.group for one in (*ours, *others) for _ in one.rules)
    for group in dict.fromkeys(mine.group for mine in ours):
        if counts[group] > RULES:
            yield (
                f"{group} has {counts[group]} rules; a load balancer holds {RULES} unless AWS has raised the quota "
                "'Rules per Application Load Balancer'"
            )


def differing(wanted: Mapping[str, Any], there: Mapping[str, Any], who: str, in_use: Iterable[str]) -> Problem | None:
    """What is wrong where a deployment wants a group's load balancer to be another than it is.

    Args:
        wanted: the deployment's IngressClassParams.
        there: those of the cluster.
        who: the deployment, for people.
        in_use: the other deployments of the group, as the annotation of their owner spells them.
    """
    owner = (there["metadata"].get("annotations") or {}).get(OWNER)
    mine = wanted["metadata"]["annotations"][OWNER]
    found, asked = _flat(there.get("spec") or {}), _flat(wanted["spec"])
    keys = sorted(key for key in found.keys() | asked.keys() if found.get(key) != asked.get(key))
    if not keys or owner == mine or (owner is not None and owner not in set(in_use)):
        return None
    key = keys[0]
    named = owner or f"the IngressClassParams {there['metadata']['name']}, which no deployment made"
    return Problem(
        f"{who} and {named} share the group {wanted['spec']['group']['name']} and want different load balancers",
        f"give both the same settings, and deploy {owner} first" if owner else "use the class of its owner (class = …)",
        Place(key="target.eks"),
        expected=f"{key} = {found.get(key, 'unset')}, as it is",
        found=f"{key} = {asked.get(key, 'unset')}",
    )


def _flat(spec: Mapping[str, Any], head: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in spec.items():
        match value:
            case Mapping():
                flat |= _flat(value, f"{head}{key}.")
            case [{"key": _, "value": _}, *_]:
                flat |= {str(one["key"]): str(one["value"]) for one in value}
            case list():
                flat[f"{head}{key}"] = ", ".join(map(str, value))
            case _:
                flat[f"{head}{key}"] = str(value)
    return flat


def platform_problems(name: str, known: Classes, *, scheme: str | None, idle: int, timeout: float) -> Iterator[Problem]:
    """What is wrong with a class that somebody else looks after.

    Args:
        name: the class.
        known: the cluster's classes.
        scheme: who is meant to reach the load balancer, where the manifest says so.
        idle: the idle timeout that the server was configured for, in seconds.
        timeout: the longest call, in seconds.
    """
    if name not in known.params:
        yield Problem(
            f"the cluster has no IngressClass {name} of the AWS Load Balancer Controller",
            "install the controller, or name one of the cluster's classes in class of [target.eks]",
            Place(key="target.eks.class"),
            found=", ".join(sorted(known.params)) or "no class of that controller",
        )
        return
    params = known.params[name]
    if scheme is not None and params.get("scheme") not in {None, scheme}:
        yield Problem(
            f"the load balancer of the class {name} is {params['scheme']}, and the manifest wants it to be {scheme}",
            "name another class, or say the scheme that it has",
            Place(key="target.eks.scheme"),
            expected=scheme,
            found=str(params["scheme"]),
        )
    has = {str(one["key"]): str(one["value"]) for one in params.get("loadBalancerAttributes") or ()}
    cuts = has.get("idle_timeout.timeout_seconds")
    if cuts is not None and cuts.isdecimal() and not timeout < int(cuts) <= idle:
        yield Problem(
            f"the load balancer of the class {name} cuts a connection after {cuts} s of silence, "
            f"a call may take {timeout:g} s, and the server is made for {idle} s",
            f'set idle_timeout = "{cuts}s" in [target.eks], with a serve.timeout below it',
            Place(key="target.eks.idle_timeout"),
        )
