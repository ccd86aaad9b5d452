"""An issuer's signing keys: found by discovery, kept, and asked for anew when a token names one that is not known.

discovery   OpenID Connect Discovery 1.0, section 4, and RFC 8414, section 3: the document names `jwks_uri`
keys        RFC 7517: {"keys": [{"kty", "kid", "use", "alg", …}]}
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from mcp_tool.serve.auth.fetching import FetchError, get_json, is_allowed, leads_inside
from mcp_tool.serve.auth.shown import Denied

FRESH: Final = 300.0
"""Seconds after which keys are asked for again, in the background."""
STALE: Final = 24 * 3600.0
"""Seconds for which keys are good while the issuer cannot be reached; after that nobody vouches for them."""
PAUSE: Final = 5.0
"""Seconds between two questions to the issuer, whatever tokens say: made-up key ids must not make us a nuisance."""
PATIENCE: Final = 10.0
"""Seconds that one question may take as a whole."""
_MOST_KEYS: Final = 64
_RSA_BITS: Final = range(2048, 8193)

KINDS: Final[Mapping[str, tuple[str, str | None]]] = {
    "RS256": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""Signature algorithms by the key type and curve that go with them (RFC 7518, section 3.1; RFC 8037, section 3.1)."""

Keys = Mapping[tuple[str, str | None], Any]
"""Public keys by algorithm and key id."""

logger = logging.getLogger("mcp_tool.serve")


class KeyRing:
    """The keys of one issuer.

    Args:
        issuer: Its identifier.
        jwks_url: Where its keys are; None to find out by discovery.
        get: Reads a JSON object, as `get_json` does; runs in a thread of its own.
        clock: Seconds from some beginning.
    """

    def __init__(
        self,
        issuer: str,
        jwks_url: str | None,
        get: Callable[[str, float], dict[str, Any]] = get_json,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._configured = jwks_url
        self._discovered: str | None = None
        self._get = get
        self._clock = clock
        self._keys: Keys = {}
        self._fetched: float | None = None
        self._asked: float | None = None
        self._failed = False
        self._asking: asyncio.Task[None] | None = None

    async def find(self, algorithm: str, key_id: str | None) -> Any | Denied:
        """The public key that a token names; UNCLEAR where the issuer cannot be asked, INVALID where it has none such.

        A token without a key id means the issuer's only key of that kind.
        """
        known = self._known(algorithm, key_id)
        if known is not None and self._age() < STALE:
            if self._age() >= FRESH:
                self._ask()
            return known
        asking = self._ask()
        if asking is not None:
            await asyncio.shield(asking)  # it goes on for others when this caller leaves
        known = self._known(algorithm, key_id)
        if self._age() >= STALE or (known is None and self._failed):
            return Denied.UNCLEAR
        return Denied.INVALID if known is None else known

    def _known(self, algorithm: str, key_id: str | None) -> Any | None:
        if key_id is not None:
            return self._keys.get((algorithm, key_id))
        of_kind = [key for (kind, _), key in self._keys.items() if kind == algorithm]
        return of_kind[0] if len(of_kind) == 1 else None

    def _age(self) -> float:
        return STALE if self._fetched is None else self._clock() - self._fetched

    def _ask(self) -> "asyncio.Task[None] | None":
        """The question that is under way, or a new one where it is time for one."""
        if self._asking is None and (self._asked is None or self._clock() - self._asked >= PAUSE):
            self._asked = self._clock()
            self._asking = asyncio.get_running_loop().create_task(self._refresh())
        return self._asking

    async def _refresh(self) -> None:
        try:
            self._keys = await _in_thread(self._fetch)
        except Exception as error:  # noqa: BLE001 - whatever an issuer answers, this server goes on
            if not self._failed:
                reason = error if isinstance(error, FetchError) else type(error).__name__
                logger.warning("the keys of the issuer %s cannot be had: %s", self._issuer, reason)
            self._failed, self._discovered = True, None
        else:
            if self._failed:
                logger.info("the keys of the issuer %s can be had again", self._issuer)
            self._failed, self._fetched = False, self._clock()
        finally:
            self._asking = None

    def _fetch(self) -> Keys:
        until = time.monotonic() + PATIENCE
        url = self._configured or self._discovered or self._discover(until)
        keys = parse(self._get(url, until))
        self._discovered = url
        return keys

    def _discover(self, until: float) -> str:
        """Where the issuer says that its keys are.

        Raises:
            FetchError: It does not say, or names a place that is not to be asked.
        """
        reasons = []
        for place in places(self._issuer):
            try:
                document = self._get(place, until)
            except FetchError as error:
                reasons.append(f"{urlsplit(place).path}: {error}")
                continue
            if not same_issuer(document.get("issuer"), self._issuer):
                raise FetchError("its metadata is another issuer's")  # RFC 8414, section 3.3
            url = document.get("jwks_uri")
            if not isinstance(url, str) or not is_allowed(url) or leads_inside(url, self._issuer):
                raise FetchError("its metadata names no place for keys that may be asked")
            return url
        raise FetchError("; ".join(reasons))


def places(issuer: str) -> tuple[str, ...]:
    """Where an issuer's metadata may be; MCP clients look there too. OpenID Connect's place first, as most have it."""
    parts = urlsplit(issuer.rstrip("/"))
    root = f"{parts.scheme}://{parts.netloc}"
    found = (
        f"{root}{parts.path}/.well-known/openid-configuration",
        f"{root}/.well-known/oauth-authorization-server{parts.path}",
        f"{root}/.well-known/openid-configuration{parts.path}",
    )
    return tuple(dict.fromkeys(found))


def same_issuer(named: object, issuer: str) -> bool:
    """Whether both are one issuer; a slash at the end, which some have and configurations lose, makes no difference."""
    return isinstance(named, str) and named.removesuffix("/") == issuer.removesuffix("/")


def parse(document: Mapping[str, Any]) -> Keys:
    """The usable signing keys of a key set; the others are left out.

    Raises:
        FetchError: It is no key set.
    """
    listed = document.get("keys")
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise FetchError("it is no set of keys")
    keys: dict[tuple[str, str | None], Any] = {}
    for entry in listed[:_MOST_KEYS]:
        if isinstance(entry, dict) and (algorithm := _algorithm(entry)) is not None:
            key = _public_key(entry, algorithm)
            if key is not None:
                kid = entry.get("kid")
                keys.setdefault((algorithm, kid if isinstance(kid, str) else None), key)
    return keys


def _algorithm(entry: Mapping[str, Any]) -> str | None:
    """The one algorithm that a key is for; None for keys that sign nothing here, or should not have been shown."""
    signs = entry.get("use", "sig") == "sig" and "verify" in entry.get("key_ops", ("verify",))
    if not signs or "d" in entry:
        return None
    for algorithm, (kind, curve) in KINDS.items():
        if entry.get("kty") == kind and entry.get("crv") == curve and entry.get("alg", algorithm) == algorithm:
            return algorithm
    return None


def _public_key(entry: Mapping[str, Any], algorithm: str) -> Any | None:
    import jwt

    try:
        key = jwt.PyJWK(dict(entry), algorithm).key
    except Exception:  # noqa: BLE001 - whatever others publish: what is no key is left out
        return None
    return None if algorithm == "RS256" and key.key_size not in _RSA_BITS else key


async def _in_thread(work: Callable[[], Keys]) -> Keys:
    """The result of `work`, done in a thread that nothing waits for at the end of the process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Keys] = loop.create_future()

    def settle(result: Keys | Exception) -> None:
        if done.cancelled():
            return
        if isinstance(result, Exception):
            done.set_exception(result)
        else:
            done.set_result(result)

    def run() -> None:
        result: Keys | Exception
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - raised where it is awaited
            result = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result)

    threading.Thread(target=run, name="issuer", daemon=True).start()
    return await done
