"""The daemon that tests look at, asked over one connection a daemon."""

from __future__ import annotations

import functools
import os

from mcp_targets.docker.daemon import Daemon


def daemon() -> Daemon:
    """The daemon of `DOCKER_HOST`."""
    return _daemon(os.environ["DOCKER_HOST"])


def left_of(tool: str) -> set[str]:
    """What is at the daemon of a tool: kinds of volumes but the lock's, and names of all else."""
    held, label = daemon(), {"label": [f"mcp-pack/tool={tool}"]}
    return {
        *(each["Names"][0] for each in held.api.containers(all=True, filters=label)),
        *(each["Name"] for each in held.api.networks(filters=label)),
        *(each["RepoTags"][0] for each in held.api.images(name=f"mcp-pack/{tool}")),
        *(each["Labels"]["mcp-pack/kind"] for each in held.volumes(label)),
    } - {"lock"}


@functools.cache
def _daemon(host: str) -> Daemon:
    return Daemon({**os.environ, "DOCKER_HOST": host})
