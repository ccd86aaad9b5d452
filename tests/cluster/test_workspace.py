"""Many tools of one workspace in one cluster: deployed side by side, planned by one listing of each kind."""

from __future__ import annotations

import collections
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.pipeline import fleet
from mcp_packager.pipeline.requests import Request
from mcp_packager.testing.client import greeting
from mcp_targets._kube.client import Api
from tests.cluster.cluster import Cluster
from tests.cluster.ingress import DOMAIN, Ingresses

pytestmark = pytest.mark.real("own-cluster", "base-image", "balancers")

NAMESPACE = "workspace"
CODE = '''
from mcp_tool import tool


@tool
def greet(name: str) -> str:
    """Greet somebody.

    Args:
        name: Whom to greet.
    """
    return f"hello, {name}! This is NAME."
'''
WORKSPACE = """
[workspace]
project = "team"
targets = ["kubernetes"]
locked = ["target.kubernetes.registry"]
[defaults.scale]
min = 1
max = 1
[defaults.serve]
drain = "1s"
[defaults.target.kubernetes]
registry = "{registry}/team"
namespace = "{namespace}"
class = "nginx"
internal = true
https = false
"""


def tool(root: Path, name: str, host: str) -> None:
    folder = root / name
    folder.mkdir()
    (folder / "server.py").write_text(CODE.replace("NAME", name))
    (folder / "mcp-tool.toml").write_text(
        f'[tool]\nname = "{name}"\nentrypoint = "server"\n[target.kubernetes]\nhost = "{host}"\n'
    )


@pytest.fixture
def workspace(tmp_path: Path, cluster: Cluster, ingresses: Ingresses) -> Iterator[Path]:
    (tmp_path / "mcp-workspace.toml").write_text(WORKSPACE.format(registry=cluster.registry, namespace=NAMESPACE))
    yield tmp_path
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


def test_tools_are_deployed_side_by_side_and_planned_by_one_listing_of_each_kind(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two", "three"):
        tool(workspace, name, f"{name}.{DOMAIN}")
    done = fleet.deploy_all(Request(workspace))
    assert [each.problems for each in done] == [(), (), ()]
    for each in done:
        (report,) = each.reports
        assert report.changed
        assert greeting(report.endpoint["url"]).endswith(f"This is {each.project.name}.")

    asked: collections.Counter[tuple[str, str]] = collections.Counter()
    mutex, send = threading.Lock(), Api.send

    def counted(self: Api, method: str, path: str, **others: Any) -> Any:
        with mutex:
            asked[method, path] += 1
        return send(self, method, path, **others)

    monkeypatch.setattr(Api, "send", counted)
    planned = fleet.plan_all(Request(workspace))
    assert [report.changes_due for each in planned for report in each.reports] == [False, False, False]
    assert {method for method, _ in asked} == {"GET"}
    assert [request for request, count in asked.items() if count > 1] == []
    assert any(path.endswith("/deployments") for _, path in asked)


def test_two_that_claim_one_host_and_path_are_both_refused_before_anything_is_applied(
    workspace: Path, cluster: Cluster
) -> None:
    for name in ("four", "five"):
        tool(workspace, name, f"same.{DOMAIN}")
    done = fleet.deploy_all(Request(workspace))
    for each in done:
        assert f"both claim same.{DOMAIN}/mcp" in each.problems[0].what
    left = cluster.get("deployments", "--all-namespaces", "-l", "mcp-pack/project=team,mcp-pack/tool in (four,five)")
    assert left["items"] == []


def test_a_locked_registry_is_the_workspaces(workspace: Path) -> None:
    tool(workspace, "six", f"six.{DOMAIN}")
    with (workspace / "six" / "mcp-tool.toml").open("a") as manifest:
        manifest.write('registry = "elsewhere.example.com/team"\n')
    (done,) = fleet.deploy_all(Request(workspace))
    assert "target.kubernetes.registry is locked" in done.problems[0].what
