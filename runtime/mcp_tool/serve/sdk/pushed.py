"""What a server written with another library sends its client in the middle of a call, and what to write instead.

Such a message needs a connection that stays with one process. Streamable HTTP has none here, so that any replica may
answer, and from 2026-07-28 on the protocol has no such message at all.
"""

import re
from collections.abc import Mapping
from typing import Final

SDK: Final[Mapping[str, str]] = {
    "elicitation/create": "a parameter Annotated[T, Resolve(ask)] whose ask returns Elicit(message, Model)",
    "sampling/createMessage": "a parameter Annotated[T, Resolve(ask)] whose ask returns Sample(...)",
    "roots/list": "a parameter Annotated[T, Resolve(ask)] whose ask returns ListRoots()",
}
"""By the method that is pushed, the portable form in `mcp.server.mcpserver`."""

FASTMCP: Final[Mapping[str, str]] = dict.fromkeys(
    SDK, "returning an InputRequiredResult with the question, and reading ctx.input_responses on the next round"
)
"""The same for FastMCP 4, where the tool returns its question."""

_REFUSED: Final = re.compile(r"server-initiated requests")
"""What both libraries say where there is no way back to the client (mcp 2.3, fastmcp 4.1)."""

_METHOD: Final = re.compile(r"|".join(SDK))
_WORDS: Final[Mapping[str, str]] = {
    "elicit": "elicitation/create",
    "sampl": "sampling/createMessage",
    "root": "roots/list",
}


def method_in(text: str) -> str | None:
    """The method that an error says could not be sent; None for an error of another kind."""
    if not _REFUSED.search(text):
        return None
    named = _METHOD.search(text)
    if named is not None:
        return named[0]
    return next((method for word, method in _WORDS.items() if word in text.lower()), None)


def explanation(method: str, forms: Mapping[str, str]) -> str:
    """What the caller of such a tool is told, for its author to read.

    Args:
        method: What the tool tried to send.
        forms: The portable forms of its library.
    """
    # FastMCP takes a returned question from clients of 2026-07-28 alone: over stdio older ones stay with the push.
    older = "older ones over stdio" if forms is SDK else "older ones can be asked over stdio alone, as it does now"
    return (
        f"it sends {method} in the middle of a call, which this connection cannot carry. "
        f"The portable form is {forms[method]}: it asks clients of 2026-07-28 everywhere, {older}"
    )
