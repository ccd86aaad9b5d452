"""A new version that is tried on some of the calls first: what is wanted, and how it goes step by step and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from mcp_packager.engine import diff
from mcp_packager.engine.diff import compare
from mcp_packager.errors import Problem, WorldError
from mcp_packager.target import (
    Action,
    Endpoint,
    Intent,
    Lifetime,
    Observed,
    Outcome,
    Phase,
    Plan,
    Release,
    Resource,
)
from mcp_packager.target.values import resolve
from mcp_targets._kube.applying import Applying
from mcp_targets._kube.canary import Canaries, copies, judge, served
from mcp_targets._kube.client import Api, kubeconfig
from mcp_targets._kube.failing import FEWEST, Tally, counted
from mcp_targets._kube.kinds import BY_NAME, CANARY, KINDS
from mcp_targets._kube.leading import Leading
from mcp_targets._kube.looking import status
from mcp_targets._kube.names import Names
from mcp_targets._kube.objects import Objects
from mcp_targets._kube.rollout import Rollout
from mcp_targets._kube.world import _seen
from mcp_targets.eks import target as eks
from mcp_targets.kubernetes import target
from mcp_tool.serve.observe.metrics import Metrics, text
from tests.targets.aws.deployments import desired, written
from tests.targets.kube.samples import SMALLEST, Made, made
from tests.targets.kube.test_world_client import Said, config, serving

STRATEGY = 'strategy = "canary"\ncanary = { steps = [25, 50], hold = "30s" }\n'
TRIED = SMALLEST + STRATEGY


def one(resources: tuple[Resource, ...], kind: str) -> Resource:
    (found,) = [resource for resource in resources if resource.kind == kind]
    return found


def of(found: Made, kind: str = CANARY) -> Resource:
    return one(found.resources, kind)


def test_it_is_the_new_deployment_under_another_name(tmp_path: Path) -> None:
    found = made(tmp_path, TRIED)
    main, tried = of(found, "deployment").fields["object"], of(found).fields["object"]
    assert tried["metadata"]["name"] != main["metadata"]["name"]
    assert "replicas" not in tried["spec"]
    assert tried["spec"]["template"]["spec"] == main["spec"]["template"]["spec"]
    service = found.of("Service")["spec"]["selector"]
    assert service.items() <= tried["spec"]["template"]["metadata"]["labels"].items(), "clients get to it"
    mine, its = (item["spec"]["selector"]["matchLabels"] for item in (main, tried))
    assert its.items() <= tried["spec"]["template"]["metadata"]["labels"].items()
    assert not its.items() <= main["spec"]["template"]["metadata"]["labels"].items(), "it counts no Pods but its own"
    assert mine.items() < its.items()


def test_it_is_there_where_it_is_asked_for(tmp_path: Path) -> None:
    assert CANARY not in {resource.kind for resource in made(tmp_path / "a", SMALLEST).resources}
    on_eks = tuple(desired(written(tmp_path / "b", STRATEGY)).values())
    assert one(on_eks, CANARY).fields["tried"]["steps"] == [25, 50]
    with_figures = made(tmp_path / "c", TRIED + "[serve.metrics]\nport = 9464\n")
    assert of(with_figures).fields["tried"]["metrics"] == 9464
    assert of(made(tmp_path / "d", TRIED)).fields["tried"]["metrics"] is None
    assert not [item for item in with_figures.objects if "canary" in item["metadata"]["name"]], "files hold none"


def known(resources: tuple[Resource, ...]) -> tuple[Resource, ...]:
    """The resources, with a name for all that a cluster alone can name."""
    return tuple(replace(it, fields=resolve(it.fields, lambda leaf: "named")) for it in resources)


def planned(wanted: tuple[Resource, ...], there: tuple[Resource, ...]) -> Plan:
    return diff(known(wanted), {it.key: Observed(*it.key, it.fields, it.scope) for it in known(there)}, KINDS)


def settled(resources: tuple[Resource, ...]) -> tuple[Resource, ...]:
    """What stays of a deploy."""
    return tuple(it for it in resources if it.lifetime is not Lifetime.TRANSIENT)


def test_it_comes_before_the_deployment_and_goes_at_the_end(tmp_path: Path) -> None:
    found = made(tmp_path, TRIED)
    assert of(found).key in of(found, "deployment").needs
    plan = planned(found.resources, settled(made(tmp_path / "old", f'{TRIED}\n[env]\nMODE = "old"\n').resources))
    switched = [change.key.kind for change in plan.in_phase(Phase.SWITCH)]
    assert switched.index(CANARY) < switched.index("deployment")
    gone = [change for change in plan.in_phase(Phase.RETIRE) if change.key.kind == CANARY]
    assert [change.action for change in gone] == [Action.DELETE]


def test_one_that_was_left_goes_and_nothing_else_is_touched(tmp_path: Path) -> None:
    found = made(tmp_path, TRIED).resources
    assert not planned(found, settled(found)).due
    plan = planned(found, (*settled(found), one(found, CANARY)))
    assert [(change.action, change.key.kind) for change in plan.changes] == [(Action.DELETE, CANARY)]


@pytest.mark.parametrize(
    ("others", "share", "count"), [(2, 10, 1), (2, 50, 2), (3, 25, 1), (9, 10, 1), (18, 10, 2), (2, 90, 18)]
)
def test_whole_pods_come_as_near_to_the_share_as_they_can(others: int, share: int, count: int) -> None:
    assert copies(others, share) == count


def test_steps_without_a_canary_are_a_mistake(tmp_path: Path) -> None:
    text = 'canary = { hold = "5s" }\n'
    found = made(tmp_path / "a", SMALLEST + text).manifest
    told = [problem.where.key for problem in target.check(found, found.targets["kubernetes"])]
    assert told == ["target.kubernetes.canary"]
    found = written(tmp_path / "b", text)
    assert [problem.where.key for problem in eks.check(found, found.targets["eks"])] == ["target.eks.canary"]
    found = made(tmp_path / "c", TRIED).manifest
    assert target.check(found, found.targets["kubernetes"]) == ()


def test_the_servers_own_figures_are_counted() -> None:
    metrics = Metrics(["add", "sub"], {"version": "1"})
    for name, kind, times in (("add", "", 5), ("add", "tool_error", 2), ("sub", "", 1), ("sub", "cancelled", 1)):
        for _ in range(times):
            metrics.tools[name].observe(0.1, kind)
    assert counted(text(metrics)) == Tally(9, 2)


def test_a_server_that_began_anew_counts_from_the_beginning() -> None:
    assert Tally(30, 3).since(Tally(10, 1)) == Tally(20, 2)
    assert Tally(5, 1).since(Tally(10, 1)) == Tally(5, 1)


@pytest.mark.parametrize(
    ("new", "old", "good"),
    [
        (Tally(100, 5), Tally(100, 0), True),
        (Tally(100, 6), Tally(100, 0), False),
        (Tally(100, 20), Tally(100, 15), True),
        (Tally(100, 21), Tally(100, 15), False),
        (Tally(FEWEST - 1, FEWEST - 1), Tally(100, 0), True),
        (Tally(FEWEST, FEWEST), Tally(), False),
        (Tally(), Tally(100, 100), True),
    ],
)
def test_more_failures_than_before_are_refused(new: Tally, old: Tally, good: bool) -> None:
    if good:
        judge(new, old, 0.05)
        return
    with pytest.raises(WorldError, match=f"{new.failed} of {new.calls} failed"):
        judge(new, old, 0.05)


@dataclass
class Cluster:
    """A cluster that does what it is told, and says what was done. ``breaks`` after so many looks."""

    found: Made
    releases: tuple[Release, ...] = ()
    replicas: int | None = 3
    breaks: int | None = None
    done: list[str] = field(default_factory=list)

    def canaries(self) -> Canaries:
        it = cast("Any", self)
        objects, applying, rollout = cast("Objects", it), cast("Applying", it), cast("Rollout", it)
        leading = Leading(objects, applying, rollout, Names(self.found.request.identity), self.done.append)
        return Canaries(objects, applying, rollout, leading, lambda: self.releases, self.done.append)

    def read(self, sort: Any, name: str) -> Any:
        assert (sort.name, name) == ("deployment", of(self.found, "deployment").name)
        return None if self.replicas is None else {"spec": {"replicas": self.replicas}}

    def installed(self, sort: Any) -> bool:
        return True

    def listing(self, sort: Any) -> list[Any]:
        return []

    def claim(self, sort: Any, name: str) -> None:
        self.done.append(f"claim {sort.name}")

    def apply(self, sort: Any, wanted: Mapping[str, Any]) -> None:
        self.done.append(f"apply {sort.name} {wanted['spec']['replicas']}")

    def delete(self, sort: Any, name: str, *, wait: bool) -> None:
        self.done.append(f"delete {sort.name}")

    def deployment(self, name: str) -> None:
        self.done.append("ready" if name == of(self.found).name else f"waited for {name}")

    def hold(self, seconds: float, look: Callable[[], None]) -> None:
        look()
        self.done.append(f"held {seconds:g}")

    def staying(self, labels: Mapping[str, str], count: int) -> list[Any]:
        if self.breaks is not None:
            self.breaks -= 1
            if self.breaks < 0:
                raise WorldError(Problem("a Pod of the canary does not become ready", "mend it"))
        return []


def test_it_grows_by_steps_and_each_is_watched(tmp_path: Path) -> None:
    cluster = Cluster(found := made(tmp_path, TRIED))
    cluster.canaries().make(of(found))
    assert [line for line in cluster.done if not line.startswith("canary:")] == [
        *("claim canary", "apply canary 1", "ready", "held 30"),
        *("apply canary 3", "ready", "held 30"),
    ]
    assert "canary: 1 of its Pods ready, for 25 % of the calls; watched for 30 s" in cluster.done


@pytest.mark.parametrize(("breaks", "applied"), [(0, 1), (1, 2)])
def test_it_goes_no_further_when_a_pod_breaks(tmp_path: Path, breaks: int, applied: int) -> None:
    cluster = Cluster(found := made(tmp_path, TRIED), breaks=breaks)
    with pytest.raises(WorldError, match="a Pod of the canary"):
        cluster.canaries().make(of(found))
    assert sum(line.startswith("apply") for line in cluster.done) == applied


def test_the_first_version_has_nobody_to_be_tried_beside(tmp_path: Path) -> None:
    cluster = Cluster(found := made(tmp_path, TRIED), replicas=None)
    cluster.canaries().make(of(found))
    assert cluster.done == ["nothing serves clients yet: there is no canary of a first version"]


def release(found: Made, outcome: Outcome = Outcome.DEPLOYED) -> Release:
    request = found.request
    intent = Intent(request.identity, "kubernetes", request.artifact, request.config, {}, found.resources)
    return Release(1, intent, Endpoint(), "me", "2026-11-21T00:00:00Z", outcome)


def test_what_served_before_goes_back_at_once(tmp_path: Path) -> None:
    found = made(tmp_path / "a", TRIED)
    cluster = Cluster(found, releases=(release(found),))
    cluster.canaries().make(of(found))
    assert cluster.done == ["delete canary", "this version has served clients before: there is no canary of it"]
    other = made(tmp_path / "b", f'{TRIED}\n[env]\nMODE = "other"\n')
    wanted = of(found, "deployment").fields["object"]
    assert not served([release(other), release(found, Outcome.FAILED)], wanted)


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def rollout(said: Said, tmp_path: Path) -> Iterator[Rollout]:
    with serving(said) as server:
        (tmp_path / "config").write_text(config(server))
        api = Api(kubeconfig("one", {"KUBECONFIG": str(tmp_path / "config")}))
        yield Rollout(Objects(api, "tools", {"mcp-pack/tool": "shop"}), lambda _: None)


def pod(*, restarts: int = 0, ready: bool = True, ending: bool = False) -> dict[str, Any]:
    state = {"running": {"startedAt": "2026-11-21T00:00:00Z"}}
    return {
        "metadata": {"name": "shop-1", **({"deletionTimestamp": "2026-11-21T00:00:00Z"} if ending else {})},
        "spec": {},
        "status": {
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [{"name": "server", "restartCount": restarts, "ready": ready, "state": state}],
        },
    }


def test_pods_that_stay_ready_are_well(rollout: Rollout, said: Said) -> None:
    said.answers = [(200, {"items": [pod(), pod(ending=True, ready=False), pod()]})]
    assert len(rollout.staying({"a": "b"}, 2)) == 2
    assert "labelSelector=a%3Db" in said.asked[0][1]


def test_a_pod_that_began_anew_is_told_with_its_last_words(rollout: Rollout, said: Said) -> None:
    said.answers = [(200, {"items": [pod(), pod(restarts=1)]}), (200, b"so tired")]
    with pytest.raises(WorldError, match="a Pod of the canary does not become ready: it ended") as caught:
        rollout.staying({"a": "b"}, 2)
    assert caught.value.problems[0].found == "so tired"
    assert "previous=true" in said.asked[-1][1]


def test_fewer_pods_than_there_should_be_are_told(rollout: Rollout, said: Said) -> None:
    said.answers = [(200, {"items": [pod()]})]
    with pytest.raises(WorldError, match="1 of 2 Pods are ready"):
        rollout.staying({"a": "b"}, 2)


def test_a_step_is_looked_at_to_its_end_and_ends_where_nobody_waits(rollout: Rollout) -> None:
    looks: list[int] = []
    rollout.hold(0.0, lambda: looks.append(1))
    assert looks == [1]
    rollout.hurry()
    with pytest.raises(WorldError, match="no longer waited for"):
        rollout.hold(60.0, lambda: looks.append(1))


def test_status_tells_of_one_that_is_there(tmp_path: Path) -> None:
    found = made(tmp_path, TRIED)
    main, tried = (dict(of(found, kind).fields["object"]) for kind in ("deployment", CANARY))
    tried["spec"] = {**tried["spec"], "replicas": 2}

    class There:
        def listing(self, sort: Any, *, selector: str | None = None) -> list[Any]:
            return [tried, main] if sort.name == "deployment" else []

    said = status(cast("Objects", There()), Names(found.request.identity))
    version = found.manifest.tool.version
    assert said.replicas == "0/2"
    assert any(line.startswith(f"a canary of {version} gets calls (2 Pods)") for line in said.detail)


def test_one_that_was_left_is_tried_from_the_beginning(tmp_path: Path) -> None:
    wanted = of(made(tmp_path, TRIED))
    there = _seen(BY_NAME["deployment"], {**wanted.fields["object"], "status": {}})
    assert there.key == wanted.key
    (kind,) = (one for one in KINDS if one.name == CANARY)
    assert compare(wanted.fields, Observed(*there.key, {**wanted.fields, **there.fields}), kind).action is Action.UPDATE
