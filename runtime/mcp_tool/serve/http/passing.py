"""What of a request passes on to the author's code, and what of the author's log to the client. Knows no SDK."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

CREDENTIALS: Final = frozenset(
    {
        b"authorization",
        b"proxy-authorization",
        b"cookie",
        b"x-amz-security-token",  # of a request that is signed for AWS
        b"x-amzn-oidc-accesstoken",  # both from a load balancer of AWS that has signed the user in
        b"x-amzn-oidc-data",
        b"x-forwarded-access-token",  # from oauth2-proxy
    }
)
"""Headers by which the caller proves itself to this server: no author's code gets what it could pass on."""


LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""Of log messages to a client, from the least to the most severe (RFC 5424, as the protocol has them)."""


@dataclass
class LogLevel:
    """What `logging/setLevel` last asked for; it lasts as long as the process, so on stdio as long as the client."""

    level: str = "debug"

    def lets_through(self, level: str) -> bool:
        """Whether a message of that level is wanted."""
        return LEVELS.index(level) >= LEVELS.index(self.level)


def without_credentials(raw: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of an ASGI scope without those by which the caller proves itself."""
    return [(name, value) for name, value in raw if name not in CREDENTIALS]
