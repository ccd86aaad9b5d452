"""What Lambda's web adapter does, for the figure beside it: starts a web server, waits for it, passes events on.

Its README (aws-lambda-web-adapter) says how: it looks at ``/`` of the server's port every 10 ms until anything answers,
asks the Runtime API for events, and proxies each to the server. The adapter itself, a program in Rust, is on no package
index; this stands for it. It starts beside the server, which takes far longer to load, so what Python adds is hidden.
Run by the function's interpreter as a plain script: the standard library alone.
"""

import base64
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from typing import Any

_READINESS_SECONDS = 0.01
_RUNTIME = "/2018-06-01/runtime/invocation"


def main() -> None:
    """Serve until the environment ends."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    subprocess.Popen([sys.executable, f"{os.environ['LAMBDA_TASK_ROOT']}/server.py", str(port)])
    while not _is_ready(port):
        time.sleep(_READINESS_SECONDS)
    server = http.client.HTTPConnection("127.0.0.1", port)
    runtime = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        runtime.request("GET", f"{_RUNTIME}/next")
        asked = runtime.getresponse()
        event, identity = json.loads(asked.read()), asked.headers["Lambda-Runtime-Aws-Request-Id"]
        runtime.request("POST", f"{_RUNTIME}/{identity}/response", json.dumps(_answer(server, event)))
        runtime.getresponse().read()


def _is_ready(port: int) -> bool:
    probe = http.client.HTTPConnection("127.0.0.1", port)
    try:
        probe.request("GET", "/")
        probe.getresponse().read()
    except OSError:
        return False
    finally:
        probe.close()
    return True


def _answer(server: http.client.HTTPConnection, event: dict[str, Any]) -> dict[str, Any]:
    body = event.get("body") or ""
    data = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    server.request(event["requestContext"]["http"]["method"], event["rawPath"], data, event["headers"])
    answer = server.getresponse()
    headers = {name: value for name, value in answer.getheaders() if name.lower() != "content-length"}
    return {
        "statusCode": answer.status,
        "headers": headers,
        "body": answer.read().decode(),
        "isBase64Encoded": False,
    }


if __name__ == "__main__":
    main()
