"""Waiting until Pods are ready, or until it is known that they will not be, with the reason and their words."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mcp_packager.errors import PackError, Problem, WorldError
from mcp_targets._kube.client import ApiError
from mcp_targets._kube.kinds import BY_NAME, EVENTS, PODS, Sort
from mcp_targets._kube.names import TRIED
from mcp_targets._kube.objects import Objects
from mcp_targets._kube.reasons import Why, is_ready, of_events, of_pod, of_workload, rolled_out, set_up

_LOOK: Final = 0.25
_NEAR: Final = 0.1
"""Seconds between two looks at the one Pod that all else waits for."""
_SLACK: Final = 60.0
"""Seconds beside its probes' patience that a Pod has: a node is found or made, the image is pulled."""
_BREATH: Final = 5.0
"""Seconds beside its probes' patience that a Pod has once it runs: they begin at any time, and take theirs."""
_LOG_LINES: Final = 20
_LIMIT: Final = 16 * 1024
_TOLD_TO_END: Final = (0, 137, 143)
"""Exit codes of a process that was told to end, and did so or was killed."""
_REVISION: Final = "pod-template-hash"


class Rollout:
    """Waits for the Pods of one deployment. Each new reason is told in the moment that it is known."""

    def __init__(self, objects: Objects, note: Callable[[str], None]) -> None:
        self._objects = objects
        self._note = note
        self._hurried = threading.Event()

    def hurry(self, *, now: bool = True) -> None:
        """Give up every wait, or wait again."""
        if now:
            self._hurried.set()
        else:
            self._hurried.clear()

    def _pause(self, what: str, seconds: float = _LOOK) -> None:
        if self._hurried.wait(seconds):
            raise WorldError(Problem(f"{what} was no longer waited for", "run the same command again"))

    def candidate(self, name: str) -> Any:
        """Wait until the candidate is ready, and answer it.

        Raises:
            WorldError: it will not be, or is not in time.
        """
        pod = self._objects.read(PODS, name)
        spec = (pod or {}).get("spec") or {}
        give_up, runs = time.monotonic() + patience(spec), False
        told = _Told(self._note)
        while True:
            if pod is None:
                raise WorldError(Problem(f"the candidate {name} is gone", "deploy again; look who removes Pods there"))
            if is_ready(pod):
                return pod
            why = of_pod(pod)
            if why is not None:
                told(why)
                if why.final or why.crashed:
                    raise self._failed("the candidate", why)
            if not runs and _runs(pod):
                give_up, runs = time.monotonic() + patience(spec, running=True), True
            if time.monotonic() > give_up:
                raise self._late("the candidate", [pod], why)
            self._pause("the candidate", _NEAR)
            pod = self._objects.read(PODS, name)

    def deployment(self, name: str) -> Any:
        """Wait until a Deployment's rollout is done, and answer it.

        Raises:
            WorldError: it failed, or is not done within its ``progressDeadlineSeconds``.
        """
        done = self._settled(BY_NAME["deployment"], name, rolled_out)
        self._until_unasked(done)
        return done

    def _until_unasked(self, deployment: Mapping[str, Any]) -> None:
        """Wait until no request is sent to the Pods that go.

        Whatever stands in front of them learns of it a little later than the Deployment counts them out: as long as
        they pause before their end.
        """
        pause = max(map(_pause_before_end, deployment["spec"]["template"]["spec"]["containers"]), default=0.0)
        give_up = time.monotonic() + pause
        while time.monotonic() < give_up and any(map(_ends, self._pods_of(deployment))):
            self._pause(f"Deployment {deployment['metadata']['name']}")

    def until_ended(self, labels: Mapping[str, str]) -> None:
        """Wait until Pods that were told to end have ended: they answer what they had, with what they may do.

        A Pod that is still there when its grace period is long over is waited for no more.
        """
        began = time.monotonic()
        while True:
            ending = [pod for pod in self._selected(labels) if _ends(pod)]
            grace = max((float(pod["spec"].get("terminationGracePeriodSeconds") or 0) for pod in ending), default=0.0)
            if not ending or time.monotonic() > began + grace + _BREATH:
                return
            self._pause("the end of the Pods before")

    def hold(self, seconds: float, look: Callable[[], None]) -> None:
        """Look again and again for so long, and once more at the end.

        Raises:
            WorldError: what ``look`` raises, or nobody waits any more.
        """
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            look()
            self._pause("the canary", min(_BREATH, max(_LOOK, give_up - time.monotonic())))
        look()

    def staying(self, labels: Mapping[str, str], count: int) -> list[Any]:
        """The Pods, as long as there are ``count`` that have been ready ever since they began.

        Raises:
            WorldError: one is not; its last words are told.
        """
        pods = [pod for pod in self._selected(labels) if not _ends(pod)]
        why = next((found for found in map(of_pod, pods) if found is not None), None)
        if why is not None:
            raise self._failed("a Pod of the canary", why)
        restarted = next((pod for pod in pods if _restarts(pod)), None)
        if restarted is not None:
            name = restarted["metadata"]["name"]
            again = Why("it ended, and was started again", pod=name, previous=True, crashed=True)
            raise self._failed("a Pod of the canary", again)
        ready = sum(map(is_ready, pods))
        if ready < count:
            raise self._late("the canary", pods, Why(f"{ready} of {count} Pods are ready"))
        return pods

    def _pods_of(self, thing: Mapping[str, Any]) -> list[Any]:
        """Every Pod of a workload, those on their way out among them."""
        return self._selected(thing["spec"]["selector"]["matchLabels"])

    def _selected(self, labels: Mapping[str, str]) -> list[Any]:
        wanted = ",".join(f"{key}={value}" for key, value in labels.items())
        found: list[Any] = self._objects.api.get(PODS.path(self._objects.namespace), {"labelSelector": wanted})["items"]
        return found

    def stateful_set(self, name: str) -> Any:
        """Wait until a StatefulSet's Pods are ready, and answer it.

        Raises:
            WorldError: they will not be, or are not in time.
        """
        return self._settled(BY_NAME["statefulset"], name, set_up)

    def _settled(self, sort: Sort, name: str, lacks: Callable[[Mapping[str, Any]], str | None]) -> Any:
        began = time.monotonic()
        told = _Told(self._note)
        while True:
            thing = self._objects.read(sort, name)
            if thing is None:
                raise WorldError(Problem(f"{sort.kind} {name} is gone", "deploy again; look who removes it"))
            missing = lacks(thing)
            if missing is None:
                return thing
            pods = self._pods(thing)
            why = next((found for found in map(of_pod, pods) if found is not None), None)
            final = next((found for found in map(of_pod, pods) if found is not None and found.final), None)
            blocked = of_workload(thing)
            for one in (why, blocked):
                if one is not None:
                    told(one)
            if final is not None:
                raise self._failed(f"{sort.kind} {name}", final)
            late = time.monotonic() > began + _seconds(thing)
            if late or (blocked is not None and blocked.final):
                raise self._late(f"{sort.kind} {name}", pods, why or blocked or Why(missing))
            self._pause(f"{sort.kind} {name}")

    def _pods(self, thing: Mapping[str, Any]) -> list[Any]:
        """The Pods of the newest kind: those of an older one may well be as they should not be."""
        wanted = ",".join(f"{key}={value}" for key, value in thing["spec"]["selector"]["matchLabels"].items())
        pods = self._objects.listing(PODS, selector=wanted)
        if thing["kind"] != "Deployment":
            return pods
        # A canary's Pods have all the labels that the Deployment's have, and one more.
        pods = [pod for pod in pods if (TRIED in pod["metadata"]["labels"]) == (TRIED in wanted)]
        newest = max(pods, key=lambda pod: pod["metadata"]["creationTimestamp"], default=None)
        if newest is None:
            return []
        revision = newest["metadata"].get("labels", {}).get(_REVISION)
        return [pod for pod in pods if pod["metadata"].get("labels", {}).get(_REVISION) == revision]

    def _failed(self, what: str, why: Why) -> PackError:
        said = self._log(why.pod, previous=why.previous) if why.pod and why.crashed else ""
        # Whoever is ended by a probe that failed ends well, and only the events say who ended it.
        was_told = any(f"exit code {code}" in why.text for code in _TOLD_TO_END)
        warned = self._warning(why.pod) if why.pod and why.crashed and was_told else None
        text = f"{why.text}; {warned}" if warned and "probe failed" in warned else why.text
        return WorldError(Problem(f"{what} does not become ready: {text}", _fix(why), found=said or None))

    def _late(self, what: str, pods: Sequence[Mapping[str, Any]], why: Why | None) -> PackError:
        waiting = next((pod for pod in pods if not is_ready(pod)), None)
        warned = None if waiting is None else self._warning(waiting["metadata"]["name"])
        known = why.text if why is not None else ""
        text = "; ".join(dict.fromkeys(part for part in (known, warned) if part)) or "nothing says why"
        said = "" if waiting is None else self._log(waiting["metadata"]["name"], previous=bool(why and why.previous))
        return WorldError(
            Problem(
                f"{what} is not ready in time: {text}",
                "mend what the log says, or give it more time with start_timeout",
                found=said or None,
            )
        )

    def _warning(self, pod: str) -> str | None:
        query = {"fieldSelector": f"involvedObject.name={pod}"}
        try:
            return of_events(self._objects.api.get(EVENTS.path(self._objects.namespace), query).get("items", ()))
        except ApiError:
            return None  # who may not read events is told what the statuses say

    def _log(self, pod: str, *, previous: bool) -> str:
        query = {"tailLines": str(_LOG_LINES), "limitBytes": str(_LIMIT)}
        path = PODS.path(self._objects.namespace, pod, "log")
        for asked in ({**query, "previous": "true"} if previous else query, query):
            try:
                return self._objects.api.text(path, asked).strip()
            except ApiError:
                continue  # what ended may be gone already, and what follows has not begun
        return ""


class _Told:
    """Tells each reason once."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._before: set[str] = set()

    def __call__(self, why: Why) -> None:
        if why.text not in self._before:
            self._before.add(why.text)
            self._note(f"{why.pod}: {why.text}" if why.pod else why.text)


def patience(spec: Mapping[str, Any], *, running: bool = False) -> float:
    """Seconds that a Pod may take to become ready: what its probes allow, and what comes before them.

    ``running``: from the moment on that its containers do.
    """
    return (_BREATH if running else _SLACK) + max(map(_probed, spec.get("containers", ())), default=0.0)


def _pause_before_end(container: Mapping[str, Any]) -> float:
    """Seconds that a container goes on serving after its Pod was told to end."""
    sleep = ((container.get("lifecycle") or {}).get("preStop") or {}).get("sleep") or {}
    return float(sleep.get("seconds", 0))


def _ends(pod: Mapping[str, Any]) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def _runs(pod: Mapping[str, Any]) -> bool:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return bool(statuses) and all("running" in (each.get("state") or {}) for each in statuses)


def _restarts(pod: Mapping[str, Any]) -> int:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return sum(int(each.get("restartCount") or 0) for each in statuses)


def _probed(container: Mapping[str, Any]) -> float:
    found = 0.0
    for name in ("startupProbe", "readinessProbe"):
        probe = container.get(name)
        if probe is None:
            continue
        every, times = float(probe.get("periodSeconds", 10)), int(probe.get("failureThreshold", 3))
        found += float(probe.get("initialDelaySeconds", 0)) + every * times
    return found


def _seconds(thing: Mapping[str, Any]) -> float:
    """How long a change of it may take. A Deployment's own deadline counts each Pod anew, ours none twice."""
    spec = thing["spec"]
    each = float(spec.get("progressDeadlineSeconds") or patience(spec["template"]["spec"]))
    return each * max(1, int(spec.get("replicas", 1)))


def _fix(why: Why) -> str:
    if "Image" in why.text or "image" in why.text:
        return "check that the nodes reach the registry and may pull from it (pull_secrets)"
    if "CreateContainerConfigError" in why.text:
        return "make what it names, or name what is there"
    return "mend what the log says, and deploy again" if why.crashed else "mend what the cluster says, and deploy again"
