"""Static keys: whoever shows one of them is let in. What is kept of a key is its SHA-256 digest."""

import hashlib
import hmac
import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from mcp_tool.config import SecretRef
from mcp_tool.principal import Principal
from mcp_tool.serve.auth.shown import Denied
from mcp_tool.serve.http.gates import Headers
from mcp_tool.serve.problem import StartProblem

_HASHED: Final = "sha256:"
_DIGEST: Final = re.compile(r"[0-9a-fA-F]{64}")
_SENDABLE: Final = re.compile(r"[\x21-\x7e]{1,8192}")
_SHORT: Final = 16
"""Signs below which a key can be found by trying."""

logger = logging.getLogger("mcp_tool.serve")


@dataclass(frozen=True)
class StaticKeys:
    """The keys that let in.

    Attributes:
        known: Digest of each key, and who shows it.
    """

    known: tuple[tuple[bytes, Principal], ...]

    @classmethod
    def read(cls, references: Sequence[SecretRef]) -> "StaticKeys":
        """Read the keys, keep their digests, and forget them.

        Each environment variable is gone afterwards, so that neither the author's code nor a process that it starts
        finds a key there.

        Args:
            references: Where they stand: the key itself, or `sha256:` and 64 hexadecimal digits.

        Raises:
            StartProblem: A key is missing, or is one that nobody could send.
        """
        known = tuple(
            (_digest(reference), Principal("bearer", name))
            for reference, name in zip(references, _names(references), strict=True)
        )
        forget(references)
        return cls(known)

    def granting(self, scopes: frozenset[str]) -> "StaticKeys":
        """The same keys, each good for all of these scopes.

        A static key comes from no issuer that could grant less, so it is given every scope that a tool asks for.
        """
        return StaticKeys(tuple((digest, replace(who, scopes=scopes)) for digest, who in self.known))

    async def __call__(self, scope: Mapping[str, Any], headers: Headers, shown: str | Denied) -> Principal | Denied:  # noqa: ARG002 - other modes look at the request too
        """Who shows the token. Compared with every key, in a time that says nothing of any."""
        if isinstance(shown, Denied):
            return shown
        digest = hashlib.sha256(shown.encode()).digest()
        who: Principal | Denied = Denied.INVALID
        for known, principal in self.known:
            if hmac.compare_digest(known, digest):
                who = principal
        return who


def forget(references: Iterable[SecretRef]) -> None:
    """Take out of the environment what was read from it; a file is whoever's business put it there."""
    for reference in references:
        if reference.env is not None:
            os.environ.pop(reference.env, None)


def _names(references: Sequence[SecretRef]) -> list[str]:
    """What to call the keys: the variable's name or the file's; the whole path where two files share a name."""
    short = [reference.env or (reference.file.name if reference.file else str(reference)) for reference in references]
    return [
        name if short.count(name) == 1 else str(reference) for name, reference in zip(short, references, strict=True)
    ]


def _digest(reference: SecretRef) -> bytes:
    value = reference.read()
    if value is None:
        raise StartProblem(
            f"the key in {reference} is missing", "put a key there, or take it out of keys under [serve.auth]"
        )
    if value.startswith(_HASHED):
        digits = value.removeprefix(_HASHED)
        if _DIGEST.fullmatch(digits) is None:
            raise StartProblem(
                f"the key in {reference} begins with {_HASHED} and does not go on with 64 hexadecimal digits",
                "put the key's SHA-256 there, or the key itself",
            )
        return bytes.fromhex(digits)
    if _SENDABLE.fullmatch(value) is None:
        raise StartProblem(
            f"the key in {reference} holds what no HTTP header can carry, or is longer than 8192 signs",
            "use letters and digits, such as: openssl rand -hex 32",
        )
    if len(value) < _SHORT:
        logger.warning("the key in %s is shorter than %d signs and could be guessed", reference, _SHORT)
    return hashlib.sha256(value.encode()).digest()
