"""A way to a Pod's port through the API server, for whoever has no other: ``kubectl port-forward``.

A listener on this machine's loopback address; each connection to it is one websocket, on which the server sends every
message with the number of its channel in front: 0 is the data, 1 what went wrong
(https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.34/, ``portforward``). The first message of each
channel holds the port's number alone.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from mcp_packager.errors import PackError
from mcp_targets._kube.client import Api
from mcp_targets._kube.kinds import PODS

_PROTOCOL: Final = "v4.channel.k8s.io"
_DATA: Final = 0
_CHUNK: Final = 65536
_BACKLOG: Final = 32


@contextmanager
def forwarded(api: Api, namespace: str, pods: Sequence[str], port: int) -> Iterator[int]:
    """A port of this machine that leads to the Pods', each connection to the next of them, while the context is open.

    What goes wrong on the way shows as a connection that is closed.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG) as listener:
        forward = _Forward(api, namespace, pods, port, listener)
        accepting = threading.Thread(target=forward.accept, daemon=True, name="mcp-pack-forward")
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            forward.end()
            accepting.join()


class _Forward:
    """One forward at work."""

    def __init__(self, api: Api, namespace: str, pods: Sequence[str], port: int, listener: socket.socket) -> None:
        self._api = api
        self._namespace = namespace
        self._pods = itertools.cycle(pods)
        self._port = port
        self._listener = listener
        self._mutex = threading.Lock()
        self._open: set[socket.socket] = set()
        self._ended = False

    def accept(self) -> None:
        """Take connections until the listener is closed."""
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(caller,), daemon=True, name="mcp-pack-forwarded").start()

    def end(self) -> None:
        """Take no more, and close what is open."""
        with self._mutex:
            self._ended = True
            left = list(self._open)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for caller in left:
            with contextlib.suppress(OSError):
                caller.shutdown(socket.SHUT_RDWR)

    def _carry(self, caller: socket.socket) -> None:
        with caller, self._counted(caller) as wanted:
            if not wanted:
                return
            try:
                way = self._websocket(next(self._pods))
            except (PackError, OSError, _websocket_error()):
                return  # the caller sees that its connection is closed, and says so
            outward = threading.Thread(target=_outward, args=(caller, way), daemon=True, name="mcp-pack-outward")
            outward.start()
            _inward(caller, way)
            with contextlib.suppress(OSError):
                caller.shutdown(socket.SHUT_RDWR)
            outward.join()
            with contextlib.suppress(OSError, _websocket_error()):
                way.close()

    @contextmanager
    def _counted(self, caller: socket.socket) -> Iterator[bool]:
        with self._mutex:
            self._open.add(caller)
            wanted = not self._ended
        try:
            yield wanted
        finally:
            with self._mutex:
                self._open.discard(caller)

    def _websocket(self, pod: str) -> Any:
        import kubernetes.stream.ws_client

        sockets: Any = kubernetes.stream.ws_client  # its functions carry no types
        configuration = self._api.client.configuration
        headers: dict[str, str] = {}
        self._api.authorise(headers)
        plain = {name.lower(): value for name, value in headers.items()}
        path = PODS.path(self._namespace, pod, "portforward")
        url = sockets.get_websocket_url(f"{configuration.host}{path}", [("ports", str(self._port))])
        return sockets.create_websocket(configuration, url, {**plain, "sec-websocket-protocol": _PROTOCOL})


def _outward(caller: socket.socket, way: Any) -> None:
    """What the caller says, to the Pod."""
    with contextlib.suppress(OSError, _websocket_error()):
        while data := caller.recv(_CHUNK):
            way.send_binary(bytes([_DATA]) + data)
        way.close()


def _inward(caller: socket.socket, way: Any) -> None:
    """What the Pod says, to the caller; ends with the connection, or with an error on the way."""
    begun: set[int] = set()
    with contextlib.suppress(OSError, _websocket_error()):
        while True:
            message = way.recv()
            if not message:
                return
            channel = message[0]
            if channel not in begun:
                begun.add(channel)  # the port's number
            elif channel == _DATA:
                caller.sendall(message[1:])
            else:
                return


def _websocket_error() -> type[Exception]:
    import websocket

    found: type[Exception] = websocket.WebSocketException
    return found
