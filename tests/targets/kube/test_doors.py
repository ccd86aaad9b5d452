"""The same host and path twice at a cluster's door is refused before anything is applied, with both names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.engine import diff
from mcp_packager.errors import UserError
from mcp_packager.target import Intent, Plan
from mcp_targets._kube.client import Api, kubeconfig
from mcp_targets._kube.doors import look
from mcp_targets._kube.kinds import KINDS
from mcp_targets._kube.objects import Objects
from mcp_targets._kube.site import Object
from mcp_targets._kube.together import occupied
from mcp_targets.kubernetes import target
from tests.targets.kube.samples import Made, made
from tests.targets.kube.test_world_client import Said, config, serving, status

NGINX = 'registry = "registry.example.com/team"\nhost = "tools.example.com"\nclass = "nginx"\ninternal = true'
GATEWAY = 'load = "kind"\nhost = "tools.example.com"\ngateway = "infra/shared/https"\ninternal = true'
GROUPS = {"groups": [{"versions": [{"groupVersion": "gateway.networking.k8s.io/v1"}]}]}


def tool(folder: Path, name: str, options: str) -> Made:
    return made(folder / name, f'[tool]\nname = "{name}"\nentrypoint = "{name}"\n[target.kubernetes]\n{options}\n')


def intent(one: Made) -> Intent:
    request = one.request
    return Intent(request.identity, "kubernetes", request.artifact, request.config, {}, one.resources)


def route(**changed: Any) -> Object:
    """A route that somebody made by hand, for the same endpoint as that of :data:`GATEWAY`."""
    spec = {
        "parentRefs": [{"name": "shared", "namespace": "infra"}],
        "hostnames": ["tools.example.com"],
        "rules": [{"matches": [{"path": {"type": "PathPrefix", "value": "/mcp"}}]}],
    }
    return {"kind": "HTTPRoute", "metadata": {"name": "theirs", "namespace": "web"}, "spec": {**spec, **changed}}


@pytest.mark.parametrize(("options", "door"), [(NGINX, "the class nginx"), (GATEWAY, "the Gateway infra/shared")])
def test_two_tools_of_one_run(tmp_path: Path, options: str, door: str) -> None:
    one, two = (intent(tool(tmp_path, name, options)) for name in ("one", "two"))
    for first, second in ((one, two), (two, one)):
        (said,) = target.clashes(first, [second])
        told = f"{first.identity} and {second.identity} both claim tools.example.com/mcp at {door}"
        assert said.what.startswith(told)
    other = intent(tool(tmp_path, "three", f'{options}\npath = "/three/mcp"'))
    assert target.clashes(one, [other]) == ()


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"hostnames": ["TOOLS.example.com"]},
        {"parentRefs": [{"name": "shared", "namespace": "infra", "sectionName": "https"}]},
        {"rules": [{"matches": [{"path": {"type": "Exact", "value": "/mcp/"}}]}]},
        {"rules": [{}, {"matches": [{"path": {"value": "/mcp"}}]}]},
    ],
)
def test_a_route_that_takes_our_calls(tmp_path: Path, changed: dict[str, Any]) -> None:
    (said,) = occupied("one (default)", [tool(tmp_path, "one", GATEWAY).of("HTTPRoute")], [route(**changed)])
    assert "one (default) and the HTTPRoute web/theirs both claim tools.example.com/mcp" in said.what
    assert said.found == "HTTPRoute web/theirs"


@pytest.mark.parametrize(
    "changed",
    [
        {"hostnames": ["other.example.com"]},
        {"hostnames": ["*.example.com"]},
        {"parentRefs": [{"name": "shared"}]},
        {"parentRefs": [{"name": "shared", "namespace": "infra", "kind": "Service"}]},
        {"parentRefs": [{"name": "shared", "namespace": "infra", "sectionName": "http"}]},
        {"rules": [{"matches": [{"path": {"value": "/"}}]}]},
        {"rules": [{}]},
        {"rules": [{"matches": [{"path": {"value": "/mcp"}, "headers": [{"name": "x-beta", "value": "1"}]}]}]},
        {"rules": [{"matches": [{"path": {"type": "RegularExpression", "value": "/mcp"}}]}]},
    ],
)
def test_a_route_that_takes_others(tmp_path: Path, changed: dict[str, Any]) -> None:
    assert occupied("one (default)", [tool(tmp_path, "one", GATEWAY).of("HTTPRoute")], [route(**changed)]) == ()


def test_a_route_that_its_gateway_does_not_serve_is_in_nobodys_way(tmp_path: Path) -> None:
    wanted, theirs = tool(tmp_path, "one", GATEWAY).of("HTTPRoute"), route()
    for served in ("True", "False"):
        condition = {"type": "Accepted", "status": served}
        theirs["status"] = {"parents": [{"parentRef": theirs["spec"]["parentRefs"][0], "conditions": [condition]}]}
        assert bool(occupied("one (default)", [wanted], [theirs])) == (served == "True")


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def api(said: Said, tmp_path: Path) -> Iterator[Api]:
    with serving(said) as server:
        (tmp_path / "config").write_text(config(server))
        yield Api(kubeconfig("one", {"KUBECONFIG": str(tmp_path / "config")}))


def looked(one: Made, api: Api, there: Made | None = None, *, ingresses: bool = True) -> tuple[str, ...]:
    """What the door says to the plan of a first deploy, or of one that finds all of ``there``."""
    objects = Objects(api, one.site.namespace, one.request.identity.labels())
    return tuple(look(str(one.request.identity), plan(one, there), objects, ingresses=ingresses))


def plan(one: Made, there: Made | None) -> Plan:
    from mcp_packager.target import Observed

    seen = () if there is None else there.resources
    observed = {it.key: Observed(*it.key, {**it.fields, "made": "1", "version": "1"}, it.scope) for it in seen}
    return diff(one.resources, observed, KINDS)


@pytest.mark.parametrize(("options", "kind"), [(NGINX, "Ingress"), (GATEWAY, "HTTPRoute")])
def test_what_is_in_the_cluster_already(tmp_path: Path, api: Api, said: Said, options: str, kind: str) -> None:
    one, two = tool(tmp_path, "one", options), tool(tmp_path, "two", options)
    known = [(200, GROUPS)] if kind == "HTTPRoute" else []
    said.answers = [*known, (200, {"items": [one.of(kind), two.of(kind)]})]
    with pytest.raises(UserError, match=r"one \(default\) and two \(default\) both claim tools.example.com/mcp"):
        looked(one, api)
    assert said.asked[-1][1].partition("?")[0].endswith(f"/{kind.lower()}{'es' if kind == 'Ingress' else 's'}")
    said.answers = [*known, (200, {"items": [one.of(kind)]})]
    assert looked(one, api) == ()


def test_ingresses_that_another_judges_are_left_to_it(tmp_path: Path, api: Api, said: Said) -> None:
    assert looked(tool(tmp_path, "one", NGINX), api, ingresses=False) == ()
    assert said.asked == []


def test_a_plan_that_leaves_the_doors_alone_asks_nobody(tmp_path: Path, api: Api, said: Said) -> None:
    before = tool(tmp_path / "before", "one", NGINX)
    after = tool(tmp_path / "after", "one", f'{NGINX}\n[env]\nMODE = "other"')
    assert plan(after, before).due
    assert looked(after, api, before) == ()
    assert said.asked == []


def test_whoever_may_not_look_at_other_namespaces_is_told_so(tmp_path: Path, api: Api, said: Said) -> None:
    one, two = tool(tmp_path, "one", NGINX), tool(tmp_path, "two", NGINX)
    no = status(403, "Forbidden", 'User "eve" cannot list resource "ingresses" at the cluster scope')
    said.answers = [no, (200, {"items": []})]
    (line,) = looked(one, api)
    assert "looked for in mcp-tools alone" in line
    assert said.asked[-1][1].startswith("/apis/networking.k8s.io/v1/namespaces/mcp-tools/ingresses?")
    said.answers = [no, (200, {"items": [two.of("Ingress")]})]
    with pytest.raises(UserError, match="both claim"):
        looked(one, api)
