"""Every way in which a token can be wrong, by what is wrong with it: made by an issuer whose good ones pass."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.serve.issuer import Issuer, forged, key, text

RSA, EC, ED = key("RS256", "r"), key("ES256", "e"), key("EdDSA", "d")
"""What the issuer publishes."""


def now() -> int:
    return int(time.time())


OTHER = key("RS256", "r2")
PUBLIC = RSA.private.public_key()


def _public_pem() -> bytes:
    pem: bytes = PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def _hs256(issuer: Issuer, secret: bytes, **header: Any) -> str:
    unsigned = forged({"alg": "HS256", "typ": "JWT", "kid": "r"} | header, issuer.claims()).rpartition(".")[0]
    mark = hmac.new(secret, unsigned.encode(), hashlib.sha256).digest()
    return f"{unsigned}.{text(mark)}"


def _swapped(token: str, **changed: Any) -> str:
    """The signature of one payload under another."""
    header, _, mark = token.split(".")
    claims = jwt.decode(token, options={"verify_signature": False}) | changed
    return f"{header}.{forged({}, claims).split('.')[1]}.{mark}"


WRONG: dict[str, Callable[[Issuer], str]] = {
    "expired": lambda i: i.token(exp=now() - 31),
    "expired long ago": lambda i: i.token(exp=0),
    "not yet valid": lambda i: i.token(nbf=now() + 40),
    "for another resource": lambda i: i.token(aud="http://server.test/other"),
    "for another server": lambda i: i.token(aud="http://other.test/mcp"),
    "for another scheme": lambda i: i.token(aud="https://server.test/mcp"),
    "for several others": lambda i: i.token(aud=["http://other.test/mcp", "app"]),
    "for a user of the same host": lambda i: i.token(aud="http://x@server.test/mcp"),
    "for nobody": lambda i: i.token(aud=None),
    "for nobody, with our URL as client": lambda i: i.token(aud=None, client_id="http://server.test/mcp"),
    "for a number": lambda i: i.token(aud=7),
    "by another issuer": lambda i: i.token(iss="https://other.test"),
    "by an issuer below": lambda i: i.token(iss=f"{i.url}/below"),
    "by nobody": lambda i: i.token(iss=None),
    "by another key of that name": lambda i: i.token(key("RS256", "r", 2050)),
    "by a key of another kind": lambda i: i.token(EC, {"kid": "r"}),
    "by a key that is not published": lambda i: i.token(OTHER),
    "unsigned": lambda i: forged({"alg": "none", "typ": "JWT"}, i.claims()),
    "unsigned with the key's name": lambda i: forged({"alg": "none", "kid": "r"}, i.claims()),
    "unsigned as RS256": lambda i: forged({"alg": "RS256", "kid": "r"}, i.claims()),
    "with the public key as secret": lambda i: _hs256(i, _public_pem()),
    "with the JWK as secret": lambda i: _hs256(i, json.dumps(RSA.jwk()).encode()),
    "with an empty secret": lambda i: _hs256(i, b""),
    "with a key of its own": lambda i: i.token(OTHER, {"jwk": OTHER.jwk(), "jku": f"{i.url}/mine", "kid": None}),
    "with RS512": lambda i: jwt.encode(i.claims(), RSA.private, "RS512", headers={"kid": "r"}),
    "with PS256": lambda i: jwt.encode(i.claims(), RSA.private, "PS256", headers={"kid": "r"}),
    "with a claim changed": lambda i: _swapped(i.token(), sub="admin"),
    "without expiry": lambda i: i.token(exp=None),
    "with text as expiry": lambda i: i.token(exp=str(now() + 60)),
    "with true as expiry": lambda i: i.token(exp=True),
    "with endless expiry": lambda i: i.token(exp=float("inf")),
    "with no number as expiry": lambda i: i.token(exp=float("nan")),
    "with a huge expiry": lambda i: i.token(exp=10**400),
    "with a list as beginning": lambda i: i.token(nbf=[]),
    "without a caller": lambda i: i.token(sub=None, client_id=None),
    "with a number as caller": lambda i: i.token(sub=7),
    "as an identity token": lambda i: i.token(token_use="id"),
    "as a logout token": lambda i: i.token(header={"typ": "logout+jwt"}),
    "with something critical": lambda i: i.token(header={"crit": ["x"], "x": 1}),
    "without a key's name, by a stranger": lambda i: i.token(OTHER, {"kid": None}),
    "with a number as key's name": lambda i: forged({"alg": "RS256", "kid": 7}, i.claims()),
    "with a list of claims": lambda i: forged({"alg": "RS256", "kid": "r"}, b"[1]"),
    "nested": lambda i: forged({"alg": "RS256", "kid": "r"}, b"[" * 3000),
    "nested in a claim": lambda i: i.token(deep=json.loads("[" * 40 + "]" * 40)),
    "garbage": lambda i: "garbage",
    "three parts of garbage": lambda i: "a.b.c",
    "empty parts": lambda i: "..",
    "five parts": lambda i: "a.b.c.d.e",
    "cut short": lambda i: i.token()[:-6],
    "signed with zeros": lambda i: i.token().rpartition(".")[0] + "." + "A" * 342,
}
