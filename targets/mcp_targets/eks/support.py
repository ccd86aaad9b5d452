"""What ``eks`` does with each portable key of the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mcp_packager.target import HONOURS, Support, maps
from mcp_targets._kube.support import COMMON

SUPPORT: Final[Mapping[str, Support]] = {
    **COMMON,
    "secrets.from": maps(
        "env:, file:, aws-sm: and aws-ssm: are read at deploy and kept in Secrets; k8s: is mounted from the tool's "
        "namespace; aws-sm: and aws-ssm: are left to the External Secrets Operator where secret_store is set"
    ),
    "permissions.aws": maps("a role of the tool's Pods, by Pod Identity or IRSA"),
    "serve.path": maps("below /<tool> on a host that tools share"),
    "serve.drain": maps("15 s, or 2 s without a host: the load balancer goes on sending for a while"),
    "serve.auth": maps("none, bearer, jwt and oidc; iam is refused: the load balancer asks nobody who is calling"),
    "pin.aws_account": HONOURS,
    "pin.aws_region": HONOURS,
    "pin.kube_context": maps("not looked at: the cluster is found by its name in EKS"),
}
