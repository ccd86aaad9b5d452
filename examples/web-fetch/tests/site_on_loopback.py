"""A web site on 127.0.0.1 for the tests, with pages that a fetcher has to be careful about."""

import gzip
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

HOME = """<!doctype html><html><head><title>Tea</title><meta charset="utf-8"></head><body>
<nav><a href="/menu">Menu</a></nav><h1>Tea</h1><p>Pour <b>hot</b> water over
<a href="/leaves">leaves</a>, à votre goût.</p>
<ul><li>green: 2 minutes</li><li>black: 4 minutes</li></ul>
<p><a href="https://elsewhere.example/">Elsewhere</a></p></body></html>"""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that give up half-way are what some tests are about."""


class _Site(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: ClassVar[list[tuple[str, dict[str, str]]]]
    never: ClassVar[threading.Event]

    def do_GET(self) -> None:
        self.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        path, _, query = self.path.partition("?")
        match path:
            case "/":
                self._answer(HOME.encode(), "text/html")
            case "/latin":
                self._answer("<p>café</p>".encode("latin-1"), "text/html; charset=iso-8859-1")
            case "/to":
                self._answer(b"", "text/plain", 302, extra={"location": query})
            case "/loop":
                self._answer(b"", "text/plain", 302, extra={"location": "/loop"})
            case "/json":
                self._answer(b'{"a":[1,2]}', "application/json", extra={"set-cookie": "session=1; Path=/"})
            case "/picture":
                self._answer(b"\x89PNG", "image/png")
            case "/zipped":
                self._answer(gzip.compress(HOME.encode()), "text/html", extra={"content-encoding": "gzip"})
            case "/bomb":
                self._answer(gzip.compress(b"0" * 50_000_000), "text/plain", extra={"content-encoding": "gzip"})
            case "/large":
                self._answer(b"line of text\n" * 40_000, "text/plain")
            case "/silent":
                self.never.wait(30)
            case _:
                self._answer(b"no such page", "text/plain", 404)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""

    def _answer(self, body: bytes, kind: str, status: int = 200, extra: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(len(body)), **(extra or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True


class Site:
    """A running site: its port, and each request it got as path and headers."""

    def __init__(self, port: int, seen: list[tuple[str, dict[str, str]]]) -> None:
        self.port = port
        self.seen = seen

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


@contextmanager
def running_site() -> Iterator[Site]:
    """Serve until the block ends."""

    class Handler(_Site):
        seen: ClassVar[list[tuple[str, dict[str, str]]]] = []
        never = threading.Event()

    server = _Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Site(server.server_port, Handler.seen)
    finally:
        Handler.never.set()
        server.shutdown()
        server.server_close()
        thread.join()
