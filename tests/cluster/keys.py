"""Certificates for whoever speaks to whom in the cluster, all signed by one authority that lives as long as it."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE = dt.timedelta(days=7)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates and writes them into ``folder``; its own is ``folder/ca.crt``."""

    def __init__(self, folder: Path, name: str = "tests") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        built = self._draft(self._name, self._key).add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        self._own = built.sign(self._key, hashes.SHA256())
        self.certificate = folder / "ca.crt"
        self.certificate.write_bytes(self._own.public_bytes(Encoding.PEM))

    def pair(self, file: str, name: str, *places: str, group: str | None = None) -> Pair:
        """A pair ``file.crt``, ``file.key`` for a name, a group that Kubernetes is to see, and addresses or hosts."""
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
        subject = x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, name)])
        draft = self._draft(subject, key).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False
        )
        if places:
            draft = draft.add_extension(x509.SubjectAlternativeName([_general(place) for place in places]), False)
        made = Pair(self._folder / f"{file}.crt", self._folder / f"{file}.key")
        made.certificate.write_bytes(draft.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        _write_key(made.key, key)
        return made

    def _draft(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            # A while ago, for machines whose clock is corrected meanwhile.
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + _LIFE)
        )


def signing_pair(folder: Path, file: str) -> Pair:
    """A key that signs the tokens of service accounts, and its public half."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = Pair(folder / f"{file}.pub", folder / f"{file}.key")
    made.certificate.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    _write_key(made.key, key)
    return made


def _write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    file.touch(0o600)
    # OpenSSL's older form: what Kubernetes reads keys of service accounts in.
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))


def _general(place: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(place))
    except ValueError:
        return x509.DNSName(place)
