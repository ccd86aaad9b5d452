"""The target ``kubernetes`` keeps the promises of every target, on a real cluster behind an ingress."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import pytest

from mcp_packager.target import Identity
from mcp_packager.testing import Pack, TargetSuite
from mcp_packager.testing.project import Project
from tests.cluster.cluster import Cluster
from tests.cluster.ingress import DOMAIN, Ingresses

pytestmark = [pytest.mark.real("own-cluster", "base-image", "balancers"), pytest.mark.timeout(900)]

NAMESPACE = "suite"
OPTIONS = """\
registry = "{registry}/team"
namespace = "{namespace}"
class = "nginx"
internal = true
https = false
keep = 3
start_timeout = "90s"
host = "suite.{domain}"

[stage.second.target.kubernetes]
host = "suite-second.{domain}"

[serve]
drain = "3s"

[scale]
min = 1
max = 1
"""


KINDS = ",".join(
    (
        "serviceaccounts,configmaps,secrets,services,networkpolicies,persistentvolumeclaims,pods,deployments",
        "statefulsets,horizontalpodautoscalers,poddisruptionbudgets,ingresses,roles,rolebindings,leases",
    )
)


def selector(pack: Pack) -> str:
    """The labels of a deployment of the suite's tool."""
    labels = Identity("suite-tool", "suite-tool", pack.stage).labels()
    return ",".join(f"{name}={value}" for name, value in labels.items())


class TestKubernetes(TargetSuite):
    target = "kubernetes"
    kill_moments = (0.2, 0.5, 0.8)
    cluster: ClassVar[Cluster | None] = None

    @pytest.fixture(scope="class")
    @classmethod
    def project(
        cls, tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, ingresses: Ingresses
    ) -> Iterator[Project]:
        del ingresses  # clients come in there
        cls.cluster = cluster
        options = OPTIONS.format(registry=cluster.registry, namespace=NAMESPACE, domain=DOMAIN)
        made = Project(tmp_path_factory.mktemp("project") / "suite", cls.target, options)
        made.write("1.0.0")
        yield made
        cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")

    @classmethod
    def strike(cls, pack: Pack) -> None:
        cls.running().kubectl("delete", "deployments", "-n", NAMESPACE, "-l", selector(pack))

    @classmethod
    def leftovers(cls, pack: Pack) -> Sequence[str]:
        found = cls.running().get(KINDS, "-n", NAMESPACE, "-l", selector(pack))["items"]
        return [
            f"{thing['kind']} {thing['metadata']['name']}"
            for thing in found
            if "deletionTimestamp" not in thing["metadata"]
        ]

    @classmethod
    def running(cls) -> Cluster:
        assert cls.cluster is not None
        return cls.cluster
