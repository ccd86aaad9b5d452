"""Signatures by identity, without a key to keep: sigstore's flow, which cosign goes. What it is asked is data.

cosign shows an OpenID Connect token, has sigstore's Fulcio certify a key that lives for minutes for whom the token
names, and enters what it signed in the public log Rekor: https://docs.sigstore.dev/cosign/signing/overview/. What it
makes stands beside the image as what a key made does.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mcp_packager import process
from mcp_packager.errors import Problem, UserError, WorldError
from mcp_packager.image import provenance, sbom
from mcp_packager.image.attaching import subjects
from mcp_packager.image.signing import IDENTITY
from mcp_packager.image.transport import on_loopback

if TYPE_CHECKING:
    from mcp_packager.image.documents import Image
    from mcp_packager.image.ingredients import Ingredients
    from mcp_packager.image.reference import Reference
    from mcp_packager.store import Store

AMBIENT: Final = "ambient"
"""The value of that variable that leaves it to cosign to find a token, as it does in many CI systems."""
TYPES: Final = ("cyclonedx", "slsaprovenance1")
"""What cosign calls the bill and the provenance."""

_TOKEN: Final = "SIGSTORE_ID_TOKEN"  # noqa: S105 - the variable in which cosign looks for one
_KIND: Final = "identified"
_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Signing:
    """Who signs: whom ``token`` names, else whom cosign finds around it. ``program`` is cosign."""

    program: str
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Named:
    """Who must have signed: the identity in the certificate (a mail address, a workflow), and who vouches for it."""

    identity: str
    issuer: str


@dataclass(frozen=True, slots=True)
class Vouched:
    """What cosign found: whether the image is signed by whom it must be, its words, and the envelopes they signed."""

    signed: bool
    said: str
    envelopes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """An image in its registry by digest, with what is to be said of it: documents for each of :data:`TYPES`."""

    image: str
    documents: tuple[bytes, ...]


def configured(environ: Mapping[str, str] = os.environ) -> Signing | None:
    """Who is to sign, by ``MCP_PACK_SIGNING_IDENTITY``: ``ambient``, or ``env:NAME`` of a variable with a token.

    Raises:
        UserError: it names nothing of this kind, or cosign is not there.
    """
    wanted = environ.get(IDENTITY, "")
    if not wanted:
        return None
    if wanted == AMBIENT:
        return Signing(_program(environ))
    name = wanted.removeprefix("env:")
    if name == wanted or not environ.get(name):
        fix = f"set {IDENTITY} to {AMBIENT}, where cosign finds a token, or to env:NAME of a variable that holds one"
        raise UserError(Problem(f"{IDENTITY} names no token", fix, found=wanted))
    return Signing(_program(environ), environ[name])


def subjects_of(images: Sequence[Image], target: Reference, made_of: Ingredients) -> list[Subject]:
    """What is to be signed of a push: what stands beside each image, and beside the index over several."""
    place = f"{target.registry}/{target.repository}"
    return [
        Subject(
            f"{place}@{about.digest}",
            (
                sbom.sbom(about.digest, parts, made_of),
                json.dumps(provenance.provenance(parts, made_of), sort_keys=True).encode(),
            ),
        )
        for about, parts in subjects(images)
    ]


def signing_commands(image: str, files: Sequence[Path]) -> list[list[str]]:
    """What cosign is asked to sign an image and what is said of it; ``files`` are in the order of :data:`TYPES`."""
    plain = _plain(image)
    attest = [
        ["attest", "--yes", *plain, "--type", kind, "--predicate", str(file), image]
        for kind, file in zip(TYPES, files, strict=True)
    ]
    return [["sign", "--yes", *plain, image], *attest]


def verifying_commands(image: str, named: Named) -> list[list[str]]:
    """What cosign is asked about an image: its signature first, then an attestation for each of :data:`TYPES`."""
    who = ["--certificate-identity", named.identity, "--certificate-oidc-issuer", named.issuer, *_plain(image)]
    return [["verify", *who, image], *(["verify-attestation", "--type", kind, *who, image] for kind in TYPES)]


def sign(subjects: Sequence[Subject], who: Signing, *, environ: Mapping[str, str], store: Store, anew: bool) -> None:
    """Have cosign sign; each signature is an entry in a public log, so what this machine had signed is not again.

    Args:
        subjects: images that are in their registry.
        who: whose token it shows.
        environ: what cosign finds credentials and settings in.
        store: remembers what was signed.
        anew: whether something was missing in the registry, so that what is remembered does not count.

    Raises:
        WorldError: cosign could not.
    """
    given = {**environ, **({_TOKEN: who.token} if who.token else {})}
    for subject in subjects:
        memory = hashlib.sha256(b"\0".join((subject.image.encode(), *subject.documents))).hexdigest()
        if store.record(_KIND, memory) is not None and not anew:
            continue
        with store.scratch() as folder:
            files = [folder / kind for kind in TYPES]
            for file, document in zip(files, subject.documents, strict=True):
                file.write_bytes(document)
            for command in signing_commands(subject.image, files):
                done = process.run([who.program, *command], env=given, timeout=_SECONDS, secrets=[who.token or ""])
                if not done.ok:
                    raise _refused(subject.image, done.stderr)
        store.remember(_KIND, memory, {"image": subject.image})


def vouched(place: Reference, digest: str, named: Named, *, environ: Mapping[str, str]) -> Vouched:
    """Ask cosign whether somebody signed an image, and what they said of it.

    Raises:
        UserError: cosign is not there.
        WorldError: it did not come to an end.
    """
    program = _program(environ)
    image = f"{place.registry}/{place.repository}@{digest}"
    signature, *others = (
        process.run([program, *command], env=environ, timeout=_SECONDS) for command in verifying_commands(image, named)
    )
    said = f"of this image, by {named.identity}, says cosign" if signature.ok else _last(signature.stderr)
    envelopes = tuple(line for done in others if done.ok for line in done.stdout.splitlines() if line.strip())
    return Vouched(signature.ok, said, envelopes)


def _plain(image: str) -> list[str]:
    """A registry on this machine may be without TLS, or with a certificate of its own making, as for any push."""
    loopback = on_loopback(image.partition("/")[0])
    return ["--allow-http-registry", "--allow-insecure-registry"] if loopback else []


def _program(environ: Mapping[str, str]) -> str:
    found = shutil.which("cosign", path=environ.get("PATH"))
    if found is None:
        fix = "install cosign (https://docs.sigstore.dev/cosign/system_config/installation/), or use a key"
        raise UserError(Problem("signatures by identity need cosign, which is not on PATH", fix))
    return found


def _refused(image: str, said: str) -> WorldError:
    fix = f"see that a token names you (in CI: that the job may ask for one), or set {IDENTITY}=env:NAME"
    return WorldError(Problem(f"cosign did not sign {image}", fix, found=_last(said)))


def _last(said: str) -> str:
    """The reason that cosign gave: the last line that is one."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    reasons = [line for line in lines if line.lower().startswith("error:")]
    return (reasons or lines or ["it said nothing"])[-1][:300]
