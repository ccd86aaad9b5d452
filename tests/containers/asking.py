"""The daemon that tests look at, asked over one connection a daemon."""

from __future__ import annotations

import functools
import os

from mcp_targets.docker.daemon import Daemon


def daemon() -> Daemon:
    """The daemon of `DOCKER_HOST`."""
    return _daemon(os.environ["DOCKER_HOST"])


@functools.cache
def _daemon(host: str) -> Daemon:
    return Daemon({**os.environ, "DOCKER_HOST": host})
