"""An issuer that changes its keys, is away, or means harm; and those who make up key ids to have it asked."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from mcp_tool.serve.auth import fetching
from mcp_tool.serve.auth import issuer as issuers
from mcp_tool.serve.auth.fetching import LARGEST, FetchError, get_json, is_allowed, leads_inside
from mcp_tool.serve.auth.issuer import FRESH, PAUSE, STALE, KeyRing, parse
from mcp_tool.serve.auth.shown import Denied
from tests.serve.issuer import Issuer, answering, document, issuer, key

OLD, NEW, EC, ED = key("RS256", "old"), key("RS256", "new"), key("ES256", "e"), key("EdDSA", "d")
FAR = 30.0


@pytest.fixture
def ours() -> Iterator[Issuer]:
    with issuer(OLD) as running:
        yield running


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


Story = Callable[[KeyRing, Clock], Coroutine[Any, Any, None]]


def tell(ours: Issuer, story: Story, jwks_url: str | None = None) -> None:
    clock = Clock()
    asyncio.run(story(KeyRing(ours.url, jwks_url, clock=clock), clock))


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_a_new_key_is_found_by_the_first_token_that_names_it(ours: Issuer) -> None:
    async def story(ring: KeyRing, clock: Clock) -> None:
        assert not isinstance(await ring.find("RS256", "old"), Denied)
        ours.publish(NEW, OLD)
        clock.now += PAUSE
        assert not isinstance(await ring.find("RS256", "new"), Denied)
        ours.publish(NEW)
        clock.now += FRESH
        await ring.find("RS256", "old")
        await until(lambda: ours.asked["/keys"] == 3)
        await until(lambda: ring._asking is None)
        assert await ring.find("RS256", "old") is Denied.INVALID
        assert not isinstance(await ring.find("RS256", "new"), Denied)

    tell(ours, story)


def test_made_up_key_ids_ask_the_issuer_once_in_a_while(ours: Issuer) -> None:
    async def story(ring: KeyRing, clock: Clock) -> None:
        for minute in range(3):
            wave = [ring.find("RS256", f"made-up-{minute}-{number}") for number in range(500)]
            assert set(await asyncio.gather(*wave)) == {Denied.INVALID}
            assert not isinstance(await ring.find("RS256", "old"), Denied)
            clock.now += PAUSE
        assert ours.asked["/keys"] == 3
        assert ours.asked["/.well-known/openid-configuration"] == 1

    tell(ours, story)


def test_many_at_once_ask_once(ours: Issuer) -> None:
    async def story(ring: KeyRing, clock: Clock) -> None:
        found = await asyncio.gather(*(ring.find("RS256", "old") for _ in range(100)))
        assert not {one for one in found if isinstance(one, Denied)}
        assert ours.asked["/keys"] == 1

    tell(ours, story)


def test_keys_are_asked_for_again_in_the_background(ours: Issuer) -> None:
    go = threading.Event()

    def late(handler: BaseHTTPRequestHandler) -> None:
        go.wait(20)
        document({"keys": [OLD.jwk(), NEW.jwk()]})(handler)

    async def story(ring: KeyRing, clock: Clock) -> None:
        await ring.find("RS256", "old")
        clock.now += FRESH
        ours.answers["/keys"] = late
        for _ in range(10):
            assert not isinstance(await ring.find("RS256", "old"), Denied)  # nobody waits
        go.set()
        await until(lambda: ring._asking is None)
        assert ours.asked["/keys"] == 2
        assert not isinstance(await ring.find("RS256", "new"), Denied)

    tell(ours, story)


def test_while_the_issuer_is_away_its_keys_go_on(ours: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    async def story(ring: KeyRing, clock: Clock) -> None:
        await ring.find("RS256", "old")
        ours.answers["/keys"] = answering(500, b"away")
        for _ in range(5):
            clock.now += FRESH
            assert not isinstance(await ring.find("RS256", "old"), Denied)
            await until(lambda: ring._asking is None)
        # Whether it has this one by now, nobody can tell.
        assert await ring.find("RS256", "new") is Denied.UNCLEAR
        clock.now += STALE
        assert await ring.find("RS256", "old") is Denied.UNCLEAR
        del ours.answers["/keys"]
        clock.now += PAUSE
        assert not isinstance(await ring.find("RS256", "old"), Denied)

    with caplog.at_level(logging.INFO, logger="mcp_tool.serve"):
        tell(ours, story)
    said = [record.getMessage() for record in caplog.records]
    assert len([text for text in said if "cannot be had: HTTP status 500" in text]) == 1
    assert len([text for text in said if "can be had again" in text]) == 1
    assert len(said) == 2


def test_an_issuer_that_was_never_there_is_waited_for(unused_port: int) -> None:
    async def story() -> None:
        clock = Clock()
        ring = KeyRing(f"http://127.0.0.1:{unused_port}", None, clock=clock)
        assert await ring.find("RS256", "old") is Denied.UNCLEAR
        with issuer(OLD, port=unused_port):
            assert await ring.find("RS256", "old") is Denied.UNCLEAR  # it was asked a moment ago
            clock.now += PAUSE
            assert not isinstance(await ring.find("RS256", "old"), Denied)

    asyncio.run(story())


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def test_whoever_leaves_stops_nobody_elses_question(ours: Issuer) -> None:
    go = threading.Event()

    def late(handler: BaseHTTPRequestHandler) -> None:
        go.wait(20)
        document({"keys": [OLD.jwk()]})(handler)

    async def story(ring: KeyRing, clock: Clock) -> None:
        ours.answers["/keys"] = late
        leaving = asyncio.create_task(ring.find("RS256", "old"))
        staying = asyncio.create_task(ring.find("RS256", "old"))
        await until(lambda: ours.asked.get("/keys") == 1)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        go.set()
        assert not isinstance(await staying, Denied)

    tell(ours, story)


def silence(ours: Issuer) -> Callable[[BaseHTTPRequestHandler], None]:
    """A connection, and not a byte."""

    def answer(_: BaseHTTPRequestHandler) -> None:
        ours.closed.wait(20)

    return answer


def trickle(ours: Issuer, begin: bytes, piece: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    """Something every moment, without end."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(begin)
        while not ours.closed.wait(0.02):
            handler.wfile.write(piece)

    return answer


HOSTILE: dict[str, Callable[[Issuer], Any]] = {
    "huge": lambda i: answering(200, b'{"keys": [' + b" " * LARGEST + b"]}"),
    "huge without a length": lambda i: trickle(i, b"HTTP/1.0 200 OK\r\n\r\n", b" " * 60_000),
    "silent": silence,
    "a trickle of headers": lambda i: trickle(i, b"HTTP/1.1 200 OK\r\nx: ", b"x"),
    "a trickle of lines": lambda i: trickle(i, b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"),
    "a trickle of body": lambda i: trickle(i, b"HTTP/1.0 200 OK\r\n\r\n", b" "),
    "no HTTP": lambda i: trickle(i, b"\x00\xff\x16\x03\r\n\r\n", b"\x00"),
    "another scheme": lambda i: answering(302, b"", location="file:///etc/passwd"),
    "another host": lambda i: answering(302, b"", location=f"http://localhost:{i.url.rpartition(':')[2]}/other"),
    "another port": lambda i: answering(302, b"", location="http://127.0.0.1:1/keys"),
    "a service of the platform": lambda i: answering(307, b"", location="http://169.254.169.254/latest/"),
    "the same again": lambda i: answering(302, b"", location="/keys"),
    "not found": lambda i: answering(404, b'{"keys": []}'),
    "not JSON": lambda i: answering(200, b"<html>"),
    "not UTF-8": lambda i: answering(200, b'{"keys": "\xff"}'),
    "nested": lambda i: answering(200, b"[" * 100_000),
    "a list": lambda i: answering(200, b"[]"),
    "no keys": lambda i: answering(200, b"{}"),
    "text as keys": lambda i: answering(200, b'{"keys": "RS256"}'),
    "a number as keys": lambda i: answering(200, b'{"keys": 7}'),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_whatever_the_issuer_answers_takes_a_bounded_time(
    ours: Issuer, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuers, "PATIENCE", 0.4)
    reached: list[Any] = []
    ours.answers["/other"] = reached.append

    async def story(ring: KeyRing, clock: Clock) -> None:
        ours.answers["/keys"] = HOSTILE[how](ours)
        assert await ring.find("RS256", "old") is Denied.UNCLEAR
        assert await ring.find("RS256", "old") is Denied.UNCLEAR
        del ours.answers["/keys"]
        clock.now += PAUSE
        monkeypatch.setattr(issuers, "PATIENCE", FAR)
        assert not isinstance(await ring.find("RS256", "old"), Denied)

    begun = time.monotonic()
    tell(ours, story, f"{ours.url}/keys")
    assert time.monotonic() - begun < FAR  # a hang, not a slow machine
    assert not reached
    asyncio.run(until(lambda: not [thread for thread in threading.enumerate() if thread.name == "issuer"]))


@pytest.mark.parametrize(
    "found",
    [
        {"issuer": "https://other.test", "jwks_uri": "{url}/keys"},
        {"jwks_uri": "{url}/keys"},
        {"issuer": "{url}"},
        {"issuer": "{url}", "jwks_uri": 7},
        {"issuer": "{url}", "jwks_uri": "file:///etc/passwd"},
        {"issuer": "{url}", "jwks_uri": "http://keys.test/keys"},
        {"issuer": "{url}", "jwks_uri": "//127.0.0.1/keys"},
        {"issuer": "{url}", "jwks_uri": "https://[::1"},
    ],
)
def test_metadata_must_be_the_issuers_own_and_name_a_decent_place(ours: Issuer, found: dict[str, Any]) -> None:
    told = json.loads(json.dumps(found).replace("{url}", ours.url))

    async def story(ring: KeyRing, clock: Clock) -> None:
        ours.answers["/.well-known/openid-configuration"] = document(told)
        assert await ring.find("RS256", "old") is Denied.UNCLEAR
        assert "/keys" not in ours.asked

    tell(ours, story)


def test_nothing_is_asked_when_no_time_is_left(ours: Issuer) -> None:
    assert get_json(f"{ours.url}/keys", time.monotonic() + FAR)["keys"][0]["kid"] == "old"
    with pytest.raises(FetchError):
        get_json(f"{ours.url}/keys", time.monotonic())


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://login.test/tenant", True),
        ("https://login.test:8443", True),
        ("http://127.0.0.1:8080", True),
        ("http://127.8.8.8", True),
        ("http://[::1]:8080", True),
        ("http://localhost:8080", True),
        ("http://login.test", False),
        ("http://10.0.0.1", False),
        ("http://localhost.test", False),
        ("https://", False),
        ("https://user@login.test", False),
        ("file:///etc/passwd", False),
        ("login.test", False),
        ("", False),
    ],
)
def test_which_addresses_may_be_asked(url: str, allowed: bool) -> None:
    assert is_allowed(url) is allowed


def test_a_public_issuer_leads_nobody_inside() -> None:
    public = "https://93.184.216.34"
    for inside in ("127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "[::1]", "[fd00::1]"):
        assert leads_inside(f"https://{inside}/keys", public)
        assert not leads_inside(f"https://{inside}/keys", f"https://{inside}")
        assert not leads_inside(f"https://{inside}/keys", "https://10.9.9.9")
    assert not leads_inside("https://1.1.1.1/keys", public)


def test_a_key_set_is_read_for_what_can_be_used() -> None:
    good = OLD.jwk()
    useless: list[Any] = [
        None,
        "key",
        [],
        {},
        good | {"kid": "private", "d": "AQAB"},
        good | {"kid": "for encryption", "use": "enc"},
        good | {"kid": "for signing only", "key_ops": ["sign"]},
        good | {"kid": "for another algorithm", "alg": "RS512"},
        good | {"kid": "with a curve", "crv": "P-256"},
        good | {"kid": "no number", "n": "!"},
        good | {"kid": "number", "n": 7},
        good | {"kid": "no exponent", "e": None},
        key("RS256", "short", 1024).jwk(),
        EC.jwk(crv="P-384"),
        EC.jwk(x="AA"),
        EC.jwk(kid="wrong point", x=EC.jwk()["y"], y=EC.jwk()["x"]),
        ED.jwk(crv="X25519"),
        ED.jwk(x="AA"),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
        {"kty": "oct", "k": "c2VjcmV0", "alg": "RS256", "kid": "secret"},
    ]
    for one in useless:
        assert parse({"keys": [one, NEW.jwk()]}).keys() == {("RS256", "new")}
    assert parse({"keys": [OLD.jwk(), EC.jwk(), ED.jwk(kid=7)]}).keys() == {
        ("RS256", "old"),
        ("ES256", "e"),
        ("EdDSA", None),
    }
    assert len(parse({"keys": [EC.jwk(kid=str(number)) for number in range(500)]})) == 64


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """What a server shows for "localhost", and this process trusts."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    today = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, private.public_key(), 1)
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    public = tmp_path / "certificate.pem"
    public.write_bytes(certificate.public_bytes(Encoding.PEM))
    secret = tmp_path / "key.pem"
    secret.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, secret)
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    fetching._tls.cache_clear()
    yield context
    fetching._tls.cache_clear()


def test_an_issuer_is_asked_over_tls(tls: ssl.SSLContext) -> None:
    with issuer(OLD, tls=tls) as ours:
        port = ours.url.rpartition(":")[2]

        async def story() -> None:
            assert not isinstance(await KeyRing(f"https://localhost:{port}", None).find("RS256", "old"), Denied)
            # Another name than the certificate's.
            assert await KeyRing(f"https://127.0.0.1:{port}", None).find("RS256", "old") is Denied.UNCLEAR

        ours.url = f"https://localhost:{port}"
        asyncio.run(story())


def test_an_endless_handshake_ends(tls: ssl.SSLContext) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(FetchError):
            get_json(f"https://localhost:{port}/keys", time.monotonic() + 0.3)
