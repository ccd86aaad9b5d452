"""The deploy's own token: short-lived, for one deployment, trusted by its server for looking at it alone.

    mcp-pack-probe.<payload>.<signature>

``payload`` is base64url, without padding, of ``{"aud": "project/tool/stage", "exp": …, "iat": …}`` (seconds since the
epoch); ``signature`` is that of the HMAC-SHA256 over everything before its dot. ``mcp_tool.serve.auth.probe`` is the
side that checks.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Final

PREFIX: Final = "mcp-pack-probe"
SECONDS: Final = 120
"""How long a token is good; no server takes one that claims more."""


def probe_token(key: bytes, audience: str, *, now: float | None = None) -> str:
    """A token for the deployment that ``audience`` names, good from ``now`` (default: the present) on.

    A server has the key as text, in hexadecimal digits, so it is these digits that sign.
    """
    issued = int(time.time() if now is None else now)
    claims = {"aud": audience, "exp": issued + SECONDS, "iat": issued}
    signed = f"{PREFIX}.{_plain(json.dumps(claims, separators=(',', ':')).encode())}"
    signature = hmac.new(key.hex().encode("ascii"), signed.encode("ascii"), hashlib.sha256).digest()
    return f"{signed}.{_plain(signature)}"


def _plain(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
