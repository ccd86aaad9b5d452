"""What ``build`` writes beside the image: for compose, for other builders, for clients over stdio."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.target import Exposure
from mcp_packager.yaml import yaml_text
from mcp_targets.docker.compose import compose, config, variables
from mcp_targets.docker.dockerfile import dockerfile, dockerignore
from mcp_targets.docker.options import Options
from mcp_targets.docker.render import CONFIG_FOLDER, scratch

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_packager.image import Image
    from mcp_packager.manifest import Manifest

STDIO: Final = "stdio.sh"
"""Starts services and tool for one client over stdio, and ends them with it."""

_STDIO: Final = """\
#!/bin/sh
# Serves one client over stdio, services and all. When the last client of this machine is gone, however it went, so
# are they; their data stays in its volumes. Compose holds the pipe, as 5, and never writes to it: whatever ends compose
# closes it, and that is what the part behind it waits for, in a session of its own.
cd "$(dirname "$0")" || exit 1
tool={tool} project={tool}-stdio name={tool}-stdio-$$
if docker compose version >/dev/null 2>&1; then compose="docker compose" engine=docker
elif command -v docker-compose >/dev/null 2>&1; then compose=docker-compose engine=docker
else compose=podman-compose engine=podman
fi
exec 3<&0 4>&1
{{
  # One that comes while the services end waits until they are gone, and those that are there share them.
  ! command -v flock >/dev/null 2>&1 || {{ exec 9>.stdio.lock && flock -s 9; }}
  set -- --name "$name" "$tool" --transport stdio --config {config}
  if [ "$engine" = podman ]; then
    # What it holds it hands on to what watches over each container, and stays: there the shell alone holds the pipe.
    # And what it says of the services it says on standard output, which is the protocol's.
    $compose -p "$project" up -d {services} >&2 </dev/null 3<&- 4>&- 9>&- &&
      $compose -p "$project" run --no-deps --rm -T "$@" <&3 >&4 3<&- 4>&- 9>&-
  else
    $compose -p "$project" run --rm -T "$@" 5>&1 <&3 >&4 3<&- 4>&-
  fi
  exit
}} | {{
  exec 3<&- 4>&- >/dev/null
  detached=$(command -v setsid) || detached=
  exec $detached sh -c '
    trap "" HUP INT TERM
    while read -r _; do :; done
    "$1" rm --force "$4" >/dev/null 2>&1
    ! command -v flock >/dev/null 2>&1 || {{ exec 9>.stdio.lock && flock -n -x 9; }} || exit 0
    [ -n "$("$1" ps --quiet --filter "name=^/*$5-stdio-[0-9]")" ] || $2 -p "$3" down --timeout 10 2>/dev/null
  ' stdio "$engine" "$compose" "$project" "$name" "$tool"
}}
"""


def write_files(
    manifest: Manifest, options: Options, exposure: Exposure, image: Image, reference: str, to: Path
) -> None:
    """Write ``compose.yaml`` and what goes with it, ``Dockerfile`` and ``.dockerignore`` into ``to``.

    Raises:
        UserError: a value of the image could be read as something else in a Dockerfile.
    """
    texts = {
        "compose.yaml": yaml_text(compose(manifest, options, reference)),
        "config.json": json.dumps(config(manifest, exposure), indent=1, sort_keys=True, ensure_ascii=False) + "\n",
        ".env.example": "".join(f"{name}=\n" for name in variables(manifest)),
        "Dockerfile": dockerfile(image, _below(manifest, options)),
        ".dockerignore": dockerignore(image),
    }
    for name, text in texts.items():
        (to / name).write_text(text, encoding="utf-8")
    if _has_services(manifest):
        script = to / STDIO
        services = " ".join(sorted(name for name, service in manifest.services.items() if service.image is not None))
        config_file = f"{CONFIG_FOLDER}/config.json"
        script.write_text(_STDIO.format(tool=manifest.tool.name, config=config_file, services=services))
        script.chmod(0o755)


def stdio(manifest: Manifest, options: Options, reference: str) -> dict[str, Any]:
    """How a client starts the tool over stdio, as facts of the artifact."""
    note = (
        f"the image must be where docker runs: mcp-pack deploy brings it there, "
        f"or docker build -t {reference} in the folder of the artifact"
    )
    if _has_services(manifest):
        return {"command": ["sh", STDIO], "notes": [note]}
    resources = manifest.resources
    return {
        "command": [
            *("docker", "run", "-i", "--rm", "--init", "--read-only", "--cap-drop", "ALL"),
            *("--security-opt", "no-new-privileges"),
            *("--tmpfs", f"/tmp:rw,noexec,nosuid,size={scratch(manifest)}"),  # noqa: S108 - the container's
            *("--pids-limit", str(options.pids)),
            *(("--memory", str(resources.memory), "--memory-swap", str(resources.memory)) if resources.memory else ()),
            *(("--cpus", f"{resources.cpu:g}") if resources.cpu else ()),
            # Its standard output is what client and server say to each other, which is nobody else's.
            *("--log-driver", "none"),
            "{env}",
            *(reference, "--transport", "stdio"),
        ],
        "env_option": "--env",
        "notes": [note],
    }


def _below(manifest: Manifest, options: Options) -> str | None:
    """The project's own Dockerfile, where it describes the image below."""
    return None if options.dockerfile is None else (manifest.project / options.dockerfile).read_text(encoding="utf-8")


def _has_services(manifest: Manifest) -> bool:
    return any(service.image is not None for service in manifest.services.values())
