"""Whether the services that a tool depends on can be reached from here."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from mcp_packager.pipeline.reports import ServiceLine

if TYPE_CHECKING:
    from mcp_packager.manifest.service import Service

PATIENCE = 2.0
"""Seconds that a connection may take."""
_AT_ONCE = 16


def reach(services: Mapping[str, Service]) -> tuple[ServiceLine, ...]:
    """One line for each service with an ``external`` address, by name. Connects and says nothing."""
    addresses = [(name, service.external) for name, service in sorted(services.items()) if service.external]
    if not addresses:
        return ()
    with ThreadPoolExecutor(min(_AT_ONCE, len(addresses))) as pool:
        return tuple(pool.map(lambda pair: _look(*pair), addresses))


def _look(name: str, address: str) -> ServiceLine:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
    except TimeoutError:
        return ServiceLine(name, address, reachable=False, detail=f"no answer within {PATIENCE:g} s")
    except OSError as error:
        return ServiceLine(name, address, reachable=False, detail=error.strerror or str(error))
    return ServiceLine(name, address, reachable=True)
