"""``mcp-pack verify-image``: an image in a registry, read whole and judged with what stands beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mcp_packager.errors import Problem, UsageError
from mcp_packager.image import parse
from mcp_packager.image.identity import Named
from mcp_packager.image.verifying import Requirement, Verified, verify
from mcp_packager.progress import Progress

if TYPE_CHECKING:
    from mcp_packager.image.signing import PublicKey


def verify_image(
    reference: str,
    *,
    keys: Sequence[str],
    identity: str | None = None,
    issuer: str | None = None,
    require: Sequence[str],
    progress: Progress,
) -> Verified:
    """Judge an image.

    Args:
        reference: ``registry/repository:tag``, ``…@sha256:…``, or both.
        keys: public keys, each a PEM file or ``env:NAME``.
        identity: who must have signed, as sigstore's certificate names them.
        issuer: the address of who vouches for that name.
        require: words of :class:`~mcp_packager.image.verifying.Requirement`, each alone or several with commas.
        progress: shown while it is read.

    Raises:
        UserError: there is no such image, a key cannot be read, or we are not let in.
        UsageError: what is required is not known, or needs a key; or there is an identity without its issuer.
        WorldError: the registry cannot be reached.
    """
    wanted = frozenset(_requirement(word.strip()) for item in require for word in item.split(","))
    if (identity is None) != (issuer is None):
        fix = "name both: --identity says who, --issuer who vouches for that name"
        raise UsageError(Problem("an identity is one with its issuer alone", fix))
    named = Named(identity, issuer) if identity and issuer else None
    found = parse(reference)
    with progress.stage("image"):
        return verify(found, keys=_keys(keys), named=named, require=wanted)


def _keys(sources: Sequence[str]) -> tuple[PublicKey, ...]:
    if not sources:
        return ()
    from mcp_packager.image.signing import public_key

    return tuple(public_key(source) for source in sources)


def _requirement(word: str) -> Requirement:
    known = {item.value: item for item in Requirement}
    if word not in known:
        raise UsageError(
            Problem(f"`{word}` cannot be required of an image", f"choose from {', '.join(known)}", found=word or None)
        )
    return known[word]
