"""Which Host and Origin headers a server answers: the guard against DNS rebinding.

The MCP specification asks for it (streamable HTTP, security warning): a page in the user's browser must not be able
to reach a server on the user's machine or network by a name of its own.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")

_HOST = re.compile(r"[a-z0-9._~%!$&'()*+,;=-]+(:[0-9]+)?|\[[0-9a-f:.]+\](:[0-9]+)?")
"""RFC 9110, section 7.2, and RFC 3986, section 3.2.2: what is none is nobody's name, whatever the config allows."""

_REMEMBERED = 64
"""Host headers that are known to be right; with a wildcard there is no end of them."""


@dataclass(frozen=True)
class Names:
    """The names a server goes by.

    Attributes:
        hosts: Lower-case: "name" (any port), "name:port", "*.name" (any port) or "*".
        origins: Lower-case: "scheme://name" (any port), "scheme://name:port" or "*".
    """

    hosts: frozenset[str]
    origins: frozenset[str]
    _known: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, bound: str, public_url: str | None, hosts: Iterable[str], origins: Iterable[str]) -> "Names":
        """Loopback, the address bound to, the public URL's own name, and what the config adds."""
        known = set(_LOOPBACK)
        if bound not in {"", "0.0.0.0", "::"}:  # noqa: S104 - compared with, not bound to
            known.add(f"[{bound}]" if ":" in bound else bound)
        trusted = {f"{scheme}://{name}" for scheme in ("http", "https") for name in _LOOPBACK}
        if public_url:
            url = urlsplit(public_url)
            known.add(url.netloc.lower())
            trusted.add(f"{url.scheme}://{url.netloc}".lower())
        known.update(name.lower() for name in hosts)
        trusted.update(origin.lower().rstrip("/") for origin in origins)
        return cls(frozenset(known), frozenset(trusted))

    def host_is_ours(self, host: str) -> bool:
        """Whether a Host header names this server."""
        if host in self._known:
            return True
        ours = self._is_ours(host.lower())
        if ours and len(self._known) < _REMEMBERED:
            self._known.add(host)
        return ours

    def _is_ours(self, host: str) -> bool:
        if not _HOST.fullmatch(host):
            return False
        name = _without_port(host)
        if {host, name, "*"} & self.hosts:
            return True
        return any(name.endswith(known[1:]) for known in self.hosts if known.startswith("*."))

    def origin_is_trusted(self, origin: str) -> bool:
        """Whether a browser page of that origin may call."""
        origin = origin.lower()
        scheme, separator, rest = origin.partition("://")
        return bool({origin, f"{scheme}{separator}{_without_port(rest)}", "*"} & self.origins)


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
