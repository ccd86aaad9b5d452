"""An authorisation server as small as a figure needs it: one RSA key, its JWKS over HTTP, and signed tokens."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

_AUDIENCE: Final = "https://benchmark.test/mcp"
_KEY_ID: Final = "benchmark"
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Issuer:
    """Signs tokens whose key is at `url`."""

    url: str
    key: RSAPrivateKey

    @classmethod
    @contextlib.contextmanager
    def serving(cls) -> Iterator[Issuer]:
        """An issuer whose key can be fetched until the block ends."""
        key = generate_private_key(public_exponent=65537, key_size=2048)
        public = json.loads(RSAAlgorithm.to_jwk(key.public_key())) | {"kid": _KEY_ID, "use": "sig", "alg": "RS256"}
        document = json.dumps({"keys": [public]}).encode()

        class Keys(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(document)))
                self.end_headers()
                self.wfile.write(document)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Keys) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield cls(f"http://127.0.0.1:{server.server_port}", key)
            server.shutdown()

    @property
    def auth(self) -> Mapping[str, Any]:
        """`serve.auth` of a server that believes it."""
        return {"mode": "jwt", "issuer": self.url, "jwks_url": f"{self.url}/keys", "audience": _AUDIENCE}

    def headers(self) -> Mapping[str, str]:
        """What a caller shows: a token that was never made before."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": _AUDIENCE, "sub": "caller", "iat": now, "exp": now + 3600}
        token = jwt.encode(
            {**claims, "jti": str(next(_numbers))}, self.key, algorithm="RS256", headers={"kid": _KEY_ID}
        )
        return {"authorization": f"Bearer {token}"}
