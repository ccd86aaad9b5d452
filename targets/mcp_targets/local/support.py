"""What ``local`` does with each portable key of the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mcp_packager.target import HONOURS, Support, maps

_NOT_RUN = maps("belongs to a service's image, which is not run here")
_NOT_ENFORCED = maps("not enforced: the tool runs as you")
_NOT_LIMITED = maps("not limited: the tool gets what the machine has")
_ONE = maps("one process")
_NOT_LOOKED_AT = maps("not looked at: nothing outside this machine is used")

SUPPORT: Final[Mapping[str, Support]] = {
    "env": HONOURS,
    "secrets.description": HONOURS,
    "secrets.from": maps(
        "env: and file: are read at deploy and kept in files that you alone can read; others are refused"
    ),
    "secrets.as": HONOURS,
    "secrets.required": HONOURS,
    "services.image": maps("not run here: give external beside it"),
    "services.external": HONOURS,
    "services.command": _NOT_RUN,
    "services.ports": _NOT_RUN,
    "services.env": _NOT_RUN,
    "services.secrets": _NOT_RUN,
    "services.volume": _NOT_RUN,
    "services.health": _NOT_RUN,
    "services.resources": _NOT_RUN,
    "services.provides": HONOURS,
    "permissions.aws": _NOT_ENFORCED,
    "permissions.kubernetes": _NOT_ENFORCED,
    "permissions.egress": _NOT_ENFORCED,
    "serve.path": HONOURS,
    "serve.public_url": HONOURS,
    "serve.timeout": HONOURS,
    "serve.concurrency": HONOURS,
    "serve.hosts": HONOURS,
    "serve.origins": HONOURS,
    "serve.drain": maps("1 s at most: no load balancer has to notice"),
    "serve.max_body": HONOURS,
    "serve.trusted_proxies": HONOURS,
    "serve.events": HONOURS,
    "serve.rate": HONOURS,
    "serve.auth": maps("none, bearer, jwt and oidc; iam is refused: nothing in front asks who is calling"),
    "serve.metrics": maps("on the address that the tool is served on"),
    "serve.telemetry": HONOURS,
    "serve.audit": maps("a file is logs/audit.log of the deployment"),
    "resources.cpu": _NOT_LIMITED,
    "resources.memory": _NOT_LIMITED,
    "resources.disk": _NOT_LIMITED,
    "scale.min": _ONE,
    "scale.max": _ONE,
    "scale.cpu": _ONE,
    "verify.via": maps("public alone; others are refused"),
    "verify.call": HONOURS,
    "pin.aws_account": _NOT_LOOKED_AT,
    "pin.aws_region": _NOT_LOOKED_AT,
    "pin.kube_context": _NOT_LOOKED_AT,
}
