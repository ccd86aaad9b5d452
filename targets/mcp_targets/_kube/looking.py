"""How a deployment in a cluster is: where clients reach it, how many copies are ready, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from mcp_packager.target import Auth, Endpoint, Key, Observed, State, Status, Via
from mcp_targets._kube.kinds import BY_NAME, CANARY, CANDIDATE, PODS
from mcp_targets._kube.logs import last_lines, short
from mcp_targets._kube.names import AUTH, TRIED, URL, Names
from mcp_targets._kube.objects import Objects
from mcp_targets._kube.projection import OBJECT
from mcp_targets._kube.reasons import is_ready, of_pod, of_workload, rolled_out
from mcp_targets._kube.settings import PORT

ADDRESS: Final = "address"
"""Field of an observed candidate: its address in the cluster."""
SETTLES: Final = 90.0
"""Seconds that an ingress may take to lead to the new Pods alone."""
_INSIDE: Final = ".svc.cluster.local"
_LINES: Final = 10


def endpoint(observed: Mapping[Key, Observed], kind: str) -> Endpoint | None:
    """The endpoint of the candidate or of the Deployment among what is observed."""
    found = next((thing for key, thing in observed.items() if key.kind == kind), None)
    if found is None:
        return None
    notes = found.fields[OBJECT]["metadata"].get("annotations") or {}
    url, auth = notes.get(URL), Auth(notes.get(AUTH, "none"))
    if url is None:
        return None
    if kind == CANDIDATE:
        address = found.fields.get(ADDRESS) or found.name
        shown = f"[{address}]" if ":" in address else address
        return Endpoint(url=f"http://{shown}:{PORT}{urlsplit(url).path}", auth=auth, via=Via.CLUSTER)
    return Endpoint(url=url, auth=auth, via=via_of(url), settles=SETTLES)


def via_of(url: str) -> Via:
    """Which way a URL is reached: a Service's name is known in its cluster alone."""
    return Via.CLUSTER if (urlsplit(url).hostname or "").endswith(_INSIDE) else Via.PUBLIC


def serving(objects: Objects, names: Names) -> list[Any]:
    """The Pods of the Deployment, of whatever version, and those of a canary."""
    selector = ",".join(f"{name}={value}" for name, value in names.servers().items())
    instances = {names.base, names.of(CANARY)}
    found = objects.listing(PODS, selector=selector)
    return [pod for pod in found if pod["metadata"]["labels"]["app.kubernetes.io/instance"] in instances]


def status(objects: Objects, names: Names) -> Status:
    """How it is now."""
    every = objects.listing(BY_NAME["deployment"])
    deployments = [one for one in every if TRIED not in one["metadata"]["labels"]]
    if not deployments:
        held = objects.listing(BY_NAME["service"]) or objects.listing(BY_NAME["statefulset"])
        return Status(State.STOPPED, detail=("nothing serves clients",)) if held else Status(State.ABSENT)
    thing = deployments[0]
    pods = serving(objects, names)
    ready = [pod for pod in pods if is_ready(pod)]
    wanted = thing["spec"].get("replicas", 1)
    lacking = rolled_out(thing)
    return Status(
        _state(wanted, pods, ready),
        endpoint=_endpoint(thing),
        uptime=max((_age(pod) for pod in ready), default=None),
        restarts=sum(_restarts(pod) for pod in pods),
        replicas=f"{len(ready)}/{wanted}",
        detail=(*_left(every), *_detail(objects, thing, pods, lacking)),
    )


def _left(deployments: list[Any]) -> Iterator[str]:
    """A canary is there as long as a deploy, or since one that was killed."""
    for one in deployments:
        version = one["metadata"]["labels"].get("app.kubernetes.io/version", "another version")
        if TRIED in one["metadata"]["labels"]:
            copies = one["spec"].get("replicas", 1)
            yield f"a canary of {version} gets calls ({copies} Pods); if no deploy is at work, the next removes it"


def _state(wanted: int, pods: list[Any], ready: list[Any]) -> State:
    if wanted == 0:
        return State.STOPPED
    if ready:
        return State.RUNNING
    crashed = any(why is not None and why.crashed for why in map(of_pod, pods))
    return State.CRASHED if crashed else State.STARTING


def _endpoint(thing: Mapping[str, Any]) -> Endpoint | None:
    key = Key("deployment", thing["metadata"]["name"])
    return endpoint({key: Observed(*key, {OBJECT: thing})}, key.kind)


def _detail(objects: Objects, thing: Mapping[str, Any], pods: list[Any], lacking: str | None) -> list[str]:
    lines = [] if lacking is None else [lacking]
    blocked = of_workload(thing)
    if blocked is not None:
        lines.append(blocked.text)
    for pod in pods:
        why = None if is_ready(pod) else of_pod(pod)
        if why is not None:
            lines.append(f"{short(pod['metadata']['name'])}: {why.text}")
            if why.crashed:
                lines.extend(f"log: {line}" for line in last_lines(objects, lambda pod=pod: [pod], _LINES))  # type: ignore[misc]  # binds the loop's name
    return lines


def _age(pod: Mapping[str, Any]) -> float:
    """Seconds since the Pod's container began, or since the Pod did."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    began = [each["state"]["running"]["startedAt"] for each in statuses if "running" in (each.get("state") or {})]
    text = min(began, default=(pod.get("status") or {}).get("startTime"))
    if text is None:
        return 0.0
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds())


def _restarts(pod: Mapping[str, Any]) -> int:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return sum(int(each.get("restartCount") or 0) for each in statuses)
