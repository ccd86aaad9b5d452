"""What a cluster does with new Pods, step by step, in the moment that the API server tells of it."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from tests.cluster.api import Api

STEPS: Final = ("made", "scheduled", "running", "ready")
_BEHIND: Final = 10.0
_PULLED: Final = re.compile(r"pulled image .* in ([\d.]+)(ms|s) ")

_T = TypeVar("_T")


@dataclass
class Pod:
    """One Pod, and when each of :data:`STEPS` was told of it, by the clock of ``time.perf_counter``."""

    uid: str
    owned: bool
    """Whether a Deployment made it; a candidate is nobody's."""
    told: dict[str, float] = field(default_factory=dict)

    def shares(self) -> dict[str, float]:
        """Seconds of each step after the first."""
        moments = [self.told[step] for step in STEPS]
        taken = (after - before for before, after in itertools.pairwise(moments))
        return dict(zip(STEPS[1:], taken, strict=True))


class Watch:
    """Watches the Pods and the Deployments of a namespace from now on, until the process or the cluster ends."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._api = Api(kubeconfig)
        self._namespace = namespace
        self._pods: dict[str, Pod] = {}
        self._turned: list[float] = []
        self._generations: dict[str, int] = {}
        for path, heard in (
            (f"/api/v1/namespaces/{namespace}/pods", self._pod),
            (f"/apis/apps/v1/namespaces/{namespace}/deployments", self._deployment),
        ):
            threading.Thread(target=self._watch, args=(path, heard), daemon=True).start()

    def candidate(self, since: float) -> Pod:
        """The Pod of nobody that was made after a moment."""
        return self._one(since, owned=False)

    def server(self, since: float) -> Pod:
        """The Deployment's Pod that was made after a moment."""
        return self._one(since, owned=True)

    def turned(self, since: float) -> float:
        """When a Deployment was first made or changed after a moment."""
        return _soon(lambda: min((moment for moment in list(self._turned) if moment > since), default=None))

    def pulled(self, pod: Pod) -> float:
        """Seconds that the node took to pull the Pod's image, as its event says; 0 where it had it."""
        path = f"/api/v1/namespaces/{self._namespace}/events"
        for event in self._api.items(path):
            found = _PULLED.search(event.get("message") or "")
            if found and event["involvedObject"]["uid"] == pod.uid:
                return float(found[1]) / (1000 if found[2] == "ms" else 1)
        return 0.0

    def _one(self, since: float, *, owned: bool) -> Pod:
        """The first of them, once all its steps are told; a candidate of the same name is another Pod each time."""

        def made() -> Pod | None:
            pods = [pod for pod in list(self._pods.values()) if pod.owned is owned and pod.told.get("made", 0) > since]
            first = min(pods, key=lambda pod: pod.told["made"], default=None)
            return first if first is not None and set(STEPS) <= set(first.told) else None

        return _soon(made)

    def _watch(self, path: str, heard: Any) -> None:
        with suppress(OSError, ValueError):  # the cluster ends before this process does
            while True:
                for seen in self._api.watch(path):
                    heard(seen, time.perf_counter())

    def _pod(self, seen: Mapping[str, Any], now: float) -> None:
        uid, status = seen["metadata"]["uid"], seen.get("status") or {}
        pod = self._pods.setdefault(uid, Pod(uid, bool(seen["metadata"].get("ownerReferences"))))
        running = [bool((each.get("state") or {}).get("running")) for each in status.get("containerStatuses") or ()]
        ready = {each["type"]: each["status"] for each in status.get("conditions") or ()}.get("Ready") == "True"
        done = (True, bool(seen["spec"].get("nodeName")), bool(running) and all(running), ready)
        for step, reached in zip(STEPS, done, strict=True):
            if reached:
                pod.told.setdefault(step, now)

    def _deployment(self, seen: Mapping[str, Any], now: float) -> None:
        name, generation = seen["metadata"]["name"], int(seen["metadata"]["generation"])
        if self._generations.get(name) != generation:
            self._turned.append(now)
        self._generations[name] = generation


def _soon(look: Callable[[], _T | None]) -> _T:
    """What is found once the watch has told of it: it is a thread of its own, and may be behind."""
    deadline = time.monotonic() + _BEHIND
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise RuntimeError("the watch told of no such change")
        time.sleep(0.01)
    return found
