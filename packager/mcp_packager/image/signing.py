"""Signatures by key: DSSE envelopes, and cosign's "simple signing" of an image.

ECDSA over P-256 with SHA-256, or Ed25519. A key signs the same bytes to the same signature (RFC 6979, RFC 8032), so
that signing again changes nothing in a registry.
https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md and
https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.errors import Place, Problem, UserError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

    _Private = EllipticCurvePrivateKey | Ed25519PrivateKey
    _Public = EllipticCurvePublicKey | Ed25519PublicKey

KEY: Final = "MCP_PACK_SIGNING_KEY"
IDENTITY: Final = "MCP_PACK_SIGNING_IDENTITY"
PASSWORD: Final = "MCP_PACK_SIGNING_PASSWORD"  # noqa: S105 - the variable's name
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
ENVELOPE: Final = "application/vnd.dsse.envelope.v1+json"
SIMPLE_SIGNING: Final = "application/vnd.dev.cosign.simplesigning.v1+json"

BUNDLE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIGNED: Final = "https://sigstore.dev/cosign/sign/v1"
"""The predicate type of a statement that says no more of an image than that it is signed, as cosign 3 writes it."""

_CURVE: Final = "secp256r1"
_SIMPLE_TYPE: Final = "cosign container image signature"
_MAKE: Final = "make one: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out signing.pem"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are checked with. ``fingerprint`` is the SHA-256 of its DER form, in hex."""

    fingerprint: str
    _key: _Public

    def verifies(self, data: bytes, signature: bytes) -> bool:
        """Whether this key signed these bytes."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        with contextlib.suppress(InvalidSignature):
            if isinstance(self._key, ec.EllipticCurvePublicKey):
                self._key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
            else:
                self._key.verify(signature, data)
            return True
        return False


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that signs."""

    public: PublicKey
    _key: _Private

    def sign(self, data: bytes) -> bytes:
        """The signature of these bytes: ASN.1 for ECDSA, 64 bytes for Ed25519."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        if not isinstance(self._key, ec.EllipticCurvePrivateKey):
            return self._key.sign(data)
        try:
            return self._key.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        except UnsupportedAlgorithm:  # OpenSSL before 3.2
            return self._key.sign(data, ec.ECDSA(hashes.SHA256()))


def signer(source: str, environ: Mapping[str, str] = os.environ) -> Signer:
    """Read a private key in PEM form: ``source`` is a file, or ``env:NAME``.

    The password of an encrypted one is in ``MCP_PACK_SIGNING_PASSWORD``.

    Raises:
        UserError: there is no such key, it is none that signs here, or the password is wrong.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    pem = _read(source, environ)
    if b"SIGSTORE PRIVATE KEY" in pem or b"COSIGN PRIVATE KEY" in pem:
        raise _unusable(source, "is in cosign's own encrypted form, which only cosign reads", _MAKE)
    password = environ.get(PASSWORD) or None
    try:
        key = load_pem_private_key(pem, password.encode() if password else None)
    except TypeError:
        if password is None:
            raise _unusable(source, "is encrypted", f"put its password into {PASSWORD}") from None
        key = load_pem_private_key(pem, None)  # it has none, whatever the variable says
    except (ValueError, UnsupportedAlgorithm):
        if password and b"ENCRYPTED" in pem:
            raise _unusable(source, "does not open with that password", f"correct {PASSWORD}") from None
        raise _unusable(source, "is not a private key in PEM form", _MAKE) from None
    return Signer(_public(key.public_key(), source), _of_our_kind(key, source))


def configured(environ: Mapping[str, str] = os.environ) -> Signer | None:
    """The key that ``MCP_PACK_SIGNING_KEY`` names (a file, or ``env:NAME``); ``None`` where it names none.

    Raises:
        UserError: that key does not do.
    """
    source = environ.get(KEY, "")
    return signer(source, environ) if source else None


def public_key(source: str, environ: Mapping[str, str] = os.environ) -> PublicKey:
    """Read a public key in PEM form (the one that ``cosign verify --key`` takes): a file, or ``env:NAME``.

    Raises:
        UserError: there is no such key, or it is of a kind that does not sign here.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(_read(source, environ))
    except (ValueError, UnsupportedAlgorithm):
        fix = "name the public half: openssl pkey -in signing.pem -pubout -out signing.pub"
        raise _unusable(source, "is not a public key in PEM form", fix) from None
    return _public(key, source)


def envelope(statement: bytes, signer: Signer) -> bytes:
    """A DSSE envelope around an in-toto statement."""
    signature = signer.sign(_authenticated(PAYLOAD_TYPE, statement))
    # No key id: cosign writes none either, and a reader that compares ids would need ours.
    document = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(statement).decode(),
        "signatures": [{"keyid": "", "sig": base64.b64encode(signature).decode()}],
    }
    return _canonical(document)


def bundle(made: bytes, key: PublicKey) -> bytes:
    """An envelope as a bundle of sigstore's, which cosign 3 looks for first.

    https://github.com/sigstore/protobuf-specs/blob/v0.5.0/protos/sigstore_bundle.proto. The hint is what cosign writes:
    the fingerprint of the key in base64.
    """
    hint = base64.b64encode(bytes.fromhex(key.fingerprint)).decode()
    return _canonical(
        {
            "mediaType": BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": hint}},
            "dsseEnvelope": json.loads(made),
        }
    )


def unbundled(data: bytes) -> bytes | None:
    """The envelope inside a bundle; ``None`` where it holds another kind of signature."""
    try:
        return _canonical(json.loads(data)["dsseEnvelope"])
    except (ValueError, KeyError, TypeError):
        return None


def opened(data: bytes, key: PublicKey) -> bytes | None:
    """The statement inside an envelope, where this key signed it."""
    try:
        document = json.loads(data)
        payload = base64.b64decode(document["payload"], validate=True)
        signatures = [base64.b64decode(item["sig"], validate=True) for item in document["signatures"]]
        signed = _authenticated(str(document["payloadType"]), payload)
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None
    return payload if any(key.verifies(signed, signature) for signature in signatures) else None


def unjudged(data: bytes) -> bytes | None:
    """The statement inside an envelope, whoever signed it."""
    try:
        return base64.b64decode(json.loads(data)["payload"], validate=True)
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None


def simple_payload(place: str, digest: str) -> bytes:
    """What an image's signature is over: ``place`` is ``registry/repository``, ``digest`` the manifest's."""
    return _canonical(
        {
            "critical": {
                "identity": {"docker-reference": place},
                "image": {"docker-manifest-digest": digest},
                "type": _SIMPLE_TYPE,
            },
            "optional": None,
        }
    )


def signed_image(payload: bytes, signature: str, key: PublicKey) -> str | None:
    """The digest that a simple signing payload is about, where this key signed it (``signature`` in base64)."""
    try:
        if not key.verifies(payload, base64.b64decode(signature, validate=True)):
            return None
        critical = json.loads(payload)["critical"]
        return str(critical["image"]["docker-manifest-digest"]) if critical["type"] == _SIMPLE_TYPE else None
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None


def _authenticated(kind: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is really signed."""
    return b" ".join((b"DSSEv1", str(len(kind)).encode(), kind.encode(), str(len(payload)).encode(), payload))


def _read(source: str, environ: Mapping[str, str]) -> bytes:
    if source.startswith("env:"):
        name = source.removeprefix("env:")
        if not environ.get(name):
            raise _unusable(source, "is not set", f"set {name} to the key in PEM form, or name a file")
        return environ[name].encode()
    try:
        return Path(source).expanduser().read_bytes()
    except OSError as error:
        raise _unusable(source, f"cannot be read: {error.strerror}", "name a file with a key in PEM form") from None


def _of_our_kind(key: Any, source: str) -> _Private:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == _CURVE:
        return key
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    raise _unusable(source, "is neither ECDSA over P-256 nor Ed25519", _MAKE)


def _public(key: Any, source: str) -> PublicKey:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    curve = isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == _CURVE
    if not curve and not isinstance(key, ed25519.Ed25519PublicKey):
        raise _unusable(source, "is neither ECDSA over P-256 nor Ed25519", _MAKE)
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(hashlib.sha256(der).hexdigest(), key)


def _unusable(source: str, what: str, fix: str) -> UserError:
    return UserError(Problem(f"the signing key {what}", fix, Place(file=source)))


def _canonical(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
