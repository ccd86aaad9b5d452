"""What the engine must know of each kind of resource, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mcp_packager.target import Kind, Value, owned
from mcp_targets._aws import ecr, iam
from mcp_targets.aws_lambda import image
from mcp_targets.aws_lambda.doors import (
    API,
    INTEGRATION,
    PERMISSION,
    ROUTE,
    RULE,
    STAGE,
    TARGET,
    TARGET_GROUP,
    URL,
)
from mcp_targets.aws_lambda.kept import KEY, PARAMETER, SECRET
from mcp_targets.aws_lambda.reading import as_wanted
from mcp_targets.aws_lambda.render import (
    ALARM,
    ALIAS,
    FUNCTION,
    LOG_GROUP,
    PROVISIONED,
    READS,
    RESERVED,
    VERSION,
)
from mcp_targets.aws_lambda.ruling import as_ruled


def _led(observed: Mapping[str, Value], desired: Mapping[str, Value]) -> Mapping[str, Value]:
    """An alias's fields; secrets without value are read nowhere."""
    found = dict(owned(observed, desired))
    wanted = desired.get(READS) or {}
    if found.get(READS) == {name: place for name, place in wanted.items() if place is not None}:
        found[READS] = wanted
    return found


KINDS: Final = (
    *iam.KINDS,
    Kind(LOG_GROUP),
    Kind(SECRET, secret=True),
    Kind(KEY, stable=frozenset({PARAMETER})),
    *ecr.KINDS,
    Kind(image.KIND),
    Kind(FUNCTION, project=as_wanted, effect="changes what no client reaches until the alias moves"),
    Kind(VERSION, project=as_wanted),
    Kind(ALIAS, project=_led, effect="moves clients to the other version; no call is refused"),
    Kind(URL, effect="changes how clients are let in"),
    # The right goes after what needs it: by it a door that was left half-made is found again.
    Kind(PERMISSION, effect="changes who may call"),
    Kind(API, stable=frozenset({"ApiId", "source", "endpoint"}), effect="changes how clients are let in"),
    Kind(INTEGRATION, stable=frozenset({"target"}), effect="changes what the API leads to"),
    Kind(ROUTE, effect="changes how clients are let in"),
    Kind(STAGE, effect="changes how clients are let in"),
    Kind(TARGET_GROUP, stable=frozenset({"arn"}), effect="changes how requests arrive"),
    Kind(TARGET, effect="changes what the load balancer leads to"),
    Kind(RULE, project=as_ruled, effect="changes which requests arrive"),
    Kind(RESERVED, effect="changes how many calls are answered at a time"),
    Kind(PROVISIONED, effect="starts environments anew"),
    Kind(ALARM),
)
