"""The model of Ingresses of a plain class, as ingress-nginx serves them: no health checks of its own, no delay."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tests.cluster.alb.model import (
    Balancer,
    BuildError,
    Fixed,
    Forward,
    Listener,
    Object,
    Redirect,
    Refused,
    Rule,
    Snapshot,
    TargetGroup,
    class_of,
    controlled,
    name_of,
    patterns,
    pod_targets,
    port_of,
    service_of,
)

CONTROLLER = "k8s.io/ingress-nginx"
PREFIX = "nginx.ingress.kubernetes.io/"
KEY = "nginx"
_NOT_FOUND = Fixed(404)
_IDLE = 75.0
"""How long nginx keeps a client's idle connection where nobody says otherwise."""
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def balancers(snapshot: Snapshot) -> Iterator[Balancer | Refused]:
    """The one that serves all Ingresses; one that it cannot read is left away, and the others are served."""
    classes = controlled(snapshot, CONTROLLER)
    mine = [ingress for ingress in snapshot.ingresses if class_of(ingress) in classes]
    groups: dict[str, TargetGroup] = {}
    found: list[tuple[int, int, Rule]] = []
    seconds: list[tuple[Rule, int]] = []
    certificates: dict[str, tuple[str, str]] = {}
    redirected: set[str] = set()
    owners = []
    for ingress in sorted(mine, key=name_of):
        try:
            made = list(_rules(snapshot, ingress, groups))
            pairs = _certificates(snapshot, ingress)
        except BuildError as error:
            yield Refused(f"{KEY} {'/'.join(name_of(ingress))}", (name_of(ingress),), "Rejected", str(error))
            continue
        owners.append(name_of(ingress))
        if _said(ingress, "canary", "false") == "true":
            # It has no paths of its own, and nothing else of it counts.
            seconds += [(rule, int(_said(ingress, "canary-weight", "0"))) for _, _, rule in made]
            continue
        found += made
        certificates |= pairs
        secured = {host for entry in ingress["spec"].get("tls", []) for host in entry.get("hosts", [])}
        if _said(ingress, "ssl-redirect", "true") == "true":
            redirected |= secured
    # Exact before prefix, longer before shorter.
    rules = tuple(_shared(rule, seconds, groups) for _, _, rule in sorted(found, key=lambda each: each[:2]))
    plain = [Rule((host,), ("/*",), Redirect(308)) for host in sorted(redirected)]
    listeners = {"http": Listener((*plain, *rules), _NOT_FOUND), "https": Listener(rules, _NOT_FOUND)}
    if owners:
        yield Balancer(KEY, tuple(owners), _IDLE, listeners, groups, certificates)


def _rules(snapshot: Snapshot, ingress: Object, groups: dict[str, TargetGroup]) -> Iterator[tuple[int, int, Rule]]:
    namespace, _ = name_of(ingress)
    silence = float(_said(ingress, "proxy-read-timeout", "60"))
    body = _bytes(_said(ingress, "proxy-body-size", "1m"))
    for rule in ingress["spec"].get("rules", []):
        hosts = (rule["host"],) if rule.get("host") else ()
        for entry in rule.get("http", {}).get("paths", []):
            path, kind = entry.get("path", "/"), entry["pathType"]
            backend = entry["backend"]["service"]
            service = service_of(snapshot, namespace, backend["name"])
            port = port_of(service, backend["port"])
            name = f"{namespace}-{backend['name']}-{port['port']}"
            targets = pod_targets(snapshot, service, port, None)
            groups[name] = TargetGroup(name, name_of(service), port["port"], "ip", targets, None, 0.0)
            kind = "Prefix" if kind == "ImplementationSpecific" else kind
            made = Rule(hosts, patterns(path, kind), Forward(((name, 1),)), body, silence)
            yield (0 if kind == "Exact" else 1, -len(path), made)


def _shared(rule: Rule, seconds: Sequence[tuple[Rule, int]], groups: Mapping[str, TargetGroup]) -> Rule:
    """The rule with the share of a second Ingress for the same host and path; of one without Pods nobody gets any."""
    for second, weight in seconds:
        if (second.hosts, second.paths) == (rule.hosts, rule.paths):
            (first, _), (other, _) = _only(rule), _only(second)
            return (
                replace(rule, action=Forward(((first, 100 - weight), (other, weight))))
                if groups[other].targets
                else rule
            )
    return rule


def _only(rule: Rule) -> tuple[str, int]:
    assert isinstance(rule.action, Forward)
    return rule.action.groups[0]


def _certificates(snapshot: Snapshot, ingress: Object) -> dict[str, tuple[str, str]]:
    namespace, _ = name_of(ingress)
    found: dict[str, tuple[str, str]] = {}
    for entry in ingress["spec"].get("tls", []):
        # Without its Secret the controller shows a certificate that nobody trusts.
        secret = snapshot.secrets.get((namespace, entry.get("secretName", "")))
        if secret is not None:
            texts = [base64.b64decode(secret["data"][key]).decode() for key in ("tls.crt", "tls.key")]
            found |= dict.fromkeys(entry.get("hosts", []), (texts[0], texts[1]))
    return found


def _said(ingress: Object, key: str, usual: str) -> str:
    return str(ingress["metadata"].get("annotations", {}).get(PREFIX + key, usual))


def _bytes(said: str) -> int:
    match = re.fullmatch(r"(\d+)([kmg]?)", said.lower())
    if match is None:
        raise BuildError(f"no size: {said}")
    return int(match[1]) * _UNITS[match[2]]
