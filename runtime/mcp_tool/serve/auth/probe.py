"""The deploy's own token: short-lived, signed with a key of this deployment, trusted for looking at the server.

    mcp-pack-probe.<payload>.<signature>

`payload` is base64url without padding of the JSON object `{"aud": text, "exp": int, "iat": int}`, times in seconds
since the epoch; `signature`, encoded the same way, is the HMAC-SHA256 of `mcp-pack-probe.<payload>` under the key's
text.
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from mcp_tool.config import Probe
from mcp_tool.principal import Principal
from mcp_tool.serve.auth.keys import forget
from mcp_tool.serve.auth.shown import Denied
from mcp_tool.serve.problem import StartProblem

PREFIX: Final = "mcp-pack-probe."
LIFETIME: Final = 120
"""Seconds a token may be good for; a key that leaks once must not give a token for ever."""
SKEW: Final = 30
"""Seconds by which the deploy's clock may differ from ours."""
_LONGEST: Final = 1024
_SHORTEST_KEY: Final = 32


@dataclass(frozen=True)
class ProbeKey:
    """What tells a deploy's token from another.

    Attributes:
        key: Signs tokens.
        audience: The deployment that they must be for.
        clock: Seconds since the epoch.
    """

    key: bytes = field(repr=False)
    audience: str
    clock: Callable[[], float] = time.time

    @classmethod
    def read(cls, settings: Probe) -> "ProbeKey":
        """Read the key where the config says it stands.

        Raises:
            StartProblem: The key is missing, or shorter than 32 bytes.
        """
        value = settings.key.read()
        if value is None or len(value.encode()) < _SHORTEST_KEY:
            raise StartProblem(
                f"the probe key in {settings.key} is missing or shorter than {_SHORTEST_KEY} bytes",
                "deploy again, or put 32 random bytes (64 hexadecimal digits) there",
            )
        forget((settings.key,))
        return cls(value.encode(), settings.audience)

    def __call__(self, token: str) -> Principal | Denied:
        """The deploy, where the token is its own, for this deployment, and good now."""
        if len(token) > _LONGEST:
            return Denied.INVALID
        signed, _, signature = token.rpartition(".")
        expected = hmac.new(self.key, signed.encode("ascii", "replace"), hashlib.sha256).digest()
        try:
            given = _plain(signature)
        except ValueError:
            return Denied.INVALID
        if not hmac.compare_digest(given, expected) or not self._good(signed.removeprefix(PREFIX)):
            return Denied.INVALID
        return Principal("probe", self.audience)

    def _good(self, payload: str) -> bool:
        """Whether a payload that the key signed is for here and now."""
        try:
            claims = json.loads(_plain(payload))
        except (ValueError, RecursionError):
            return False
        if not isinstance(claims, dict):
            return False
        issued, expires, now = claims.get("iat"), claims.get("exp"), self.clock()
        return (
            type(issued) is int
            and type(expires) is int
            and claims.get("aud") == self.audience
            and 0 < expires - issued <= LIFETIME
            and issued - SKEW <= now < expires + SKEW
        )


def _plain(text: str) -> bytes:
    """What base64url without padding stands for. One text only stands for the same bytes.

    Raises:
        ValueError: It is no such text.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii") != text:
        msg = "not the one way to write these bytes"
        raise ValueError(msg)
    return data
