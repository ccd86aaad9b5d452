"""The Redis that the replicas of one deployment share: where it is, and a client of it.

Nothing here connects: a client does when it is first used, and whoever uses it knows what to do while it cannot.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from mcp_tool.config import Config
from mcp_tool.serve.problem import StartProblem


@dataclass(frozen=True)
class Address:
    """Where the shared Redis is.

    Attributes:
        url: May hold a password: it stands in no log line and no error.
        place: Host and port alone.
    """

    url: str
    place: str


def address(config: Config) -> Address | None:
    """The shared Redis of a deployment; None where its config names none.

    Raises:
        StartProblem: What the config refers to is not there, or is no address.
    """
    reference = config.serve.events
    if reference is None:
        return None
    url = reference.read()
    if not url:
        raise StartProblem(
            f"the address of the Redis that replicas share is not set: {reference}",
            "give it a value, or remove [serve] events from the manifest",
        )
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        raise _no_address() from None
    return Address(url, f"{parts.hostname or parts.path or 'localhost'}{port}")


def client(where: Address, *, connections: int, wait: float, patience: float) -> Any:
    """A client of the shared Redis: a `redis.asyncio.Redis`, whose own types allow for every shape of answer at once.

    Args:
        where: Its address.
        connections: How many it has at most; more wait.
        wait: Seconds to wait for one of them, and for it to be made.
        patience: Seconds to wait for an answer.

    Raises:
        StartProblem: The package `redis` is not in this artifact, or the address is none.
    """
    try:
        from redis.asyncio import BlockingConnectionPool, Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError:
        raise StartProblem(
            "[serve] events needs the package redis, which is not here",
            "build again with [serve] events in the manifest, or install mcp-tool-runtime[redis]",
        ) from None
    try:
        pool = BlockingConnectionPool.from_url(
            where.url,
            max_connections=connections,
            timeout=wait,
            socket_connect_timeout=wait,
            socket_timeout=patience,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),  # type: ignore[no-untyped-call,unused-ignore]  # untyped in some versions
            protocol=2,  # one shape of answers in every version of the package
            decode_responses=True,
        )
    except ValueError:
        # The error's own text may quote the address.
        raise _no_address() from None
    return Redis(connection_pool=pool)


def _no_address() -> StartProblem:
    return StartProblem(
        "the address of the Redis that replicas share is none",
        "write redis://[[user]:password@]host[:port][/database], or rediss:// for TLS",
    )
