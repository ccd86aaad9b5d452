"""Keys that sign, keys that cannot, and signatures that are none."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mcp_packager.errors import UserError
from mcp_packager.image.signing import (
    configured,
    envelope,
    opened,
    public_key,
    signed_image,
    signer,
    simple_payload,
)
from tests.image.attached import pair

KINDS = ("ecdsa", "ed25519")
DIGEST = "sha256:" + "d" * 64
STATEMENT = b'{"_type":"https://in-toto.io/Statement/v1"}'


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_signed_opens_with_that_key_alone(tmp_path: Path, kind: str) -> None:
    keys = pair(tmp_path, kind)
    stranger = public_key(str(pair(_folder(tmp_path), kind).public))
    key = signer(str(keys.private))
    assert key.public.fingerprint == public_key(str(keys.public)).fingerprint
    made = envelope(STATEMENT, key)
    assert opened(made, public_key(str(keys.public))) == STATEMENT
    assert opened(made, stranger) is None


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_key_signs_to_the_same_bytes(tmp_path: Path, kind: str) -> None:
    key = signer(str(pair(tmp_path, kind).private))
    assert envelope(STATEMENT, key) == envelope(STATEMENT, key)


@pytest.mark.parametrize("kind", KINDS)
def test_openssl_finds_the_signature_right(tmp_path: Path, kind: str) -> None:
    """The pre-authentication encoding spelt out, and checked by somebody else's program."""
    keys = pair(tmp_path, kind)
    made = json.loads(envelope(STATEMENT, signer(str(keys.private))))
    (tmp_path / "data").write_bytes(b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(STATEMENT), STATEMENT))
    (tmp_path / "sig").write_bytes(base64.b64decode(made["signatures"][0]["sig"]))
    raw = ["-rawin"] if kind == "ed25519" else ["-rawin", "-digest", "sha256"]
    done = subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", keys.public, *raw, "-sigfile", "sig", "-in", "data"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.parametrize("field", ["payload", "payloadType", "signatures"])
def test_a_changed_envelope_does_not_open(tmp_path: Path, field: str) -> None:
    keys = pair(tmp_path)
    document = json.loads(envelope(STATEMENT, signer(str(keys.private))))
    key = public_key(str(keys.public))
    other = {
        "payload": base64.b64encode(STATEMENT + b" ").decode(),
        "payloadType": "text/plain",
        "signatures": [{"sig": base64.b64encode(b"0" * 70).decode()}],
    }
    assert opened(json.dumps({**document, field: other[field]}).encode(), key) is None
    assert opened(json.dumps({name: value for name, value in document.items() if name != field}).encode(), key) is None


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"payload":1}', b"\xff", b'{"payload":"!","signatures":[{}]}'])
def test_no_bytes_break_the_reader(tmp_path: Path, data: bytes) -> None:
    key = public_key(str(pair(tmp_path).public))
    assert opened(data, key) is None
    assert signed_image(data, "AA==", key) is None
    assert signed_image(data, "not base64", key) is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_simple_signature_names_its_image(tmp_path: Path, kind: str) -> None:
    keys = pair(tmp_path, kind)
    payload = simple_payload("registry.corp/team/tool", DIGEST)
    signature = base64.b64encode(signer(str(keys.private)).sign(payload)).decode()
    key = public_key(str(keys.public))
    assert signed_image(payload, signature, key) == DIGEST
    assert signed_image(payload.replace(b"d" * 64, b"e" * 64), signature, key) is None
    other = json.dumps({**json.loads(payload), "critical": {**json.loads(payload)["critical"], "type": "x"}}).encode()
    signature = base64.b64encode(signer(str(keys.private)).sign(other)).decode()
    assert signed_image(other, signature, key) is None


def test_keys_from_the_environment(tmp_path: Path) -> None:
    keys = pair(tmp_path)
    environ = {"SIGNING": keys.private.read_text(), "VERIFYING": keys.public.read_text()}
    made = envelope(STATEMENT, signer("env:SIGNING", environ))
    assert opened(made, public_key("env:VERIFYING", environ)) == STATEMENT


def test_the_key_that_the_environment_names(tmp_path: Path) -> None:
    keys = pair(tmp_path)
    found = configured({"MCP_PACK_SIGNING_KEY": str(keys.private)})
    assert found is not None
    assert found.public.fingerprint == public_key(str(keys.public)).fingerprint
    assert configured({}) is configured({"MCP_PACK_SIGNING_KEY": ""}) is None


def test_an_encrypted_key_wants_its_password(tmp_path: Path) -> None:
    source = str(pair(tmp_path, password="open-it").private)
    key = signer(source, {"MCP_PACK_SIGNING_PASSWORD": "open-it"})
    assert key.public.verifies(b"x", key.sign(b"x"))
    with pytest.raises(UserError, match="is encrypted") as caught:
        signer(source, {})
    assert "MCP_PACK_SIGNING_PASSWORD" in str(caught.value)
    with pytest.raises(UserError, match="does not open") as caught:
        signer(source, {"MCP_PACK_SIGNING_PASSWORD": "wrong-word"})
    assert "wrong-word" not in str(caught.value)


def test_a_password_that_is_not_needed_is_no_harm(tmp_path: Path) -> None:
    assert signer(str(pair(tmp_path).private), {"MCP_PACK_SIGNING_PASSWORD": "for another key"})


COSIGN = "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n"


def _rsa() -> str:
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _p384() -> str:
    key = ec.generate_private_key(ec.SECP384R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("secret-word", "is not a private key in PEM form"),
        (COSIGN, "cosign's own encrypted form"),
        ("-----BEGIN PRIVATE KEY-----\nsecret-word\n-----END PRIVATE KEY-----\n", "is not a private key in PEM form"),
    ],
)
def test_what_is_no_key_is_told_and_not_shown(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "key"
    file.write_text(text)
    with pytest.raises(UserError, match=said) as caught:
        signer(str(file))
    assert "secret-word" not in str(caught.value)
    assert caught.value.problems[0].where.file == str(file)


@pytest.mark.parametrize("make", [_rsa, _p384])
def test_other_kinds_of_keys_do_not_sign(make: object) -> None:
    assert callable(make)
    with pytest.raises(UserError, match="neither ECDSA over P-256 nor Ed25519"):
        signer("env:KEY", {"KEY": make()})


def test_public_keys_that_are_none(tmp_path: Path) -> None:
    keys = pair(tmp_path)
    with pytest.raises(UserError, match="is not a public key"):
        public_key(str(keys.private))
    pem = ec.generate_private_key(ec.SECP384R1()).public_key()
    text = pem.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(UserError, match="neither"):
        public_key("env:KEY", {"KEY": text})
    with pytest.raises(UserError, match="cannot be read"):
        public_key(str(tmp_path / "none"))
    with pytest.raises(UserError, match="is not set"):
        public_key("env:KEY", {})


def _folder(tmp_path: Path) -> Path:
    made = tmp_path / "stranger"
    made.mkdir()
    return made
