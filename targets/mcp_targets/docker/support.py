"""What ``docker`` does with each portable key of the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mcp_packager.target import HONOURS, Support, maps

_ONE: Final = maps("one container")
_NOT_ENFORCED: Final = maps("not enforced: the container has no credentials but what its secrets give it")
_NOT_LOOKED_AT: Final = maps("not looked at: nothing outside this machine is used")

SUPPORT: Final[Mapping[str, Support]] = {
    "env": HONOURS,
    "secrets.description": HONOURS,
    "secrets.from": maps("env: and file: are read at deploy and kept in volumes of the daemon; others are refused"),
    "secrets.as": HONOURS,
    "secrets.required": HONOURS,
    "services.image": HONOURS,
    "services.external": HONOURS,
    "services.command": HONOURS,
    "services.ports": maps("on the deployment's own network; none is published"),
    "services.env": HONOURS,
    "services.secrets": maps("environment of the service's container, which whoever may use the daemon can read"),
    "services.volume": maps("a named volume; its size is the machine's matter"),
    "services.health": HONOURS,
    "services.resources": HONOURS,
    "services.provides": HONOURS,
    "permissions.aws": _NOT_ENFORCED,
    "permissions.kubernetes": _NOT_ENFORCED,
    "permissions.egress": maps("not enforced: containers reach what the machine reaches"),
    "serve.path": HONOURS,
    "serve.public_url": HONOURS,
    "serve.timeout": HONOURS,
    "serve.concurrency": HONOURS,
    "serve.hosts": HONOURS,
    "serve.origins": HONOURS,
    "serve.drain": maps("1 s at most: the front moves new connections at once"),
    "serve.max_body": HONOURS,
    "serve.trusted_proxies": HONOURS,
    "serve.events": HONOURS,
    "serve.rate": HONOURS,
    "serve.auth": maps("none, bearer, jwt and oidc; iam is refused: nothing in front asks who is calling"),
    "serve.metrics": maps("on the deployment's own network; not published"),
    "serve.telemetry": HONOURS,
    "serve.audit": maps("a file is the container's log, where each line says that it is the audit's"),
    "resources.cpu": HONOURS,
    "resources.memory": HONOURS,
    "resources.disk": maps("the size of /tmp, which is in memory"),
    "scale.min": _ONE,
    "scale.max": _ONE,
    "scale.cpu": _ONE,
    "verify.via": maps("public alone; others are refused"),
    "verify.call": HONOURS,
    "pin.aws_account": _NOT_LOOKED_AT,
    "pin.aws_region": _NOT_LOOKED_AT,
    "pin.kube_context": _NOT_LOOKED_AT,
}
