"""The config of a function: where it finds its secrets, what it does not do, and the one variable it is handed in."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.errors import Problem, UserError
from mcp_packager.target import (
    DesiredInput,
    Key,
    Ref,
    Value,
    with_audit_file,
    with_keys,
    with_secrets,
    with_serve,
    with_services,
)
from mcp_targets.aws_lambda.doors import LONGEST_OF_AN_API, MOST_OF_A_BALANCER

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest
    from mcp_targets.aws_lambda.options import Options

CONFIG: Final = "MCP_TOOL_CONFIG_DATA"
"""``mcp_tool.serve.aws.function.CONFIG``: the runtime reads the config from there."""

NAMESPACE: Final = "McpTools"
"""Where CloudWatch keeps the metrics that the runtime writes as log lines."""

MOST_BODY: Final = 6_291_456
LONGEST: Final = 900.0
"""Bytes of a request, seconds of an invocation (Lambda developer guide, "Lambda quotas")."""

MOST_VARIABLES: Final = 4096
"""Bytes of all variables together, names included (the same page)."""

KEPT: Final = frozenset({"env", "file"})
"""Sources whose values the deploy reads, and keeps in Parameter Store."""

_SPARE: Final = 5.0
_SPARE_OF_AN_API: Final = 1.0


def longest_call(options: Options) -> float:
    """Seconds that a call may take at most: less than what stands in front waits, so that the runtime says why."""
    return LONGEST_OF_AN_API - _SPARE_OF_AN_API if options.front == "http-api" else LONGEST


def most_body(options: Options) -> int:
    """Bytes of a request at most."""
    return MOST_OF_A_BALANCER if options.front == "alb" else MOST_BODY


def timeout(manifest: Manifest, options: Options) -> int:
    """Seconds after which Lambda ends an invocation: later than the runtime, which says what was too slow."""
    call = min(manifest.serve.timeout, longest_call(options))
    return math.ceil(options.timeout or min(call + _SPARE, LONGEST))


def config_document(request: DesiredInput) -> dict[str, Value]:
    """``config.json``, with Refs where Parameter Store decides on a version."""
    manifest, options = request.manifest, request.options
    places = {name: place(name, *secret.source(name)) for name, secret in manifest.secrets.items()}
    addresses = {name: service.external or "" for name, service in manifest.services.items()}
    config = with_services(with_secrets(request.config, places), manifest, addresses)
    if config["log"]["audit"] == "file":
        config = {**config, "log": {**config["log"], "audit": "stderr"}}
    keyed = with_keys(with_audit_file(config, None), request.identity, lambda key: {"aws-ssm": Ref(key, "parameter")})
    return with_serve(
        {**keyed, "metrics": None, "emf": {"namespace": NAMESPACE}},
        listen=False,
        events=None,
        trusted_proxies=[],
        timeout=min(manifest.serve.timeout, longest_call(options)),
        max_body=min(manifest.serve.max_body, most_body(options)),
    )


def place(name: str, scheme: str, rest: str) -> dict[str, Value]:
    """Where the runtime finds the value of a secret."""
    if scheme in KEPT:
        return {"aws-ssm": Ref(Key("secret", name), "parameter")}
    return {scheme: rest}


def present(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config without the places of secrets that have no value."""
    secrets = {name: found for name, found in config["secrets"].items() if None not in found.values()}
    return {**config, "secrets": secrets}


def packed(config: Mapping[str, Any], others: Mapping[str, str]) -> dict[str, str]:
    """The function's variables: ``others``, and the config, compressed.

    Args:
        config: with every Ref resolved; places of secrets that have no value resolve to ``None`` and are left out.
        others: variables beside it.

    Raises:
        UserError: they are larger than Lambda takes.
    """
    text = json.dumps(present(config), sort_keys=True, separators=(",", ":"))
    made = {**others, CONFIG: base64.b64encode(zlib.compress(text.encode(), 9)).decode()}
    size = sum(len(name) + len(value) for name, value in made.items())
    if size > MOST_VARIABLES:
        raise UserError(
            Problem(
                "the function's settings are larger than Lambda takes",
                "say less under [env], or put what is long into a secret of Secrets Manager",
                expected=f"{MOST_VARIABLES} bytes, compressed",
                found=f"{size} bytes",
            )
        )
    return made
