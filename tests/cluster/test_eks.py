"""The target ``eks`` on a real cluster: behind the load balancer, its account by moto, its image under ECR's name."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

import boto3
import pytest

from mcp_packager.target import Identity
from mcp_packager.testing import Pack
from mcp_packager.testing.client import greeting
from mcp_packager.testing.project import Project
from mcp_targets._kube.rights import cluster_role
from tests.cluster import amazon
from tests.cluster.amazon import ACCOUNT, CLUSTER, DEPLOYERS, REGION, Places
from tests.cluster.cluster import Cluster
from tests.cluster.ingress import DOMAIN, Ingresses

pytestmark = pytest.mark.real("own-cluster", "base-image", "balancers", "docker-registry")

OPTIONS = f"""\
cluster = "{CLUSTER}"
region = "{REGION}"
account = "{ACCOUNT}"
host = "{{name}}.{DOMAIN}"
namespace = "{{namespace}}"
start_timeout = "90s"
"""


@pytest.fixture(scope="module")
def places(cluster: Cluster, ingresses: Ingresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """An account with the cluster in it; a deployer there has the rights that ``doctor`` prints, and no others."""
    cluster.apply(
        cluster_role(),
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "deployers"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "mcp-pack-deployer"},
            "subjects": [{"kind": "Group", "name": DEPLOYERS}],
        },
    )
    folder = tmp_path_factory.mktemp("amazon")
    with amazon.account(cluster, folder, hosts=ingresses.hosts, authority=ingresses.authority) as there:
        yield there


def pack(places: Places, tmp_path_factory: pytest.TempPathFactory, project: Project) -> Pack:
    home = tmp_path_factory.mktemp("home")
    return Pack(project.folder, "eks", {"MCP_PACK_HOME": str(home), "KUBECONFIG": "/nonexistent", **places.environ})


def test_deploys_and_answers_behind_its_load_balancer(
    places: Places, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    options = OPTIONS.format(name="first", namespace="eks-first")
    project = Project(tmp_path_factory.mktemp("project") / "first", "eks", options, "first")
    project.write("1.0.0")
    command = pack(places, tmp_path_factory, project)
    done = command.deploy()
    print(done)
    assert done["endpoint"]["url"] == f"https://first.{DOMAIN}/mcp"
