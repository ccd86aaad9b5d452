"""A canary: a second Deployment of the tool's, which gets more calls by steps while it is watched.

Where what lets clients in weighs calls, the canary has a Service of its own, and its share is exact. Elsewhere its Pods
join the tool's Service, which sends to all Pods alike, so a share of the Pods is that share of the calls. They are
those that the tool's own Deployment is about to get. A canary is there from the first step until the Deployment has
replaced its Pods, and never longer than a deploy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mcp_packager.errors import Problem, WorldError
from mcp_packager.target import DesiredInput, Outcome, Release, Resource, Value
from mcp_targets._kube.applying import Applying
from mcp_targets._kube.failing import FEWEST, Tally, tallied
from mcp_targets._kube.kinds import BY_NAME, CANARY, PODS
from mcp_targets._kube.leading import Leading, Way
from mcp_targets._kube.names import TRIED, Names
from mcp_targets._kube.objects import Objects
from mcp_targets._kube.projection import OBJECT
from mcp_targets._kube.rollout import Rollout
from mcp_targets._kube.shares import HOW, beside, doors
from mcp_targets._kube.site import Object, Sharing, Steps

_MOST: Final = 100
_INSTANCE: Final = "app.kubernetes.io/instance"


def canary(request: DesiredInput, made: Object, by: Sharing) -> Object:
    """The Deployment of a canary, of the tool's own as it is after patches. How many copies, is said by each step."""
    names = Names(request.identity)
    spec = {key: value for key, value in made["spec"].items() if key != "replicas"}
    marked = {TRIED: "true", **({} if by is Sharing.PODS else names.selector(names.of(CANARY)))}
    template = spec["template"]
    metadata = {**template["metadata"], "labels": {**template["metadata"]["labels"], **marked}}
    selector = {**spec["selector"]["matchLabels"], **marked}
    return {
        **made,
        "metadata": {
            **made["metadata"],
            "name": names.of(CANARY),
            "labels": {**made["metadata"].get("labels", {}), **marked},
        },
        "spec": {
            **spec,
            "selector": {"matchLabels": selector},
            "template": {**template, "metadata": metadata, "spec": _spread(template["spec"], names, marked)},
        },
    }


def _spread(pod: Mapping[str, Any], names: Names, marked: Mapping[str, str]) -> Mapping[str, Any]:
    """The Pod, kept apart from others with its own labels."""
    spread = pod.get("topologySpreadConstraints")
    own, counted = ({"matchLabels": names.selector(instance)} for instance in (None, marked.get(_INSTANCE)))
    if not spread or own == counted:
        return pod
    apart = [{**each, "labelSelector": counted} if each.get("labelSelector") == own else each for each in spread]
    return {**pod, "topologySpreadConstraints": apart}


def tried(steps: Steps, tool: Sequence[Object], made: Object, service: str) -> dict[str, Value]:
    """What a canary's resource says beside its object: its steps, the Deployment ``of`` which it is one, its way.

    Args:
        steps: how it is tried.
        tool: all objects of the tool, after patches.
        made: the canary.
        service: the tool's own.
    """
    (of,) = (item["metadata"]["name"] for item in tool if item["kind"] == "Deployment")
    how: dict[str, Value] = {
        "of": of,
        "steps": list(steps.shares),
        "hold": steps.hold,
        "errors": steps.errors,
        "metrics": steps.metrics,
        "by": steps.by.value,
    }
    if steps.by is not Sharing.PODS:
        name, selector = made["metadata"]["name"], made["spec"]["selector"]["matchLabels"]
        let_in = () if steps.by is Sharing.NGINX else doors(tool, service)
        how |= {
            "service": service,
            "doors": [f"{item['kind'].lower()}/{item['metadata']['name']}" for item in let_in],
            "beside": beside(tool, service, name, selector, steps.by),
        }
    return {HOW: how}


def said(by: Sharing) -> str:
    """What gives a canary its share, for the plan."""
    match by:
        case Sharing.PODS:
            return "its share of the calls is its share of the Pods"
        case Sharing.ALB:
            return "its share of the calls is the weight of a second target group"
        case Sharing.NGINX:
            return "its share of the calls is the weight of a second Ingress of ingress-nginx"
        case Sharing.ROUTE:
            return "its share of the calls is a weight of the HTTPRoute"


def is_canary(thing: Mapping[str, Any]) -> bool:
    """Whether a Deployment or a Pod is a canary's."""
    return TRIED in (thing["metadata"].get("labels") or {})


def copies(others: int, share: int) -> int:
    """How many Pods beside ``others`` get ``share`` percent of the calls, as nearly as whole Pods can; at least one."""
    return max(1, round(others * share / (_MOST - share)))


def needed(others: int, share: int) -> int:
    """How many Pods take ``share`` percent of the calls, each as many as one of ``others`` had before."""
    return max(1, math.ceil(others * share / _MOST))


def served(releases: Sequence[Release], wanted: Mapping[str, Any]) -> bool:
    """Whether the image and config of a Deployment were those of a release: clients have got them before."""
    return any(
        _version(resource.fields[OBJECT]) == _version(wanted)
        for release in releases
        if release.outcome is Outcome.DEPLOYED
        for resource in release.intent.resources
        if resource.kind == "deployment"
    )


def _version(thing: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    pod = thing["spec"]["template"]["spec"]
    images = [container.get("image") for container in pod.get("containers", ())]
    configs = [volume["configMap"].get("name") for volume in pod.get("volumes", ()) if "configMap" in volume]
    return images, configs


@dataclass(frozen=True, slots=True)
class Canaries:
    """Tries new versions in one deployment's namespace. ``releases`` reads what was deployed before."""

    objects: Objects
    applying: Applying
    rollout: Rollout
    leading: Leading
    releases: Callable[[], Sequence[Release]]
    note: Callable[[str], None]

    def make(self, resource: Resource) -> Mapping[str, Value]:
        """Take the new version through its steps; it stays there with the copies of the last.

        Raises:
            WorldError: a Pod of it did not become ready or did not stay so, or too many of its calls failed.
        """
        wanted, how = resource.fields[OBJECT], resource.fields[HOW]
        sort = BY_NAME[CANARY]
        if self.objects.read(BY_NAME["deployment"], how["of"]) is None:
            self.note("nothing serves clients yet: there is no canary of a first version")
            return dict(resource.fields)
        if served(self.releases(), wanted):
            # One that is there is of what is gone back from.
            self.remove(resource.name, wait=False)
            self.note("this version has served clients before: there is no canary of it")
            return dict(resource.fields)
        self.applying.claim(sort, resource.name)
        way = Way.of(how, resource.name)
        self.leading.open(way, lambda: self._sized(wanted, 0))
        for share in how["steps"]:
            main = self.objects.read(BY_NAME["deployment"], how["of"]) or {"spec": {}}
            others = int(main["spec"].get("replicas", 1))
            count = copies(others, share) if way is None else needed(others, share)
            self._sized(wanted, count)
            self.rollout.deployment(resource.name)
            self.leading.lead(way, share, wanted["spec"]["selector"]["matchLabels"])
            self.note(f"canary: {count} of its Pods ready, for {share} % of the calls; watched for {how['hold']:g} s")
            self._watched(wanted, count, how)
        return dict(resource.fields)

    def _sized(self, wanted: Mapping[str, Any], count: int) -> None:
        self.applying.apply(BY_NAME[CANARY], {**wanted, "spec": {**wanted["spec"], "replicas": count}})

    def remove(self, name: str, *, wait: bool = True) -> None:
        """Take a canary away with all that was made for it; no call is sent to it any more when its Pods are to end.

        ``wait``: until they have answered what they had.
        """
        self.leading.leave(name, lambda: self.objects.delete(BY_NAME[CANARY], name, wait=wait))

    def _watched(self, wanted: Mapping[str, Any], count: int, how: Mapping[str, Any]) -> None:
        """Hold a step, and look at its Pods meanwhile."""
        own, before = wanted["spec"]["selector"]["matchLabels"], dict[str, Tally]()

        def look() -> None:
            pods = self.rollout.staying(own, count)
            if how["metrics"] is not None:
                self._compare({pod["metadata"]["name"] for pod in pods}, how, before)

        self.rollout.hold(how["hold"], look)

    def _compare(self, new: set[str], how: Mapping[str, Any], before: dict[str, Tally]) -> None:
        """Hold what failed since the first look against the same of the version before."""
        main = self.objects.read(BY_NAME["deployment"], how["of"])
        labels = {} if main is None else main["spec"]["selector"]["matchLabels"]
        every = ",".join(f"{key}={value}" for key, value in labels.items())
        old = {pod["metadata"]["name"] for pod in self.objects.listing(PODS, selector=every)} if every else set()
        there = sorted(new | old)
        now = tallied(self.objects, there, how["metrics"])
        grown = {name: tally.since(before.setdefault(name, tally)) for name, tally in now.items()}
        judge(
            sum((tally for name, tally in grown.items() if name in new), Tally()),
            sum((tally for name, tally in grown.items() if name not in new), Tally()),
            how["errors"],
        )


def judge(new: Tally, old: Tally, errors: float) -> None:
    """Refuse a version of which more calls fail than of the one before.

    Raises:
        WorldError: it is so.
    """
    if new.calls < FEWEST or new.share <= old.share + errors:
        return
    raise WorldError(
        Problem(
            f"of the canary's calls {new.failed} of {new.calls} failed",
            "mend what its log says (mcp-pack logs shows it as long as it is there), and deploy again",
            expected=f"at most {old.share + errors:.1%}; of the version before {old.failed} of {old.calls} failed",
            found=f"{new.share:.1%}",
        )
    )
