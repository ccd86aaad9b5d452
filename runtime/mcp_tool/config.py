"""What a running server must know of where it runs: `config.json`, schema 1.

The packager makes this document from manifest, stage and target and delivers it beside the bundle, so that one
artifact runs in many places. Every key has a default; an empty document serves on loopback without secrets.

    {"schema": 1, "stage": "default", "target": "local", "release": null,
     "serve": {"path": "/mcp", "public_url": null, "timeout": 60.0, "concurrency": 100,
               "allowed_hosts": [], "allowed_origins": [], "auth": null, "drain": 20.0, "drain_delay": 0.0,
               "keep_alive": 75.0, "max_body": 4194304, "listen": true, "state_keys": []},
     "env": {"NAME": "value"},
     "secrets": {"NAME": {"env": "NAME"} | {"file": "/run/secrets/name"}},
     "log": {"level": "info"}}

Times are seconds, sizes are bytes. A secret stands here by reference only; its value is read at start, handed to
the author's code and put into no log line and no error.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mcp_tool.serve.problem import StartProblem

SCHEMA = 1

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Section(BaseModel):
    """Frozen, and strict about unknown keys: a setting that is not understood must not be dropped in silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SecretRef(_Section):
    """Where a secret's value stands: in an environment variable or in a file. Exactly one of the two."""

    env: str | None = None
    file: Path | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "SecretRef":
        if (self.env is None) == (self.file is None):
            msg = 'a secret is either {"env": NAME} or {"file": path}'
            raise ValueError(msg)
        return self

    def read(self) -> str | None:
        """The value, without a file's final line break; None where there is none (or an empty one)."""
        if self.file is not None:
            try:
                return self.file.read_text(encoding="utf-8").rstrip("\r\n") or None
            except (OSError, UnicodeDecodeError):
                return None
        return os.environ.get(self.env or "") or None

    def __str__(self) -> str:
        return f"file {self.file}" if self.file is not None else f"environment variable {self.env}"


class Serve(_Section):
    """How the server answers: where, to whom, how much at once, how it ends.

    Attributes:
        path: The URL path of the MCP endpoint.
        public_url: How clients reach the server; its host and origin are allowed.
        timeout: Seconds one call may take at most; a tool may say less.
        concurrency: Requests in flight before the next one is answered 503. Listen streams do not count.
        allowed_hosts: Host header values beside loopback and public_url: "name" (any port), "name:port",
            "*.name", or "*" where something in front of the server checks them.
        allowed_origins: Origin header values beside loopback and public_url.
        drain: Seconds that calls in flight get after SIGTERM.
        drain_delay: Seconds between "not ready" and the end of accepting, for a load balancer to notice.
        keep_alive: Seconds an idle connection stays open; more than the idle timeout of what stands in front.
        max_body: Bytes of a request before it is answered 413.
        listen: Whether `subscriptions/listen` is served; not where an open stream is billed by the second.
        state_keys: Keys that seal the state of multi-round-trip calls; the first seals, all open. Replicas
            share them; without one the key lives and dies with the process.
    """

    path: str = "/mcp"
    public_url: str | None = None
    timeout: Seconds = 60.0
    concurrency: Annotated[int, Field(gt=0)] = 100
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    auth: Mapping[str, Any] | None = None
    drain: Seconds = 20.0
    drain_delay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    keep_alive: Seconds = 75.0
    max_body: Annotated[int, Field(gt=0)] = 4 * 1024 * 1024
    listen: bool = True
    state_keys: tuple[SecretRef, ...] = ()

    @field_validator("path")
    @classmethod
    def _rooted(cls, path: str) -> str:
        if not path.startswith("/") or "?" in path or "#" in path:
            msg = "a path begins with / and holds no ? or #"
            raise ValueError(msg)
        return path.rstrip("/") or "/"

    @field_validator("auth")
    @classmethod
    def _open_only(cls, auth: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        # Serving open what was meant to be protected is the one mistake that must not happen quietly.
        if auth and auth.get("mode") != "none":
            msg = "this runtime has no authentication yet and will not serve without the one asked for"
            raise ValueError(msg)
        return None


class Log(_Section):
    """What reaches standard error, as one JSON document a line."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(_Section):
    """The whole document."""

    schema_: Literal[1] = Field(1, alias="schema")
    stage: str = "default"
    target: str = "local"
    release: str | None = None
    serve: Serve = Serve()
    env: Mapping[str, str] = {}
    secrets: Mapping[str, SecretRef] = {}
    log: Log = Log()

    def secret(self, name: str) -> SecretRef:
        """The reference for a secret; one the config does not name is looked for in the environment."""
        return self.secrets.get(name) or SecretRef(env=name)


def load(path: Path | None) -> Config:
    """The config in the file at `path`, or the defaults where there is none.

    Raises:
        StartProblem: The file cannot be read, is newer than this runtime, or holds what is not understood.
    """
    if path is None:
        return parse({})
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StartProblem(
            f"config {path} cannot be read: {error.strerror}", "name a readable file with --config"
        ) from None
    except ValueError as error:
        raise StartProblem(f"config {path} is not JSON: {error}", "deploy again, or mend the file") from None
    return parse(document, source=str(path))


def parse(document: Any, source: str = "config") -> Config:
    """The config in a document that was read already; `source` names it in problems."""
    if not isinstance(document, dict):
        raise StartProblem(f"{source} is not a JSON object", "deploy again, or mend the file")
    schema = document.get("schema", SCHEMA)
    if isinstance(schema, int) and schema > SCHEMA:
        raise StartProblem(
            f"{source} has schema {schema}; this runtime reads up to {SCHEMA}",
            "build the artifact again with the mcp-pack that wrote this config",
        )
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        # Only the place and the rule: pydantic's own text would quote the value, which may be private.
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False)
        )
        raise StartProblem(f"{source}: {faults}", "deploy again, or mend the file") from None
