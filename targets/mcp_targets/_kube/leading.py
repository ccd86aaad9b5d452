"""Leading a share of the calls to a canary by weights, and all of them back again.

A change of a door is server-side apply of what is there with other weights, in our name: a plan shows what a deploy
that was killed left of it, and the next one takes it back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp_packager.errors import Problem, UserError
from mcp_packager.target import Key, Plan
from mcp_targets._kube.applying import Applying
from mcp_targets._kube.client import ApiError
from mcp_targets._kube.kinds import BINDINGS, BY_NAME, CANARY, PODS, sort_of
from mcp_targets._kube.names import Names
from mcp_targets._kube.objects import Objects
from mcp_targets._kube.projection import held
from mcp_targets._kube.rollout import Rollout
from mcp_targets._kube.shares import (
    HOW,
    NGINX_CLASS,
    is_second,
    is_weighed,
    reweighed,
    scaled_both_ways,
    scaled_up_alone,
    unweighed,
    weighed,
)
from mcp_targets._kube.site import Object, Sharing

REGISTERED: Final = 60.0
"""Longest wait, in seconds, for a load balancer to know a new Service."""
UNGATED: Final = 40.0
"""Seconds in which a load balancer finds a target healthy of which no Pod's readiness says it: the controller hears of
the target and registers it, and the load balancer asks it twice."""
_DOORS: Final = ("ingress", "httproute")
_AUTOSCALER: Final = "horizontalpodautoscaler"
_BESIDE: Final = ("ingress", "targetgroupconfiguration", "service")
"""What stands beside a canary, in the order in which it goes."""


@dataclass(frozen=True, slots=True)
class Way:
    """How calls get to a canary whose share is weighed. ``doors`` are changed, ``beside`` is made for it."""

    by: Sharing
    service: str
    tried: str
    doors: tuple[Key, ...]
    beside: tuple[Object, ...]

    @classmethod
    def of(cls, how: Mapping[str, Any], tried: str) -> Way | None:
        """As a canary's resource says it; ``None`` where its share is that of its Pods."""
        by = Sharing(how.get("by", Sharing.PODS))
        if by is Sharing.PODS:
            return None
        keys = tuple(Key(*door.split("/", 1)) for door in how["doors"])
        return cls(by, how["service"], tried, keys, tuple(how["beside"]))


def judged(plan: Plan, objects: Objects) -> Iterator[str]:
    """Whether a canary of the plan gets its share; the lines say what could not be seen.

    Raises:
        UserError: it is to be ingress-nginx, and the class is another controller's: two Ingresses would be in conflict.
    """
    wanted = (change.resource for change in plan.changes if change.key.kind == CANARY)
    beside = [thing for one in wanted if one is not None for thing in one.fields[HOW].get("beside", ())]
    sort = BY_NAME["ingressclass"]
    for name in sorted({second["spec"]["ingressClassName"] for second in beside if is_second(second)}):
        try:
            there = objects.read(sort, name)
        except ApiError:
            yield f"whether the class {name} is ingress-nginx's could not be seen"
            continue
        controller = "nobody" if there is None else there["spec"].get("controller")
        if controller != NGINX_CLASS:
            raise UserError(
                Problem(
                    f"the steps of a canary are to be weights, and of the class {name} nobody knows how it takes them",
                    'let its share of the Pods be its share of the calls: by = "pods" under canary',
                    expected=NGINX_CLASS,
                    found=controller,
                )
            )


class Leading:
    """Leads calls to canaries in one deployment's namespace."""

    def __init__(
        self, objects: Objects, applying: Applying, rollout: Rollout, names: Names, note: Callable[[str], None]
    ) -> None:
        self._objects = objects
        self._applying = applying
        self._rollout = rollout
        self._names = names
        self._note = note

    def open(self, way: Way | None, make: Callable[[], None]) -> None:
        """Make the way, with no call on it yet: a load balancer tells of those Pods alone that it knew of before.

        ``make`` makes the canary without Pods, so that whoever finds it knows that there is something to take away.
        """
        if way is None:
            return
        make()
        for autoscaler in self._objects.listing(BY_NAME[_AUTOSCALER]):
            self._applying.apply(BY_NAME[_AUTOSCALER], scaled_up_alone(held(autoscaler)))
        for thing in way.beside:
            sort = sort_of(thing["kind"].lower())
            self._applying.claim(sort, thing["metadata"]["name"])
            self._applying.apply(sort, thing)
        self._weigh(way, 0)
        if way.by is Sharing.ALB:
            self._until_registered(way.tried)

    def lead(self, way: Way | None, share: int, labels: Mapping[str, str]) -> None:
        """Send a share of the calls to the Pods with these labels, which are ready.

        Raises:
            WorldError: nobody waits any more.
        """
        if way is None:
            return
        if way.by is Sharing.ALB and not self._are_gated(labels):
            self._note(f"no Pod of the canary waits for the load balancer to find it healthy: it gets {UNGATED:g} s")
            self._rollout.hold(UNGATED, lambda: None)
        self._weigh(way, share)

    def leave(self, tried: str, end: Callable[[], None]) -> None:
        """Send no call to a canary any more, have it ``end``, and take its way away."""
        self._back(lambda door: weighed(door, self._names.base, tried, 0))
        second = self._second(tried)
        if second is not None:
            self._applying.apply(BY_NAME["ingress"], reweighed(held(second), 0))
        end()
        self._back(lambda door: unweighed(door, self._names.base, tried))
        self._back(scaled_both_ways, (_AUTOSCALER,))
        for name in _BESIDE:
            sort = BY_NAME[name]
            there = self._objects.listing(sort) if self._objects.installed(sort) else ()
            if any(thing["metadata"]["name"] == tried for thing in there):
                self._objects.delete(sort, tried)

    def _back(self, change: Callable[[Mapping[str, Any]], Object], kinds: tuple[str, ...] = _DOORS) -> None:
        for name in kinds:
            sort = BY_NAME[name]
            if not self._objects.installed(sort):
                continue
            for door in self._objects.listing(sort):
                if is_weighed(door):
                    self._applying.apply(sort, change(held(door)))

    def _second(self, tried: str) -> Any | None:
        found = self._objects.listing(BY_NAME["ingress"])
        return next((item for item in found if item["metadata"]["name"] == tried and is_second(item)), None)

    def _weigh(self, way: Way, share: int) -> None:
        for key in way.doors:
            door = self._objects.read(sort_of(key.kind), key.name)
            if door is not None:
                self._applying.apply(sort_of(key.kind), weighed(held(door), way.service, way.tried, share))
        for thing in way.beside:
            if is_second(thing):
                self._applying.apply(BY_NAME["ingress"], reweighed(thing, share))

    def _until_registered(self, tried: str) -> None:
        """Wait until the load balancer's controller has made a target group of the canary's Service."""
        if not self._objects.installed(BINDINGS):
            return
        give_up = time.monotonic() + REGISTERED
        while time.monotonic() < give_up:
            try:
                found = self._objects.listing(BINDINGS, selector="")
            except ApiError:
                return  # who may not look waits for the targets, in the place of their group
            if any(each["spec"]["serviceRef"]["name"] == tried for each in found):
                return
            self._rollout.hold(0.3, lambda: None)
        self._note(f"the load balancer's controller has made no target group of {tried} in {REGISTERED:g} s")

    def _are_gated(self, labels: Mapping[str, str]) -> bool:
        wanted = ",".join(f"{key}={value}" for key, value in labels.items())
        pods = self._objects.listing(PODS, selector=wanted)
        return bool(pods) and all(pod["spec"].get("readinessGates") for pod in pods)
