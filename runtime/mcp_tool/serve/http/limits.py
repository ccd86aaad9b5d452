"""How often one caller may call: a token bucket for each, in this process or in the Redis that the replicas share.

Refusals carry `Retry-After` (RFC 9110, 10.2.3) and the `RateLimit` fields of draft-ietf-httpapi-ratelimit-headers-10.
"""

import hashlib
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final

from mcp_tool.config import Config, Rate
from mcp_tool.principal import Principal
from mcp_tool.serve import between
from mcp_tool.serve.http.gates import SERVER_BUSY, Limiter, Refusal
from mcp_tool.serve.problem import StartProblem

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.commands.core import AsyncScript

logger = logging.getLogger("mcp_tool.serve")

CALLERS: Final = 10_000
"""Callers that are remembered; the one not seen for longest is forgotten first."""

ANSWER: Final = 0.25
"""Seconds that Redis may take; a caller waits no longer for being counted."""

AWAY: Final = 5.0
"""Seconds that a Redis which did not answer is left alone."""


def limiter(config: Config, name: str) -> "Limiter | None":
    """What counts every caller's requests; None where nobody is counted.

    Args:
        config: Where the server runs; its `serve.rate` and `serve.events` count.
        name: The server's name: what shares it shares the counts.

    Raises:
        StartProblem: The counts are to be shared, and the address of Redis or its client is missing.
    """
    rate = config.serve.rate
    if rate is None:
        return None
    if not rate.shared:
        return Buckets(rate)
    where = between.address(config)
    if where is None:
        raise StartProblem(
            "the rate is shared between replicas, and nothing says where their Redis is",
            "set serve.events, or count in each process with rate.shared = false",
        )
    redis = between.client(where, connections=32, wait=ANSWER, patience=ANSWER)
    return Shared(rate, redis, f"mcp-tool:{name}:{config.stage}:rate:")


def caller(principal: Principal, address: str) -> str:
    """Whose bucket a request is counted in; empty for the deploy that looks at the server, whom nobody counts."""
    match principal.kind:
        case "probe":
            return ""
        case "anonymous":
            return f"at:{_network(address)}"
        case "bearer" | "jwt" | "iam":
            return principal.id


def _network(address: str) -> str:
    """The address; of version 6 its /64, which is what one subscriber gets and can change addresses in."""
    if ":" not in address:
        return address
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(ip_network((parsed, 64), strict=False))
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def _over(rate: Rate, wait: float) -> Refusal:
    """The refusal of a caller whose next call is possible in `wait` seconds."""
    seconds = str(max(1, math.ceil(wait))).encode()
    return Refusal(
        429,
        "Too many requests",
        "rate",
        SERVER_BUSY,
        (
            (b"retry-after", seconds),
            (b"ratelimit-policy", b'"caller";q=%d;w=%d' % (rate.calls, max(1, math.ceil(rate.per)))),
            (b"ratelimit", b'"caller";r=0;t=%s' % seconds),
        ),
    )


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Buckets:
    """Counts in this process."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic, callers: int = CALLERS) -> None:
        self._rate = rate
        self._size = float(rate.burst or rate.calls)
        self._refill = rate.calls / rate.per
        self._clock = clock
        self._callers = callers
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    async def __call__(self, principal: Principal, address: str) -> Refusal | None:
        """See `Limiter`."""
        return self.count(caller(principal, address))

    def count(self, key: str) -> Refusal | None:
        """Take one token out of a caller's bucket."""
        if not key:
            return None
        now = self._clock()
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= self._callers:
                self._buckets.popitem(last=False)
            bucket = self._buckets[key] = _Bucket(self._size, now)
        else:
            self._buckets.move_to_end(key)
            bucket.tokens = min(self._size, bucket.tokens + (now - bucket.at) * self._refill)
            bucket.at = now
        if bucket.tokens < 1:
            return _over(self._rate, (1 - bucket.tokens) / self._refill)
        bucket.tokens -= 1
        return None


_TAKE: Final = """
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
local size, refill = tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = math.min(size, (tonumber(kept[1]) or size) + math.max(0, now - (tonumber(kept[2]) or now)) * refill)
local wait = 0
if tokens < 1 then wait = (1 - tokens) / refill else tokens = tokens - 1 end
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', tostring(now))
redis.call('PEXPIRE', KEYS[1], math.ceil((size - tokens) / refill * 1000) + 1000)
return tostring(wait)
"""
"""One call out of one bucket, on the clock of Redis; the bucket is gone once it would be full again."""


class Shared:
    """Counts across the replicas; in this process alone while Redis does not answer."""

    def __init__(self, rate: Rate, redis: "Redis", prefix: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._size = rate.burst or rate.calls
        self._refill = rate.calls / rate.per
        self._take: AsyncScript = redis.register_script(_TAKE)
        self._prefix = prefix
        self._own = Buckets(rate)
        self._clock = clock
        self._away_until: float | None = None

    async def __call__(self, principal: Principal, address: str) -> Refusal | None:
        """See `Limiter`."""
        key = caller(principal, address)
        if not key:
            return None
        if self._away_until is not None and self._clock() < self._away_until:
            return self._own.count(key)
        # Hashed: addresses are nobody's business who looks into Redis.
        name = self._prefix + hashlib.sha256(key.encode()).hexdigest()[:24]
        try:
            answer: Any = await self._take(keys=[name], args=[self._size, self._refill])
            wait = float(answer)
        except Exception as error:  # noqa: BLE001 - a client's own errors, sockets', timeouts: all mean "not now"
            self._is_away(error)
            return self._own.count(key)
        if self._away_until is not None:
            self._away_until = None
            logger.info("calls are counted across replicas again")
        return _over(self._rate, wait) if wait > 0 else None

    def _is_away(self, error: Exception) -> None:
        if self._away_until is None:
            # Once an outage, and by its kind alone: the text may hold the address.
            logger.warning("Redis does not answer (%s): calls are counted in each process", type(error).__name__)
        self._away_until = self._clock() + AWAY
