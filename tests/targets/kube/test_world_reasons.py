"""Why Pods are not ready, read from statuses as a real kubelet wrote them."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_targets._kube.reasons import (
    is_ready,
    of_events,
    of_pod,
    of_workload,
    rolled_out,
    set_up,
    unfinished,
)
from mcp_targets._kube.rollout import patience


def pod(*containers: dict[str, Any], **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "status": {"containerStatuses": list(containers), **status}}


def container(state: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "server", "ready": False, "restartCount": 0, "state": state, **more}


ENDED = {"exitCode": 1, "reason": "Error"}


@pytest.mark.parametrize(
    ("thing", "text", "final", "crashed"),
    [
        (
            pod(container({"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "x"'}})),
            'ImagePullBackOff: Back-off pulling image "x"',
            True,
            False,
        ),
        (pod(container({"waiting": {"reason": "ErrImagePull", "message": "no"}})), "ErrImagePull: no", False, False),
        (
            pod(container({"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "s" not found'}})),
            'CreateContainerConfigError: secret "s" not found',
            True,
            False,
        ),
        (
            pod(
                container({"waiting": {"reason": "CrashLoopBackOff"}}, restartCount=1, lastState={"terminated": ENDED})
            ),
            "it ends again and again: Error, exit code 1",
            True,
            True,
        ),
        (pod(container({"terminated": ENDED})), "it ended: Error, exit code 1", False, True),
        (
            pod(container({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}, restartCount=2)),
            "it ended: out of memory, killed",
            True,
            True,
        ),
        (
            pod(container({"running": {}}, restartCount=1, lastState={"terminated": {**ENDED, "exitCode": 2}})),
            "it was started 2 times: Error, exit code 2",
            False,
            True,
        ),
        (
            pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory."),
            "Evicted: The node was low on resource: memory.",
            True,
            True,
        ),
        (
            pod(
                conditions=[
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "0/1 nodes are available: 1 Insufficient cpu.",
                    }
                ]
            ),
            "no node takes it: 0/1 nodes are available: 1 Insufficient cpu.",
            False,
            False,
        ),
    ],
)
def test_what_a_pod_waits_for(thing: dict[str, Any], text: str, final: bool, crashed: bool) -> None:
    why = of_pod(thing)
    assert why is not None
    assert (why.text, why.final, why.crashed) == (text, final, crashed)


@pytest.mark.parametrize(
    "thing",
    [
        pod(),
        pod(container({"waiting": {"reason": "ContainerCreating"}})),
        pod(container({"running": {}})),
        pod(container({"running": {}}, ready=True, restartCount=1, lastState={"terminated": ENDED})),
        {"metadata": {"name": "p"}},
    ],
)
def test_what_is_on_its_way_has_no_reason(thing: dict[str, Any]) -> None:
    assert of_pod(thing) is None


def test_ready_is_what_the_condition_says() -> None:
    assert is_ready(pod(conditions=[{"type": "Ready", "status": "True"}]))
    assert not is_ready(pod(conditions=[{"type": "Ready", "status": "False"}]))
    assert not is_ready(pod())


def deployment(replicas: int = 2, generation: int = 3, **status: Any) -> dict[str, Any]:
    done = {"observedGeneration": 3, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 2}
    return {
        "kind": "Deployment",
        "metadata": {"name": "d", "generation": generation},
        "spec": {"replicas": replicas},
        "status": {**done, **status},
    }


@pytest.mark.parametrize(
    ("thing", "lacks"),
    [
        (deployment(), None),
        (deployment(generation=4), "the rollout has not begun"),
        (deployment(updatedReplicas=1), "1 of 2 copies are new"),
        (deployment(availableReplicas=1), "1 of 2 copies are available"),
        ({**deployment(), "status": {}}, "the rollout has not begun"),
    ],
)
def test_a_rollout_is_done_when_all_copies_are_new_and_available(thing: dict[str, Any], lacks: str | None) -> None:
    assert rolled_out(thing) == lacks


def test_old_copies_are_waited_for() -> None:
    thing = deployment()
    thing["status"]["replicas"] = 3
    assert rolled_out(thing) == "1 old copies are left"


def test_a_copy_that_went_later_is_no_unfinished_rollout() -> None:
    done = [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]
    assert unfinished(deployment(availableReplicas=1, conditions=done)) is None
    assert unfinished(deployment(generation=4, conditions=done)) == "the rollout has not begun"
    busy = [{"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}]
    assert unfinished(deployment(availableReplicas=1, conditions=busy)) == "1 of 2 copies are available"


def test_a_deployment_that_cannot_make_pods_says_why() -> None:
    refused = {"type": "ReplicaFailure", "status": "True", "message": 'pods "d-1" is forbidden: exceeded quota: small'}
    why = of_workload(deployment(conditions=[refused]))
    assert why is not None
    assert why.final
    assert "exceeded quota: small" in why.text
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    why = of_workload(deployment(conditions=[late]))
    assert why is not None
    assert why.final
    assert of_workload(deployment()) is None


def test_a_stateful_set_is_up_when_every_copy_is_new_and_ready() -> None:
    thing = deployment(1, updatedReplicas=1, readyReplicas=1, updateRevision="a", currentRevision="a")
    assert set_up(thing) is None
    assert set_up({**thing, "status": {**thing["status"], "readyReplicas": 0}}) == "0 of 1 copies are ready"
    assert set_up({**thing, "status": {**thing["status"], "updateRevision": "b"}}) == "not every copy is new"


def test_the_newest_warning_is_told() -> None:
    events = [
        {"type": "Normal", "message": "Started", "lastTimestamp": "2026-01-01T00:00:09Z"},
        {"type": "Warning", "message": "Readiness probe failed: HTTP 503", "lastTimestamp": "2026-01-01T00:00:05Z"},
        {"type": "Warning", "message": "earlier", "lastTimestamp": "2026-01-01T00:00:01Z"},
    ]
    assert of_events(events) == "Readiness probe failed: HTTP 503"
    assert of_events(events[:1]) is None


def test_patience_is_what_the_probes_allow() -> None:
    spec = {
        "containers": [
            {"startupProbe": {"periodSeconds": 1, "failureThreshold": 30}, "readinessProbe": {"periodSeconds": 5}},
            {},
        ]
    }
    assert patience(spec) == 60 + 30 + 15
    assert patience({}) == 60
