"""Issuers of tokens: a real authorization server, and one in this process that can also do everything wrong."""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests import real_parts

CLIENT, SECRET = "the:client", "s3cr&t with/odd:signs+="
PLAIN_CLIENT, PLAIN_SECRET = "plain-client", "plain-secret-0123456789"
"""For clients that do not encode what they send by HTTP Basic, as RFC 6749 (section 2.3.1) has it."""


@dataclass(frozen=True)
class Key:
    """A signing key and its public half as a JWK."""

    algorithm: str
    kid: str | None
    private: Any

    def jwk(self, *, private: bool = False, **more: Any) -> dict[str, Any]:
        half = self.private if private else self.private.public_key()
        write: dict[str, Callable[..., Any]] = {
            "RS256": RSAAlgorithm.to_jwk,
            "ES256": ECAlgorithm.to_jwk,
            "EdDSA": OKPAlgorithm.to_jwk,
        }
        plain: dict[str, Any] = write[self.algorithm](half, as_dict=True)
        plain.pop("key_ops", None)
        named = {} if self.kid is None else {"kid": self.kid}
        return {**plain, **named, "use": "sig", "alg": self.algorithm, **more}


@functools.cache
def key(algorithm: str, kid: str | None = "one", bits: int = 2048) -> Key:
    """A key, made once for the session."""
    match algorithm:
        case "RS256":
            return Key(algorithm, kid, rsa.generate_private_key(65537, bits))
        case "ES256":
            return Key(algorithm, kid, ec.generate_private_key(ec.SECP256R1()))
        case _:
            return Key(algorithm, kid, ed25519.Ed25519PrivateKey.generate())


Answer = Callable[[BaseHTTPRequestHandler], None]


def answering(status: int, body: bytes, **headers: str) -> Answer:
    """An answer as it stands."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def document(value: Any) -> Answer:
    return answering(200, json.dumps(value).encode())


@dataclass
class Issuer:
    """Signs tokens and publishes keys. `asked` counts requests by path; `answers` replaces what a path answers."""

    url: str
    keys: list[Key]
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    closed: threading.Event = field(default_factory=threading.Event)

    def publish(self, *keys: Key) -> None:
        self.keys[:] = keys

    def answer(self, path: str) -> Answer:
        self.asked[path] = self.asked.get(path, 0) + 1
        if path in self.answers:
            return self.answers[path]
        match path:
            case "/.well-known/openid-configuration":
                return document({"issuer": self.url, "jwks_uri": f"{self.url}/keys"})
            case "/keys":
                return document({"keys": [one.jwk() for one in self.keys]})
            case _:
                return answering(404, b"{}")

    def claims(self, **changed: Any) -> dict[str, Any]:
        """The claims of a good token for http://server.test/mcp; None leaves one out."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": "http://server.test/mcp",
            "sub": "someone",
            "client_id": "app",
            "scope": "notes:read notes:write",
            "iat": now,
            "exp": now + 300,
            **changed,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, by: Key | None = None, header: Mapping[str, Any] | None = None, **changed: Any) -> str:
        signing = by or self.keys[0]
        head = {"kid": signing.kid, "typ": "at+jwt"} | dict(header or {})
        kept = {name: value for name, value in head.items() if value is not None}
        return jwt.encode(self.claims(**changed), signing.private, signing.algorithm, headers=kept)


def text(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(header: Mapping[str, Any], claims: Mapping[str, Any] | bytes, signature: bytes = b"") -> str:
    """A token put together by hand."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    parts = (json.dumps(header).encode(), payload, signature)
    return ".".join(text(part) for part in parts)


@contextlib.contextmanager
def issuer(*keys: Key, port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Issuer]:
    """An issuer on loopback, until the block ends."""
    made: Issuer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(OSError):
                made.answer(self.path)(self)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    made = Issuer(f"http://127.0.0.1:{server.server_port}", list(keys))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.closed.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextlib.contextmanager
def real_issuer(folder: Path, *keys: Key, port: int = 0) -> Iterator[str]:
    """oidc-provider on loopback with those keys, until the block ends; its address."""
    script = folder / "issuer_real.mjs"
    script.write_bytes((Path(__file__).parent / script.name).read_bytes())
    modules = folder / "node_modules"  # node looks for packages from where a script stands
    if not modules.exists():
        modules.symlink_to(real_parts.node_modules())
    published = json.dumps([one.jwk(private=True) for one in keys])
    clients = json.dumps({CLIENT: SECRET, PLAIN_CLIENT: PLAIN_SECRET})
    line = [str(real_parts.node22()), str(script), str(port), published, clients]
    with (folder / "issuer.log").open("ab") as log:
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=log)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        assert url, (folder / "issuer.log").read_text(encoding="utf-8")
        yield url
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
