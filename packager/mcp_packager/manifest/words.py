"""The grammar of every string in the manifest. What reaches another system holds no control character.

Patterns are written so that Rust's (pydantic), Python's and ECMAScript's (editors) regular expressions read them alike.
"""

from __future__ import annotations

from keyword import iskeyword
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

_NO_CONTROL: Final = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"
_TEXT: Final = r"^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f]*$"

NAME: Final = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
ENV: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
MODULE: Final = r"^[^\s.:/\\-]+(\.[^\s.:/\\-]+)*(:[^\s.:/\\-]+(\.[^\s.:/\\-]+)*)?$"
HOST: Final = r"^(\*\.)?[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$"
PATH: Final = r"^(/[A-Za-z0-9._~-]+)+$"
SOURCE: Final = (
    r"^(env:[A-Za-z_][A-Za-z0-9_]*"
    r"|file:[^\u0000-\u001f\u007f-\u009f\u2028\u2029]+"
    r"|aws-sm:[A-Za-z0-9/_+=.@:!-]+(#[A-Za-z0-9_.-]+)?"
    r"|aws-ssm:/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*"
    r"|k8s:([a-z0-9]([a-z0-9-]*[a-z0-9])?/)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?/[A-Za-z0-9._-]+)$"
)
IMAGE: Final = (
    r"^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]+)?/)?"
    r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
    r"(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[a-f0-9]{64})?$"
)
ADDRESS: Final = (
    r"^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
    r"|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$"
)
RELATIVE: Final = r"^[^/\\\u0000-\u001f\u007f-\u009f\u2028\u2029][^\\\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"
CIDR: Final = r"^[0-9A-Fa-f.:]+/[0-9]{1,3}$"
EVENTS: Final = r"^(rediss?://[^\u0000-\u0020\u007f-\u009f\u2028\u2029]+|env:[A-Za-z_][A-Za-z0-9_]*)$"
ABSOLUTE: Final = r"^/[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"

FORBIDDEN_ENV: Final = frozenset({"HOST", "PORT", "PATH", "HOME", "LD_PRELOAD", "LD_LIBRARY_PATH"})
"""Names that would change how the server itself is started or where it listens."""

FORBIDDEN_ENV_PREFIXES: Final = ("MCP_TOOL_", "PYTHON")


def _env(name: str) -> str:
    if name.upper() in FORBIDDEN_ENV or name.upper().startswith(FORBIDDEN_ENV_PREFIXES):
        raise PydanticCustomError(
            "env_reserved",
            "is reserved",
            {
                "expected": "a name of your own: HOST, PORT, PATH, HOME, LD_*, PYTHON* and MCP_TOOL_* start the server",
                "fix": "Rename it, for example with the tool's name in front",
            },
        )
    return name


def _as_text(value: Any) -> Any:
    """Numbers and booleans as TOML writes them."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() if value.bit_length() <= 64:
            return str(value)
        case float():
            return repr(value)
        case _:
            return value


def _network(cidr: str) -> str:
    import ipaddress  # only files with a network need it

    try:
        ipaddress.ip_network(cidr)
    except ValueError:
        raise PydanticCustomError(
            "cidr", "is not a network", {"expected": "a network without host bits", "fix": "Write it as 10.0.0.0/8"}
        ) from None
    return cidr


def _importable(entrypoint: str) -> str:
    for part in entrypoint.replace(":", ".").split("."):
        if not part.isidentifier() or iskeyword(part):
            raise PydanticCustomError(
                "entrypoint",
                "is not importable",
                {
                    "expected": "a Python module such as server, or module:object",
                    "fix": "Name the module as an import statement would, without .py and without slashes",
                },
            )
    return entrypoint


def _reachable(address: str) -> str:
    if not 1 <= int(address.rsplit(":", 1)[1]) <= 65535:
        raise PydanticCustomError("port", "has no such port", {"expected": "host:port with a port from 1 to 65535"})
    return address


def _confined(path: str) -> str:
    if ".." in path.split("/") or path.startswith("~"):
        raise PydanticCustomError(
            "path_outside",
            "leaves the project",
            {
                "expected": "a path or pattern inside the project",
                "fix": "Write it relative to mcp-tool.toml, without '..'",
            },
        )
    return path


Line = Annotated[str, StringConstraints(max_length=1000, pattern=_NO_CONTROL)]
"""One line of text."""

Word = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=_NO_CONTROL)]
"""One line of text that is not empty."""

Text = Annotated[str, StringConstraints(max_length=20_000, pattern=_TEXT)]
"""Text of several lines: tabs and line feeds, no other control characters."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=40, pattern=NAME)]
"""Lower-case letters, digits and single hyphens, a letter first: fits DNS-1123 labels, image repositories, wheel
names and Lambda alike (https://kubernetes.io/docs/concepts/overview/working-with-objects/names/)."""

StageName = Annotated[str, StringConstraints(min_length=1, max_length=20, pattern=NAME)]
EnvName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, pattern=ENV),
    AfterValidator(_env),
    Field(
        json_schema_extra={"not": {"pattern": "^((HOST|PORT|PATH|HOME|LD_PRELOAD|LD_LIBRARY_PATH)$|MCP_TOOL_|PYTHON)"}}
    ),
]
"""A POSIX environment name that the server's own start does not use."""

EnvValue = Annotated[
    Text,
    BeforeValidator(_as_text),
    WithJsonSchema({"type": ["string", "number", "boolean"], "maxLength": 20_000}),
]
"""Text; numbers and booleans become it."""

ServiceEnvName = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=ENV)]
SecretSource = Annotated[str, StringConstraints(max_length=500, pattern=SOURCE)]
EntryPoint = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=MODULE), AfterValidator(_importable)
]
"""``module`` or ``module:object``, dotted where needed."""

HostName = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=HOST)]
UrlPath = Annotated[str, StringConstraints(max_length=200, pattern=PATH)]
ImageName = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=IMAGE)]
Address = Annotated[str, StringConstraints(max_length=300, pattern=ADDRESS), AfterValidator(_reachable)]
"""``host:port``."""

RelativePath = Annotated[
    str, StringConstraints(min_length=1, max_length=500, pattern=RELATIVE), AfterValidator(_confined)
]
AbsolutePath = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=ABSOLUTE)]
Port = Annotated[int, Field(ge=1, le=65535)]
Cidr = Annotated[str, StringConstraints(max_length=50, pattern=CIDR), AfterValidator(_network)]

IN_WORDS: Final = {
    _NO_CONTROL: "one line of text without control characters",
    _TEXT: "text without control characters",
    NAME: "lower-case letters, digits and single hyphens, a letter first",
    ENV: "letters, digits and underscores, no digit first",
    MODULE: "a Python module such as server, or module:object",
    HOST: "a host name such as tools.example.com",
    PATH: "a path such as /mcp, without a slash at the end",
    SOURCE: "env:NAME, file:PATH, aws-sm:ID, aws-ssm:NAME or k8s:NAMESPACE/SECRET/KEY",
    IMAGE: "an image such as redis:7 or registry.example.com/team/db@sha256:…",
    ADDRESS: "host:port",
    RELATIVE: "a path relative to mcp-tool.toml, with forward slashes",
    ABSOLUTE: "an absolute path such as /data",
    CIDR: "a network such as 10.0.0.0/8",
    EVENTS: "redis://host[:port][/db], rediss://… or env:NAME",
}
"""Each pattern for people."""
