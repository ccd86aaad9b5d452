"""What a running server must know of where it runs: `config.json`, schema 1.

The packager makes this document from manifest, stage and target and delivers it beside the bundle, so that one
artifact runs in many places. Every key has a default; an empty document serves on loopback without secrets.

    {"schema": 1, "stage": "default", "target": "local", "release": null,
     "serve": {"path": "/mcp", "public_url": null, "timeout": 60.0, "concurrency": 100,
               "allowed_hosts": [], "allowed_origins": [], "auth": null, "probe": null, "rate": null,
               "events": null, "trusted_proxies": [], "root_metadata": true, "drain": 20.0, "drain_delay": 0.0,
               "keep_alive": 75.0, "max_body": 4194304, "listen": true, "state_keys": []},
     "metrics": {"host": "127.0.0.1", "port": 9464} | null,
     "emf": {"namespace": "McpTools"} | null,
     "telemetry": {"otlp": "http://collector:4318", "sample": 1.0} | null,
     "dependencies": {"NAME": "host:port"},
     "env": {"NAME": "value"},
     "secrets": {"NAME": {"env": "NAME"} | {"file": "/run/secrets/name"} | {"aws-sm": "ID#key"} | {"aws-ssm": "NAME"}},
     "log": {"level": "info", "audit": "none", "file": null, "size": 10485760, "files": 5}}

Times are seconds, sizes are bytes. A secret stands here by reference only; its value is read at start, handed to
the author's code and put into no log line and no error.
"""

import json
import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
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
    """Where a secret's value stands: exactly one of the four.

    Attributes:
        env: An environment variable.
        file: A file.
        aws_sm: A secret of Secrets Manager by name or ARN, and after `#` the key in the JSON object that it holds.
        aws_ssm: A parameter of Parameter Store, by name.
    """

    env: str | None = None
    file: Path | None = None
    aws_sm: Annotated[str | None, Field(alias="aws-sm")] = None
    aws_ssm: Annotated[str | None, Field(alias="aws-ssm")] = None

    @model_validator(mode="after")
    def _one_source(self) -> "SecretRef":
        if [self.env, self.file, self.aws_sm, self.aws_ssm].count(None) != 3:
            msg = 'a secret is {"env": NAME}, {"file": path}, {"aws-sm": ID} or {"aws-ssm": NAME}'
            raise ValueError(msg)
        return self

    @property
    def is_remote(self) -> bool:
        """Whether another machine has to be asked for the value."""
        return self.aws_sm is not None or self.aws_ssm is not None

    def read(self) -> str | None:
        """The value, without a file's final line break; None where there is none (or an empty one).

        Raises:
            StartProblem: Another machine had to be asked, and gave no answer.
        """
        if self.is_remote:
            from mcp_tool.serve.aws import store

            return store.value(self)
        if self.file is not None:
            try:
                return self.file.read_text(encoding="utf-8").rstrip("\r\n") or None
            except (OSError, UnicodeDecodeError):
                return None
        return os.environ.get(self.env or "") or None

    def __str__(self) -> str:
        if self.aws_sm is not None:
            return f"secret {self.aws_sm} of Secrets Manager"
        if self.aws_ssm is not None:
            return f"parameter {self.aws_ssm} of Parameter Store"
        return f"file {self.file}" if self.file is not None else f"environment variable {self.env}"


class NoAuth(_Section):
    """Nobody is asked who they are."""

    mode: Literal["none"]


class BearerAuth(_Section):
    """Callers show one of a few static keys.

    Attributes:
        keys: Each holds a key, or `sha256:` and the 64 hexadecimal digits of its hash; any of them lets in.
    """

    mode: Literal["bearer"]
    keys: Annotated[tuple[SecretRef, ...], Field(min_length=1)]


class JwtAuth(_Section):
    """Callers show a signed token of an issuer.

    Attributes:
        issuer: `iss` of every token; with mode "oidc" its keys are found by discovery.
        jwks_url: Where the issuer's keys are; needed with mode "jwt".
        audience: `aud` of every token; null is the endpoint's own URL.
        scopes: What every token must have.
    """

    mode: Literal["jwt", "oidc"]
    issuer: str
    jwks_url: str | None = None
    audience: str | None = None
    algorithms: Annotated[tuple[Literal["RS256", "ES256", "EdDSA"], ...], Field(min_length=1)] = (
        "RS256",
        "ES256",
        "EdDSA",
    )
    scopes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _findable(self) -> "JwtAuth":
        if self.mode == "jwt" and self.jwks_url is None:
            msg = "mode jwt needs a jwks_url"
            raise ValueError(msg)
        return self


class IamAuth(_Section):
    """The platform has authenticated the caller."""

    mode: Literal["iam"]


Auth = Annotated[NoAuth | BearerAuth | JwtAuth | IamAuth, Field(discriminator="mode")]


class Probe(_Section):
    """How the deploy that looks at this server proves itself.

    Attributes:
        key: The key that signs its tokens.
        audience: Which deployment they are for: "project/tool/stage".
    """

    key: SecretRef
    audience: str


class Rate(_Section):
    """How often one caller may call: `calls` in `per` seconds, `burst` of them at once (null: as many as `calls`).

    `shared` counts across the replicas, in the Redis of `events`.
    """

    calls: Annotated[int, Field(gt=0)]
    per: Seconds = 60.0
    burst: Annotated[int, Field(gt=0)] | None = None
    shared: bool = False


class Url(_Section):
    """An address without anything secret in it."""

    url: str

    def read(self) -> str | None:
        """The address; as a secret's place gives its value."""
        return self.url


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
        auth: Who may call; null asks nobody.
        probe: How a deploy that looks at this server proves itself; null trusts none.
        rate: How often each caller may call; null does not count.
        events: The Redis through which replicas tell each other of changes; null where there is one replica.
        trusted_proxies: Networks whose `X-Forwarded-*` headers are believed.
        root_metadata: Whether the whole host is this tool's, so that its RFC 9728 document is at the root too.
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
    auth: Auth | None = None
    probe: Probe | None = None
    rate: Rate | None = None
    events: Url | SecretRef | None = None
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    root_metadata: bool = True
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

    @model_validator(mode="after")
    def _shared_somewhere(self) -> "Serve":
        if self.rate is not None and self.rate.shared and self.events is None:
            msg = "a shared rate needs events"
            raise ValueError(msg)
        return self


class Metrics(_Section):
    """Where `/metrics` is served, apart from the endpoint; port 0 is any free one."""

    host: str = "0.0.0.0"  # noqa: S104 - whoever collects metrics sits on another machine
    port: Annotated[int, Field(ge=0, le=65535)] = 9464


class Emf(_Section):
    """Metrics as log lines that CloudWatch reads, under a namespace: where nobody can come and collect them."""

    namespace: Annotated[str, Field(pattern=r"^[A-Za-z0-9_./#-]{1,255}$")] = "McpTools"


class Telemetry(_Section):
    """Where traces and metrics go: the base URL of an OTLP/HTTP collector, and the share of new traces to keep."""

    otlp: str
    sample: Annotated[float, Field(ge=0, le=1)] = 1.0


class AuditFile(_Section):
    """A file of its own for the audit stream."""

    file: Path


class Log(_Section):
    """What is written down, as one JSON document a line.

    Attributes:
        level: From which level up a line is written.
        audit: Where the audit stream goes.
        file: Where a server on stdio logs to as well: the client keeps what is on standard error to itself.
        size: Bytes at which that file is put aside and a new one begun.
        files: How many files put aside are kept.
    """

    level: Literal["debug", "info", "warning", "error"] = "info"
    audit: Literal["none", "stderr", "otlp"] | AuditFile = "none"
    file: Path | None = None
    size: Annotated[int, Field(gt=0)] = 10 * 1024 * 1024
    files: Annotated[int, Field(ge=0)] = 5


class Config(_Section):
    """The whole document."""

    schema_: Literal[1] = Field(1, alias="schema")
    stage: str = "default"
    target: str = "local"
    release: str | None = None
    serve: Serve = Serve()
    metrics: Metrics | None = None
    emf: Emf | None = None
    telemetry: Telemetry | None = None
    dependencies: Mapping[str, str] = {}
    env: Mapping[str, str] = {}
    secrets: Mapping[str, SecretRef] = {}
    log: Log = Log()

    @model_validator(mode="after")
    def _collected_somewhere(self) -> "Config":
        if self.log.audit == "otlp" and self.telemetry is None:
            msg = "audit to otlp needs telemetry"
            raise ValueError(msg)
        return self

    def secret(self, name: str) -> SecretRef:
        """The reference for a secret; one the config does not name is looked for in the environment."""
        return self.secrets.get(name) or SecretRef(env=name)

    def remote(self) -> tuple[SecretRef, ...]:
        """Every reference for which another machine has to be asked, so that it is asked once for all."""
        serve = self.serve
        auth = serve.auth.keys if isinstance(serve.auth, BearerAuth) else ()
        events = (serve.events,) if isinstance(serve.events, SecretRef) else ()
        probe = () if serve.probe is None else (serve.probe.key,)
        found = (*self.secrets.values(), *serve.state_keys, *auth, *events, *probe)
        return tuple(reference for reference in found if reference.is_remote)


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
