"""Why Pods are not ready, from what the cluster says of them. Pure: statuses and events in, words out.

What a container waits for and why it ended are the kubelet's words
(https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/); some of them pass, some never do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_NEVER: Final = frozenset(
    {
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerConfigError",
        "CreateContainerError",
        "CrashLoopBackOff",
        "RunContainerError",
    }
)
"""What a container waits for that does not come by waiting; one try after another was made."""
_SOON: Final = frozenset({"ErrImagePull", "RegistryUnavailable"})
_ORDINARY: Final = frozenset({"ContainerCreating", "PodInitializing"})
_RESTARTS: Final = 2
"""After so many ends a container is not waited for, although its next start may be under way."""


@dataclass(frozen=True, slots=True)
class Why:
    """Why something is not as it should be.

    ``final``: waiting does not help. ``pod`` is the one that it is about, ``previous`` whether what it said before it
    ended is its log's earlier part.
    """

    text: str
    final: bool = False
    pod: str | None = None
    previous: bool = False
    crashed: bool = False


def of_pod(pod: Mapping[str, Any]) -> Why | None:
    """Why a Pod is not ready; ``None`` where it is, or where nothing says so yet."""
    name = pod["metadata"]["name"]
    status = pod.get("status") or {}
    if status.get("phase") == "Failed" and status.get("reason"):
        text = f"{status['reason']}: {status.get('message', '')}".rstrip(": ")
        return Why(text, final=True, pod=name, crashed=True)
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return Why(f"no node takes it: {condition.get('message') or condition.get('reason', '')}", pod=name)
    return next(_of_containers(name, status), None)


def _of_containers(name: str, status: Mapping[str, Any]) -> Iterator[Why]:
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        state = container.get("state") or {}
        last = (container.get("lastState") or {}).get("terminated")
        waiting, ended = state.get("waiting") or {}, state.get("terminated")
        restarts = int(container.get("restartCount") or 0)
        if ended is not None and (ended.get("exitCode") or container["name"] not in _init_names(status)):
            yield Why(f"it ended: {_end(ended)}", final=restarts >= _RESTARTS, pod=name, crashed=True)
        elif waiting.get("reason") == "CrashLoopBackOff":
            text = f"it ends again and again: {_end(last)}" if last else "it ends again and again"
            yield Why(text, final=True, pod=name, previous=True, crashed=True)
        elif waiting.get("reason") in _NEVER | _SOON:
            text = f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
            yield Why(text, final=waiting["reason"] in _NEVER, pod=name)
        elif waiting.get("reason") and waiting["reason"] not in _ORDINARY:
            yield Why(f"it waits: {waiting['reason']} {waiting.get('message', '')}".rstrip(), pod=name)
        elif last is not None and restarts and not container.get("ready"):
            text = f"it was started {restarts + 1} times: {_end(last)}"
            yield Why(text, final=restarts >= _RESTARTS, pod=name, previous=True, crashed=True)


def _init_names(status: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(container["name"] for container in status.get("initContainerStatuses") or ())


def _end(ended: Mapping[str, Any]) -> str:
    reason = ended.get("reason") or "ended"
    signal = f", signal {ended['signal']}" if ended.get("signal") else ""
    words = "out of memory, killed" if reason == "OOMKilled" else f"{reason}, exit code {ended.get('exitCode')}{signal}"
    message = (ended.get("message") or "").strip()
    return f"{words} ({message})" if message else words


def of_workload(thing: Mapping[str, Any]) -> Why | None:
    """Why a Deployment or StatefulSet cannot make its Pods, or gave up waiting for them."""
    conditions = (thing.get("status") or {}).get("conditions") or ()
    for condition in conditions:
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return Why(f"Pods cannot be made: {condition.get('message', '')}", final=True)
    for condition in conditions:
        if condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return Why("the rollout did not get on within progressDeadlineSeconds", final=True)
    return None


def of_events(events: Sequence[Mapping[str, Any]]) -> str | None:
    """The newest warning among a thing's events, such as a probe that fails or a volume that is not mounted."""
    warnings = [event for event in events if event.get("type") == "Warning"]
    if not warnings:
        return None
    newest = max(warnings, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
    return str(newest.get("message") or newest.get("reason") or "").strip() or None


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether a Pod is ready."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(condition.get("type") == "Ready" and condition.get("status") == "True" for condition in conditions)


def rolled_out(thing: Mapping[str, Any]) -> str | None:
    """What a Deployment's rollout lacks; ``None`` where it is done.

    Done is what ``kubectl rollout status`` calls so: the controller saw the last change, every copy is of the new
    kind and available, and none of the old kind is left.
    """
    status, wanted = thing.get("status") or {}, thing["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < thing["metadata"].get("generation", 0):
        return "the rollout has not begun"
    updated, total = status.get("updatedReplicas", 0), status.get("replicas", 0)
    if updated < wanted:
        return f"{updated} of {wanted} copies are new"
    if total > updated:
        return f"{total - updated} old copies are left"
    available = status.get("availableReplicas", 0)
    return f"{available} of {wanted} copies are available" if available < wanted else None


def unfinished(thing: Mapping[str, Any]) -> str | None:
    """What keeps a Deployment's last change from being done.

    A copy that went later, or one more that the load asks for, is not this: the rollout was done before.
    """
    for condition in (thing.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Progressing" and condition.get("reason") == "NewReplicaSetAvailable":
            seen = (thing.get("status") or {}).get("observedGeneration", 0)
            return None if seen >= thing["metadata"].get("generation", 0) else rolled_out(thing)
    return rolled_out(thing)


def set_up(thing: Mapping[str, Any]) -> str | None:
    """What a StatefulSet lacks; ``None`` where every copy is new and ready."""
    status, wanted = thing.get("status") or {}, thing["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < thing["metadata"].get("generation", 0):
        return "the change has not begun"
    if status.get("updateRevision") != status.get("currentRevision") or status.get("updatedReplicas", wanted) < wanted:
        return "not every copy is new"
    ready = status.get("readyReplicas", 0)
    return f"{ready} of {wanted} copies are ready" if ready < wanted else None
