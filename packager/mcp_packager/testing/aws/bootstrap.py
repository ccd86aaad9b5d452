"""What AWS's runtime for Python does, as far as functions notice: run by the function's interpreter as a plain script.

``python bootstrap.py MODULE.HANDLER`` asks ``AWS_LAMBDA_RUNTIME_API`` for events (Lambda developer guide, "Using the
Lambda runtime API") and posts what the handler answers or raises. Imports the standard library alone, and nothing of
this package: it runs where only the function's own files are.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
import urllib.request
from types import SimpleNamespace
from typing import Any

_API = f"http://{os.environ.get('AWS_LAMBDA_RUNTIME_API', '')}/2018-06-01/runtime"


def main(named: str) -> None:
    """Answer events until the process is ended."""
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    module, _, name = named.rpartition(".")
    try:
        handler = vars(importlib.import_module(module))[name]
    except Exception as error:  # noqa: BLE001 - whatever the author's module raises
        _post("/init/error", {**_told(error), "errorType": f"Runtime.{type(error).__name__}"})
        traceback.print_exc()
        raise SystemExit(1) from None
    while True:
        with urllib.request.urlopen(f"{_API}/invocation/next") as answer:  # noqa: S310 - an address of this machine
            told, event = answer.headers, json.loads(answer.read())
        identity = told["Lambda-Runtime-Aws-Request-Id"]
        os.environ["_X_AMZN_TRACE_ID"] = told["Lambda-Runtime-Trace-Id"]
        try:
            text = json.dumps(handler(event, _context(identity, int(told["Lambda-Runtime-Deadline-Ms"]))))
        except Exception as error:  # noqa: BLE001 - the same of the handler
            traceback.print_exc()
            _post(f"/invocation/{identity}/error", _told(error))
        else:
            _post(f"/invocation/{identity}/response", text)


def _context(identity: str, deadline: int) -> SimpleNamespace:
    """Lambda developer guide, "Using the Lambda context object to retrieve Python function information"."""
    return SimpleNamespace(
        aws_request_id=identity,
        function_name=os.environ["AWS_LAMBDA_FUNCTION_NAME"],
        function_version=os.environ["AWS_LAMBDA_FUNCTION_VERSION"],
        memory_limit_in_mb=os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"],
        get_remaining_time_in_millis=lambda: max(deadline - int(time.time() * 1000), 0),
    )


def _told(error: BaseException) -> dict[str, Any]:
    return {"errorType": type(error).__name__, "errorMessage": str(error), "stackTrace": []}


def _post(path: str, document: Any) -> None:
    text = document if isinstance(document, str) else json.dumps(document)
    sys.stdout.flush()
    request = urllib.request.Request(f"{_API}{path}", text.encode(), {"Content-Type": "application/json"})  # noqa: S310 - the same
    with urllib.request.urlopen(request):  # noqa: S310 - the same
        pass


if __name__ == "__main__":
    main(sys.argv[1])
