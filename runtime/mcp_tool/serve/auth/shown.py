"""What a request shows of who sends it: the one bearer token of its `Authorization` header, if that is what it has."""

import enum
import re
from collections.abc import Mapping
from typing import Any, Final

LONGEST: Final = 8192
"""Bytes of a token; as long as a whole header may be with common servers, and more than any issuer makes."""

_BEARER: Final = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([\x21-\x7e]+)")
"""RFC 6750, section 2.1; keys that somebody chose may hold more signs than its `b64token` allows."""


class Denied(enum.Enum):
    """Why nobody was recognised."""

    NOTHING = "nothing was shown"
    INVALID = "what was shown is not believed"
    UNCLEAR = "whoever could tell cannot be reached"


def token(scope: Mapping[str, Any]) -> str | Denied:
    """The bearer token of a request.

    A header of another scheme shows nothing. Two headers, bytes that are no printable ASCII and a token beyond
    `LONGEST` show something that is not to be believed: which of two would be meant, the next in line may see
    otherwise.
    """
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    if not values:
        return Denied.NOTHING
    value = values[0].strip()
    if len(values) > 1:
        return Denied.INVALID
    if value[:6].lower() != b"bearer":
        return Denied.NOTHING
    found = _BEARER.fullmatch(value)
    if found is None or len(found[1]) > LONGEST:
        return Denied.INVALID
    return found[1].decode("ascii")
