"""The proxy that puts the way of a far network before a registry, and what it counts."""

from __future__ import annotations

import http.client
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks.delaying import Exchange, delaying, in_a_row

_DELAY = 0.05


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_only_what_waited_for_another_is_in_a_row() -> None:
    assert in_a_row([]) == 0
    beside = [Exchange("a", 0.0, 3.0), Exchange("b", 1.0, 2.0)]
    assert in_a_row(beside) == 1
    assert in_a_row([*beside, Exchange("c", 2.5, 2.7), Exchange("d", 3.0, 4.0)]) == 3


def test_requests_come_late_and_whole_and_are_counted() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    body = bytes(range(256)) * 8192
    try:
        with delaying(f"127.0.0.1:{server.server_port}", _DELAY) as proxy:
            connection = http.client.HTTPConnection(proxy.address, timeout=20)
            for name in ("/one", "/two"):
                started = time.perf_counter()
                connection.request("PUT", name, body)
                assert connection.getresponse().read() == body
                assert time.perf_counter() - started >= _DELAY
            connection.close()
            assert [one.line for one in proxy.log] == ["PUT /one HTTP/1.1", "PUT /two HTTP/1.1"]
            assert in_a_row(proxy.log) == 2
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
