"""The target ``docker``: the tool as a hardened container, with its services, on Docker or Podman."""

from mcp_targets.docker.target import DockerTarget

target = DockerTarget()

__all__ = ["target"]
