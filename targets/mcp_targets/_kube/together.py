"""What tools of one run would do to each other at a cluster's door. Pure: from intents to problems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mcp_packager.errors import Place, Problem
from mcp_packager.target import Intent
from mcp_targets._kube.projection import OBJECT


def objects(intent: Intent, kind: str) -> list[Any]:
    """The objects of a resource kind that a deploy wants."""
    return [resource.fields[OBJECT] for resource in intent.resources if resource.kind == kind]


def clashing(intent: Intent, others: Sequence[Intent]) -> tuple[Problem, ...]:
    """Hosts and paths that another tool of the run claims at the same door: one of the two would get no call."""
    mine = set(_claims(intent))
    found = ((other, mine & set(_claims(other))) for other in others)
    return tuple(_clash(intent, other, claimed) for other, claimed in found if claimed)


def _clash(intent: Intent, other: Intent, claimed: set[tuple[str, str, str]]) -> Problem:
    # The shortest path is the endpoint's: the others lead to what is told about it.
    door, host, path = min(claimed, key=lambda claim: (len(claim[2]), claim))
    return Problem(
        f"{intent.identity} and {other.identity} both claim {host}{path} at {door}: one of them would get no call",
        "give one of them another host or another path (serve.path)",
        Place(key=f"target.{intent.target}.host"),
    )


def _claims(intent: Intent) -> Iterator[tuple[str, str, str]]:
    """Door, host and path of everything that clients are let in by."""
    for ingress in objects(intent, "ingress"):
        spec = ingress["spec"]
        for rule in spec.get("rules") or ():
            for path in (rule.get("http") or {}).get("paths") or ():
                yield f"the class {spec.get('ingressClassName')}", str(rule.get("host", "*")).lower(), str(path["path"])
    for route in objects(intent, "httproute"):
        spec = route["spec"]
        for parent in spec.get("parentRefs") or ():
            door = f"the Gateway {parent.get('namespace')}/{parent['name']}"
            for host in spec.get("hostnames") or ("*",):
                for rule in spec.get("rules") or ():
                    for match in rule.get("matches") or ():
                        yield door, str(host).lower(), str((match.get("path") or {}).get("value", "/"))
