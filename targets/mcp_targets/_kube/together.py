"""What tools would do to each other at a cluster's door. Pure: from what is wanted and what is there to problems.

An Ingress controller takes the same host and path from two Ingresses and serves one of them; of two routes of the
Gateway API the older one wins (https://gateway-api.sigs.k8s.io/reference/spec/#httprouterule). Neither says so to
anybody, so it is looked for before anything is applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mcp_packager.errors import Place, Problem
from mcp_packager.target import Intent
from mcp_targets._kube.projection import OBJECT
from mcp_targets._kube.shares import is_second

DOORS: Final = ("ingress", "httproute")
"""Resource kinds by which clients are let in."""

_OLD_CLASS: Final = "kubernetes.io/ingress.class"


@dataclass(frozen=True, slots=True)
class Claim:
    """A host and path that clients are let in by. ``part``: one listener of the door's; ``None`` for all of them."""

    door: str
    host: str
    path: str
    part: str | None = None

    def meets(self, other: Claim) -> bool:
        """Whether a call could be meant for either."""
        same = (self.door, self.host, self.path) == (other.door, other.host, other.path)
        return same and (self.part is None or other.part is None or self.part == other.part)


def objects(intent: Intent, kind: str) -> list[Any]:
    """The objects of a resource kind that a deploy wants."""
    return [resource.fields[OBJECT] for resource in intent.resources if resource.kind == kind]


def clashing(intent: Intent, others: Sequence[Intent]) -> tuple[Problem, ...]:
    """Hosts and paths that another tool of the run claims at the same door: one of the two would get no call."""
    mine = _claimed(intent)
    found = ((str(other.identity), _met(mine, _claimed(other))) for other in others)
    where = Place(key=f"target.{intent.target}.host")
    return tuple(_clash(str(intent.identity), other, met, where) for other, met in found if met)


def occupied(who: str, wanted: Iterable[Any], there: Iterable[Any]) -> tuple[Problem, ...]:
    """Hosts and paths of wanted Ingresses and routes that something of the cluster has already.

    Args:
        who: whose they are, for people.
        wanted: the objects that a deploy is to leave.
        there: those of the cluster; what would be these very objects is in nobody's way.
    """
    wanted = list(wanted)
    own = {_title(item) for item in wanted}
    mine = [claim for item in wanted for claim in claims(item)]
    found = ((item, _met(mine, list(claims(item)))) for item in there if _title(item) not in own)
    return tuple(_clash(who, named(item), met, found=_title(item)) for item, met in found if met)


def _claimed(intent: Intent) -> list[Claim]:
    return [claim for kind in DOORS for item in objects(intent, kind) for claim in claims(item)]


def _met(mine: Sequence[Claim], theirs: Sequence[Claim]) -> list[Claim]:
    return [claim for claim in mine if any(claim.meets(other) for other in theirs)]


def _clash(who: str, other: str, met: Sequence[Claim], where: Place | None = None, found: str | None = None) -> Problem:
    # The shortest path is the endpoint's: the others lead to what is told about it.
    claim = min(met, key=lambda one: (len(one.path), one.path, one.door))
    return Problem(
        f"{who} and {other} both claim {claim.host}{claim.path} at {claim.door}: one of them would get no call",
        "give one of them another host or another path (serve.path)",
        where or Place(),
        found=found,
    )


def named(item: Mapping[str, Any]) -> str:
    """Whose an object is, for people: a deployment of ours by its labels, all else by its own name."""
    labels = item["metadata"].get("labels") or {}
    parts = [labels.get(f"mcp-pack/{part}") for part in ("project", "tool", "stage")]
    if None in parts:
        return f"the {_title(item)}"
    project, tool, stage = parts
    return f"{tool} ({stage})" if project == tool else f"{project}/{tool} ({stage})"


def _title(item: Mapping[str, Any]) -> str:
    metadata = item["metadata"]
    return f"{item['kind']} {metadata.get('namespace', 'default')}/{metadata['name']}"


def claims(item: Mapping[str, Any]) -> Iterator[Claim]:
    """What an Ingress or an HTTPRoute lets clients in by. What is a part of another Ingress claims nothing itself."""
    if is_second(item):
        return
    if item["kind"] == "Ingress":
        yield from _of_ingress(item)
    else:
        yield from _of_route(item)


def _of_ingress(item: Mapping[str, Any]) -> Iterator[Claim]:
    spec = item.get("spec") or {}
    name = spec.get("ingressClassName") or (item["metadata"].get("annotations") or {}).get(_OLD_CLASS)
    for rule in spec.get("rules") or ():
        for path in (rule.get("http") or {}).get("paths") or ():
            yield Claim(f"the class {name}", str(rule.get("host", "*")).lower(), _plain(path.get("path")))


def _of_route(item: Mapping[str, Any]) -> Iterator[Claim]:
    spec = item.get("spec") or {}
    where = str(item["metadata"].get("namespace", "default"))
    matches: list[Any] = [match for rule in spec.get("rules") or () for match in rule.get("matches") or [{}]]
    paths = [path for path in map(_everybodys, matches) if path is not None]
    for parent in spec.get("parentRefs") or ():
        if parent.get("kind", "Gateway") != "Gateway" or _turned_away(item, parent):
            continue
        door = f"the Gateway {parent.get('namespace', where)}/{parent['name']}"
        part = parent.get("sectionName")
        for host in spec.get("hostnames") or ("*",):
            yield from (Claim(door, str(host).lower(), path, part) for path in paths)


def _everybodys(match: Mapping[str, Any]) -> str | None:
    """The path of a match that takes every call to it; one that looks at more than the path goes beside it."""
    path = match.get("path") or {}
    if path.get("type") == "RegularExpression" or any(match.get(key) for key in ("headers", "queryParams", "method")):
        return None
    return _plain(path.get("value"))


def _turned_away(item: Mapping[str, Any], parent: Mapping[str, Any]) -> bool:
    """Whether the Gateway has said that it does not serve the route."""
    keys = ("namespace", "name", "sectionName", "port")
    for said in (item.get("status") or {}).get("parents") or ():
        reference = said.get("parentRef") or {}
        if all(reference.get(key) == parent.get(key) for key in keys):
            return any(
                one.get("type") == "Accepted" and one.get("status") == "False" for one in said.get("conditions") or ()
            )
    return False


def _plain(path: Any) -> str:
    return str(path or "/").rstrip("/") or "/"
