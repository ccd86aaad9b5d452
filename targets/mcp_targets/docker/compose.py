"""``compose.yaml``: what the deploy makes, for ``docker compose`` and ``podman compose``. Pure: from data to data.

It keeps to what docker-compose 1.29 and podman-compose 1.6 both read (https://github.com/compose-spec/compose-spec):
no project name, no ``start_interval``, limits on the service itself. Compose has no front: the tool publishes its port.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.target import Exposure, base_config, with_audit_file, with_serve, with_services
from mcp_targets.docker.options import Options
from mcp_targets.docker.render import (
    CONFIG_FOLDER,
    HEALTH_INTERVAL,
    HEALTH_RETRIES,
    HEALTH_TIMEOUT,
    PORT,
    SERVICE_RESTART,
    drain_delay,
    inside,
    scratch,
)

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest
    from mcp_packager.manifest.service import Service

_ASK: Final = (
    f"import http.client as h; c = h.HTTPConnection('127.0.0.1', {PORT}, timeout=2); "
    "c.request('GET', '/readyz'); raise SystemExit(c.getresponse().status != 200)"
)
HEALTH: Final = (
    "python3",
    "-S",
    "-P",
    "-c",
    _ASK,
)
"""Ends with 0 when the server is ready. There is no curl in a slim image, and no need of one."""

USER: Final = "65532:65532"
_CONFIG: Final = f"{CONFIG_FOLDER}/config.json"
_GRACE: Final = "30s"


def config(manifest: Manifest, exposure: Exposure) -> dict[str, Any]:
    """The ``config.json`` beside ``compose.yaml``: every secret is the variable of its name."""
    made = with_services(base_config(manifest, "docker", exposure), manifest, _addresses(manifest))
    if made["metrics"] is not None:
        made = {**made, "metrics": {"host": "0.0.0.0", **made["metrics"]}}  # noqa: S104 - a network of its own
    if made["log"]["audit"] == "file":
        made = {**made, "log": {**made["log"], "audit": "stderr"}}
    return with_serve(with_audit_file(made, None), drain_delay=drain_delay(manifest))


def compose(manifest: Manifest, options: Options, reference: str) -> dict[str, Any]:
    """The document of ``compose.yaml``. ``reference`` names the image, which compose builds where it is missing."""
    services = {name: service for name, service in sorted(manifest.services.items()) if service.image is not None}
    volumes = {name: service.volume for name, service in services.items() if service.volume is not None}
    tool = manifest.tool.name
    return {
        "services": {
            **{name: _service(manifest, name, service, options) for name, service in services.items()},
            tool: _tool(manifest, options, reference, services),
        },
        "networks": {"default": {"driver": "bridge"}},
        **({"volumes": {name: {"name": f"{tool}_{name}"} for name in volumes}} if volumes else {}),
    }


def variables(manifest: Manifest) -> tuple[str, ...]:
    """Names that ``.env`` must, or may, give a value: the secrets."""
    return tuple(sorted(manifest.secrets))


def _tool(manifest: Manifest, options: Options, reference: str, services: Mapping[str, Service]) -> dict[str, Any]:
    host = f"[{options.host}]" if ":" in options.host else options.host
    conditions = {name: {"condition": _condition(service)} for name, service in services.items()}
    environment = {name: _variable(manifest, name) for name in variables(manifest)}
    return {
        "image": reference,
        "build": {"context": ".", "dockerfile": "Dockerfile"},
        "command": ["--transport", "http", "--host", "0.0.0.0", "--port", str(PORT), "--config", _CONFIG],  # noqa: S104 - the container's own network
        "user": USER,
        "init": True,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "tmpfs": [f"/tmp:rw,noexec,nosuid,size={scratch(manifest)}"],  # noqa: S108 - the container's
        "pids_limit": options.pids,
        **_limits(manifest.resources),
        "ports": [f"{host}:{options.port or PORT}:{PORT}"],
        # "z" lets a container read it where SELinux labels files; elsewhere it means nothing.
        "volumes": [f"./config.json:{_CONFIG}:ro,z"],
        **({"environment": environment} if environment else {}),
        **({"extra_hosts": ["host.docker.internal:host-gateway"]} if _calls_the_machine(manifest) else {}),
        **({"depends_on": conditions} if conditions else {}),
        "healthcheck": {
            "test": ["CMD", *HEALTH],
            "interval": f"{HEALTH_INTERVAL:g}s",
            "timeout": f"{HEALTH_TIMEOUT:g}s",
            "retries": HEALTH_RETRIES,
            "start_period": _seconds(options.start_timeout),
        },
        "restart": options.restart,
        "stop_grace_period": _GRACE,
        "logging": _logging(options),
    }


def _service(manifest: Manifest, name: str, service: Service, options: Options) -> dict[str, Any]:
    environment = {
        **{variable: _literal(value) for variable, value in service.env.items()},
        **{variable: _variable(manifest, secret) for variable, secret in service.secrets.items()},
    }
    health = service.health
    return {
        "image": service.image,
        **({} if service.command is None else {"command": [_literal(word) for word in service.command]}),
        "init": True,
        "security_opt": ["no-new-privileges:true"],
        **_limits(service.resources),
        **({"volumes": [f"{name}:{_literal(service.volume.path)}"]} if service.volume is not None else {}),
        **({"environment": environment} if environment else {}),
        **(
            {}
            if health.command is None
            else {
                "healthcheck": {
                    "test": ["CMD", *(_literal(word) for word in health.command)],
                    "interval": _seconds(health.interval),
                    "timeout": _seconds(health.timeout),
                    "retries": health.retries,
                    "start_period": _seconds(health.start),
                }
            }
        ),
        "restart": SERVICE_RESTART,
        "logging": _logging(options),
    }


def _condition(service: Service) -> str:
    """Without a command there is nothing to ask in somebody else's image; the server is not ready until it is up."""
    return "service_started" if service.health.command is None else "service_healthy"


def _limits(resources: Any) -> dict[str, Any]:
    return {
        **({"mem_limit": resources.memory, "memswap_limit": resources.memory} if resources.memory else {}),
        **({"cpus": f"{resources.cpu:g}"} if resources.cpu else {}),
    }


def _logging(options: Options) -> dict[str, Any]:
    size = {"max-size": str(options.log_size), "max-file": str(options.log_files)}
    return {"driver": "json-file", "options": size}


def _variable(manifest: Manifest, name: str) -> str:
    """A secret's value, from the environment of who runs compose or from ``.env``."""
    return f"${{{name}:?set it in .env}}" if manifest.secrets[name].required else f"${{{name}:-}}"


def _addresses(manifest: Manifest) -> dict[str, str]:
    return {
        name: f"{name}:{service.ports[0]}" if service.image else inside(service.external or "")
        for name, service in manifest.services.items()
    }


def _calls_the_machine(manifest: Manifest) -> bool:
    return any(
        service.image is None and inside(service.external or "") != service.external
        for service in manifest.services.values()
    )


def _literal(text: str) -> str:
    """A text that compose takes as it stands: ``$`` would begin a variable."""
    return text.replace("$", "$$")


def _seconds(duration: float) -> str:
    # Durations of compose have no exponent, and docker-compose 1.29 none below a millisecond.
    return f"{round(duration * 1000)}ms"
