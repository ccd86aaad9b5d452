"""A cluster of EKS as a world: reached with nothing but AWS credentials, with the account beside it."""

from __future__ import annotations

import atexit
import base64
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp_packager.target import Glance
from mcp_targets._aws.eks import Tokens, describe
from mcp_targets._aws.session import Aws
from mcp_targets._kube.client import Access, Api
from mcp_targets._kube.package import loaded
from mcp_targets._kube.world import KubeWorld
from mcp_targets.eks.account import Account
from mcp_targets.eks.options import Options
from mcp_targets.eks.place import wanted, where

if TYPE_CHECKING:
    from mcp_packager.target import WorldInput


def world(request: WorldInput) -> KubeWorld:
    """The deployment's cluster and account. Nothing is asked of either before it is needed.

    Raises:
        UserError: the manifest leaves open which they are.
    """
    options = request.options or Options()
    place = where(request.manifest, options)
    belongs = wanted(request.manifest, options)
    glance = request.glance or Glance()
    aws = glance.once((Aws, belongs.account, belongs.region), lambda: Aws(belongs))
    access = reaching(aws, place.cluster, f"{place.cluster} of EKS in {place.region} of account {place.account}")
    api = glance.once((Api, access.name), lambda: Api(access))
    account = Account(aws, api, request.identity, options, request.manifest)
    return KubeWorld(request, access, beside=account)


def reaching(aws: Aws, cluster: str, name: str) -> Access:
    """The way to a cluster's API: its address and certificate from EKS, a token of our own signing.

    ``name`` tells it from every other cluster.
    """
    return Access(name, lambda: _configured(aws, cluster))


def _file_of(authority: str) -> str:
    """A certificate as a file, for as long as this process runs: the client's websockets take nothing else."""
    descriptor, name = tempfile.mkstemp(prefix="mcp-pack-", suffix=".crt")
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64decode(authority))
    atexit.register(Path(name).unlink, missing_ok=True)
    return name


def _configured(aws: Aws, name: str) -> Any:
    cluster = describe(aws, name)
    tokens = Tokens(aws, name)

    def renew(configuration: Any) -> None:
        configuration.api_key["BearerToken"] = f"Bearer {tokens.current()}"

    configuration: Any = loaded().client.Configuration(host=cluster.endpoint, ssl_ca_cert=_file_of(cluster.authority))
    configuration.refresh_api_key_hook = renew
    renew(configuration)
    return configuration
