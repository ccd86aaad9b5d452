"""What network policies allow, by the rules of their API: a small evaluator over Pods and policies of one namespace.

https://kubernetes.io/docs/concepts/services-networking/network-policies/. No network of the tests' cluster enforces
policies, so they are judged here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mcp_targets._kube.site import Object


@dataclass(frozen=True)
class Pod:
    """A Pod of the policies' namespace."""

    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outside:
    """An address that is no Pod of the namespace."""

    address: str


Peer = Pod | Outside
Direction = Literal["Ingress", "Egress"]


def allowed(policies: Iterable[Object], source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether a connection may be made: whatever selects the source lets it out, and whatever the target, in."""
    known = list(policies)
    return _lets(known, source, target, "Egress", port, protocol) and _lets(
        known, target, source, "Ingress", port, protocol
    )


def _lets(policies: Sequence[Object], pod: Peer, other: Peer, way: Direction, port: int, protocol: str) -> bool:
    if not isinstance(pod, Pod):
        return True
    about = [
        policy["spec"]
        for policy in policies
        if way in policy["spec"]["policyTypes"] and _selects(policy["spec"]["podSelector"], pod)
    ]
    if not about:
        return True
    rules = [rule for spec in about for rule in spec.get(way.lower(), [])]
    side = "from" if way == "Ingress" else "to"
    return any(_has_port(rule, port, protocol) and _has_peer(rule, side, other) for rule in rules)


def _has_port(rule: Mapping[str, Any], port: int, protocol: str) -> bool:
    ports = rule.get("ports", [])
    return not ports or any(one.get("protocol", "TCP") == protocol and one.get("port", port) == port for one in ports)


def _has_peer(rule: Mapping[str, Any], side: str, other: Peer) -> bool:
    peers = rule.get(side, [])
    return not peers or any(_is_peer(peer, other) for peer in peers)


def _is_peer(peer: Mapping[str, Any], other: Peer) -> bool:
    match peer, other:
        case {"ipBlock": block}, Outside(address):
            where = ipaddress.ip_address(address)
            holds = where in ipaddress.ip_network(block["cidr"])
            return holds and not any(where in ipaddress.ip_network(cidr) for cidr in block.get("except", []))
        case {"podSelector": selector}, Pod():
            return _selects(selector, other)
        case _:
            return False


def _selects(selector: Mapping[str, Any], pod: Pod) -> bool:
    wanted: Mapping[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= pod.labels.items()
