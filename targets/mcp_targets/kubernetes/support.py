"""What ``kubernetes`` does with each portable key of the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mcp_packager.target import HONOURS, Support, maps
from mcp_targets._kube.support import COMMON

SUPPORT: Final[Mapping[str, Support]] = {
    **COMMON,
    "secrets.from": maps(
        "env: and file: are read at deploy and kept in Secrets; k8s: is mounted from the tool's namespace; aws-sm: and "
        "aws-ssm: are fetched by the External Secrets Operator where secret_store is set, else refused"
    ),
    "permissions.aws": maps("the network policy opens port 443; credentials are the tool's own, from its secrets"),
    "serve.path": maps("path of [target.kubernetes], where set, on a host that tools share"),
    "serve.drain": maps("the Pod waits that long before it is told to end"),
    "serve.auth": maps("none, bearer, jwt and oidc; iam is refused: nothing in front asks who is calling"),
    "pin.aws_account": maps("not looked at: AWS is not used"),
    "pin.aws_region": maps("not looked at: AWS is not used"),
    "pin.kube_context": HONOURS,
}
