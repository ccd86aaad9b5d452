"""Tells Lambda that a start failed, by its Runtime API (Lambda developer guide, "Using the Lambda runtime API")."""

import http.client
import json
import os
from typing import Final

from mcp_tool.serve.problem import StartProblem

PREFIX: Final = "/2018-06-01/runtime"
TYPE: Final = "Lambda-Runtime-Function-Error-Type"
"""Header that says of which kind an error is."""

_PATIENCE: Final = 2.0
"""Seconds that the Runtime API, which is on the same machine, may take."""


def initialisation(problem: StartProblem) -> None:
    """Post an initialisation error, where there is a Runtime API; whoever invokes the function is answered with it."""
    _post("/init/error", problem)


def restoring(problem: StartProblem) -> None:
    """The same of a snapshot's copy that could not begin."""
    _post("/restore/error", problem)


def document(problem: StartProblem) -> dict[str, object]:
    """An error as the Runtime API takes it."""
    text = f"{problem.what} ({problem.fix})"
    return {"errorMessage": text, "errorType": "Runtime.StartProblem", "stackTrace": []}


def _post(path: str, problem: StartProblem) -> None:
    place = os.environ.get("AWS_LAMBDA_RUNTIME_API")
    if not place:
        return
    body = json.dumps(document(problem)).encode()
    connection = http.client.HTTPConnection(place, timeout=_PATIENCE)
    try:
        headers = {"Content-Type": "application/json", TYPE: "Runtime.StartProblem"}
        connection.request("POST", PREFIX + path, body, headers)
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return  # the log has it
    finally:
        connection.close()
