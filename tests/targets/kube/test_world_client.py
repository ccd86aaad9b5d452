"""How a cluster is found, and what its refusals mean, against a small server that says what real ones do."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.errors import PackError, UserError, WorldError
from mcp_packager.target import TransientError
from mcp_targets._kube.client import Api, ApiError, kubeconfig


@dataclass
class Said:
    """What the server answers, one after the other, and what it was asked."""

    answers: list[tuple[int, Any]] = field(default_factory=list)
    asked: list[tuple[str, str, str, bytes]] = field(default_factory=list)


@contextlib.contextmanager
def serving(said: Said) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            kind = self.headers.get("content-type") or self.headers.get("authorization") or ""
            said.asked.append((self.command, self.path, kind, body))
            status, document = said.answers.pop(0)
            data = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def config(server: str, user: dict[str, Any] | None = None) -> str:
    """A kubeconfig, as JSON, which is YAML."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": user or {}}],
            "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "one",
        }
    )


def status(code: int, reason: str, message: str) -> tuple[int, dict[str, Any]]:
    return code, {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def api(said: Said, tmp_path: Path) -> Iterator[Api]:
    with serving(said) as server:
        (tmp_path / "config").write_text(config(server, {"token": "sesame"}))
        yield Api(kubeconfig("one", {"KUBECONFIG": str(tmp_path / "config")}))


def test_asks_as_the_kubeconfig_says(api: Api, said: Said) -> None:
    said.answers = [(200, {"a": 1})]
    assert api.get("/api/v1/x", {"labelSelector": "a=b,c"}) == {"a": 1}
    assert said.asked == [("GET", "/api/v1/x?labelSelector=a%3Db%2Cc", "Bearer sesame", b"")]


def test_applies_on_the_servers_side(api: Api, said: Said) -> None:
    said.answers = [(200, {})]
    api.patch("/api/v1/x", {"a": "é"}, {"force": "false"})
    assert said.asked == [("PATCH", "/api/v1/x?force=false", "application/apply-patch+yaml", '{"a": "é"}'.encode())]


@pytest.mark.parametrize("busy", [429, 500, 502, 503, 504])
def test_what_passes_is_asked_again_where_that_harms_nobody(api: Api, said: Said, busy: int) -> None:
    said.answers = [status(busy, "Busy", "wait"), (200, {"a": 1})]
    assert api.get("/x") == {"a": 1}
    said.answers = [status(busy, "Busy", "wait")]
    with pytest.raises(TransientError, match="could not do it now: wait"):
        api.send("POST", "/x", body={})
    assert len(said.asked) == 3


@pytest.mark.parametrize(
    ("answer", "told", "fix"),
    [
        (status(401, "Unauthorized", "Unauthorized"), "does not know who is asking", "log in"),
        (
            status(403, "Forbidden", 'User "eve" cannot create resource "pods" in API group "" in the namespace "n"'),
            'User "eve" cannot create resource "pods"',
            "have that right added",
        ),
        (status(403, "Forbidden", "exceeded quota: q, requested: pods=1"), "quota does not leave room", "ask for less"),
        (status(403, "Forbidden", 'violates PodSecurity "restricted:latest"'), "Pod Security", "patch"),
        (
            status(403, "Forbidden", "unable to create new content in namespace n because it is being terminated"),
            "is being removed",
            "wait until",
        ),
        (status(422, "Invalid", "spec.replicas: Invalid value: -1"), "refuses an object: spec.replicas", "mend"),
        (status(405, "MethodNotAllowed", "no"), "answered 405 to GET /x: no", "look"),
    ],
)
def test_a_no_says_what_is_missing(
    api: Api, said: Said, answer: tuple[int, dict[str, Any]], told: str, fix: str
) -> None:
    said.answers = [answer]
    with pytest.raises(ApiError) as caught:
        api.get("/x")
    (problem,) = caught.value.problems
    assert told in problem.what
    assert fix in problem.fix
    assert caught.value.status == answer[0]
    assert caught.value.reason == answer[1]["reason"]


def test_what_is_not_there_is_none(api: Api, said: Said) -> None:
    said.answers = [status(404, "NotFound", "not found")]
    assert api.find("/x") is None


def test_an_answer_that_is_no_json_is_told(api: Api, said: Said) -> None:
    said.answers = [(418, [])]
    with pytest.raises(ApiError, match="answered 418"):
        api.get("/x")


def test_what_is_no_api_is_told(api: Api, said: Said) -> None:
    said.answers = [(200, b"<html>welcome</html>")]
    with pytest.raises(WorldError, match="is not the API of one"):
        api.get("/x")


def test_nobody_answers(tmp_path: Path) -> None:
    with serving(Said()) as server:
        pass
    (tmp_path / "config").write_text(config(server))
    api = Api(kubeconfig(None, {"KUBECONFIG": str(tmp_path / "config")}))
    with pytest.raises(TransientError, match="of the current context does not answer at http"):
        api.send("GET", "/x")


def fails(files: str, context: str | None = None) -> PackError:
    with pytest.raises(PackError) as caught:
        Api(kubeconfig(context, {"KUBECONFIG": files})).send("GET", "/x")
    return caught.value


def test_there_is_no_kubeconfig(tmp_path: Path) -> None:
    error = fails(str(tmp_path / "none"))
    assert isinstance(error, UserError)
    assert "there is no kubeconfig" in str(error)


@pytest.mark.parametrize(
    ("text", "context", "told"),
    [
        (config("http://127.0.0.1:1"), "other", "has no context 'other'"),
        ("{", None, "does not say how to reach the cluster"),
        ("[]", None, "does not say how to reach the cluster"),
        (json.dumps({"apiVersion": "v1", "kind": "Config"}), None, "does not say how to reach the cluster"),
    ],
)
def test_a_kubeconfig_that_is_of_no_use(tmp_path: Path, text: str, context: str | None, told: str) -> None:
    (tmp_path / "config").write_text(text)
    error = fails(str(tmp_path / "config"), context)
    assert isinstance(error, UserError)
    assert told in str(error)


def test_a_plugin_that_is_not_installed(tmp_path: Path) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin", "interactiveMode": "Never"}
    (tmp_path / "config").write_text(config("http://127.0.0.1:1", {"exec": plugin}))
    error = fails(str(tmp_path / "config"))
    assert isinstance(error, UserError)
    assert "no-such-plugin" in str(error)
