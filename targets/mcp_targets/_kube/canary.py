"""A canary: a second Deployment behind the tool's Service, which grows by steps while it is watched.

A Service sends to all Pods alike, whatever stands in front of it, so a share of the Pods is that share of the calls.
The canary's Pods are those that the tool's own Deployment is about to get. It is there from the first step until the
Deployment has replaced its Pods, and never longer than a deploy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mcp_packager.errors import Problem, WorldError
from mcp_packager.target import DesiredInput, Outcome, Release, Resource, Value
from mcp_targets._kube.applying import Applying
from mcp_targets._kube.failing import FEWEST, Tally, tallied
from mcp_targets._kube.kinds import BY_NAME, CANARY, PODS
from mcp_targets._kube.names import TRIED, Names
from mcp_targets._kube.objects import Objects
from mcp_targets._kube.projection import OBJECT
from mcp_targets._kube.rollout import Rollout
from mcp_targets._kube.site import Object, Steps

_HOW: Final = "tried"
"""Field of a canary's resource: how it is tried."""
_MOST: Final = 100


def canary(request: DesiredInput, made: Object) -> Object:
    """The Deployment of a canary, of the tool's own as it is after patches. How many copies, is said by each step."""
    names = Names(request.identity)
    spec = {key: value for key, value in made["spec"].items() if key != "replicas"}
    template, marked = spec["template"], {TRIED: "true"}
    metadata = {**template["metadata"], "labels": {**template["metadata"]["labels"], **marked}}
    return {
        **made,
        "metadata": {
            **made["metadata"],
            "name": names.of(CANARY),
            "labels": {**made["metadata"].get("labels", {}), **marked},
        },
        "spec": {
            **spec,
            "selector": {"matchLabels": {**spec["selector"]["matchLabels"], **marked}},
            "template": {**template, "metadata": metadata},
        },
    }


def tried(steps: Steps, of: str) -> dict[str, Value]:
    """What a canary's resource says beside its object: the steps, and the Deployment ``of`` which it is one."""
    return {
        _HOW: {
            "of": of,
            "steps": list(steps.shares),
            "hold": steps.hold,
            "errors": steps.errors,
            "metrics": steps.metrics,
        }
    }


def is_canary(thing: Mapping[str, Any]) -> bool:
    """Whether a Deployment or a Pod is a canary's."""
    return TRIED in (thing["metadata"].get("labels") or {})


def copies(others: int, share: int) -> int:
    """How many Pods beside ``others`` get ``share`` percent of the calls, as nearly as whole Pods can; at least one."""
    return max(1, round(others * share / (_MOST - share)))


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
    releases: Callable[[], Sequence[Release]]
    note: Callable[[str], None]

    def make(self, resource: Resource) -> Mapping[str, Value]:
        """Take the new version through its steps; it stays there with the copies of the last.

        Raises:
            WorldError: a Pod of it did not become ready or did not stay so, or too many of its calls failed.
        """
        wanted, how = resource.fields[OBJECT], resource.fields[_HOW]
        sort = BY_NAME[CANARY]
        if self.objects.read(BY_NAME["deployment"], how["of"]) is None:
            self.note("nothing serves clients yet: there is no canary of a first version")
            return dict(resource.fields)
        if served(self.releases(), wanted):
            # One that is there is of what is gone back from.
            self.objects.delete(sort, resource.name, wait=False)
            self.note("this version has served clients before: there is no canary of it")
            return dict(resource.fields)
        self.applying.claim(sort, resource.name)
        for share in how["steps"]:
            main = self.objects.read(BY_NAME["deployment"], how["of"]) or {"spec": {}}
            count = copies(int(main["spec"].get("replicas", 1)), share)
            self.applying.apply(sort, {**wanted, "spec": {**wanted["spec"], "replicas": count}})
            self.rollout.deployment(resource.name)
            self.note(f"canary: {count} of its Pods ready, for {share} % of the calls; watched for {how['hold']:g} s")
            self._watched(wanted, count, how)
        return dict(resource.fields)

    def _watched(self, wanted: Mapping[str, Any], count: int, how: Mapping[str, Any]) -> None:
        """Hold a step, and look at its Pods meanwhile."""
        own, before = wanted["spec"]["selector"]["matchLabels"], dict[str, Tally]()

        def look() -> None:
            pods = self.rollout.staying(own, count)
            if how["metrics"] is not None:
                self._compare({pod["metadata"]["name"] for pod in pods}, own, how, before)

        self.rollout.hold(how["hold"], look)

    def _compare(self, new: set[str], own: Mapping[str, str], how: Mapping[str, Any], before: dict[str, Tally]) -> None:
        """Hold what failed since the first look against the same of the version before."""
        every = ",".join(f"{key}={value}" for key, value in own.items() if key != TRIED)
        there = [pod["metadata"]["name"] for pod in self.objects.listing(PODS, selector=every)]
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
