"""Ways to a function from this machine: by invoking one of its versions, and by its URL with signed requests."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from mcp_packager.errors import Problem, WorldError
from mcp_packager.target import Auth, Endpoint, Via
from mcp_targets._aws.errors import speaking
from mcp_targets._aws.session import Aws, plain_client
from mcp_targets.aws_lambda.listening import Request, Response, event_of, listening, response_of
from mcp_targets.aws_lambda.settings import LONGEST

SCHEME: Final = "lambda"
"""Of addresses that nobody but us knows: ``lambda://FUNCTION/QUALIFIER/PATH``, with the path of the server."""

_SIGNER: Final = "mcp-proxy-for-aws@1.7.0"
_SERVICE: Final = "--service"
_HEALTH: Final = "/healthz"
_SPARE: Final = 10
_LAST_LINES: Final = 12
_HIDDEN: Final = ("START ", "END ", "REPORT ", "INIT_START ")


def address(function: str, qualifier: str, path: str) -> str:
    """Where a version is, for :func:`invoked`."""
    return f"{SCHEME}://{function}/{qualifier}{path}"


@contextmanager
def invoked(aws: Aws, endpoint: Endpoint, function: str, qualifier: str, path: str) -> Iterator[Endpoint]:
    """A version or alias by direct invocation, open as long as the context is.

    Raises:
        WorldError: it does not start; the last lines of its log say why.
    """
    # A call may take as long as the function may; and a tool is not called twice, so nothing is sent again.
    client = plain_client("lambda", aws.region, read_seconds=int(LONGEST) + _SPARE, attempts=1)
    caller = None
    if endpoint.auth is Auth.IAM:
        # AWS asks who invokes just as it asks who calls the URL; what the function is told is the same.
        caller = {"userArn": aws.caller.arn, "accountId": aws.caller.account}

    def answer(request: Request) -> Response:
        with speaking(f"invoke {function}:{qualifier}"):
            said = client.invoke(
                FunctionName=function,
                Qualifier=qualifier,
                LogType="Tail",
                Payload=json.dumps(event_of(request, caller)).encode(),
            )
            payload = said["Payload"].read()
        found = None if said.get("FunctionError") else response_of(payload)
        if found is None:
            raise _broken(function, qualifier, payload, said.get("LogResult", ""))
        return found

    _ = aws.caller  # the pin is held before anything is invoked
    answer(Request("GET", _HEALTH, {}, b""))
    with listening(answer) as base:
        auth = Auth.NONE if endpoint.auth is Auth.IAM else endpoint.auth
        yield replace(endpoint, url=f"{base}{path}", auth=auth, via=Via.INVOKE, settles=0.0)


def signer(url: str, region: str, service: str) -> tuple[str, ...]:
    """What speaks stdio to a client and signs its requests to the URL, for a service of that name.

    Its version is named: where it is resolved beside a newer MCP library, an old one is found that does not start.
    """
    return ("uvx", _SIGNER, url, _SERVICE, service, "--region", region)


@contextmanager
def signed(aws: Aws, endpoint: Endpoint) -> Iterator[Endpoint]:
    """A URL that AWS guards, as one of this machine's that everybody may call: each request is signed on its way."""
    parts = urlsplit(endpoint.url or "")
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path
    service = endpoint.command[endpoint.command.index(_SERVICE) + 1]

    def answer(request: Request) -> Response:
        return _sent(parts.scheme, parts.netloc, _signed(aws, origin, request, service))

    with listening(answer) as base:
        yield replace(endpoint, url=f"{base}{path}", auth=Auth.NONE)


def _signed(aws: Aws, origin: str, request: Request, service: str) -> Request:
    """The request with a signature of version 4 (IAM user guide, "AWS Signature Version 4")."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    own = ("content-type", "accept", "mcp-", "x-request-id", "traceparent")
    headers = {name: value for name, value in request.headers.items() if name.startswith(own)}
    made = AWSRequest(request.method, f"{origin}{request.path}", data=request.body, headers=headers)
    with speaking("sign a request"):
        SigV4Auth(aws.credentials.get_frozen_credentials(), service, aws.region).add_auth(made)
    return replace(request, headers={str(name): str(value) for name, value in made.headers.items()})


def _sent(scheme: str, host: str, request: Request) -> Response:
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    connection = kind(host, timeout=LONGEST + _SPARE)
    try:
        connection.request(request.method, request.path, request.body, dict(request.headers))
        answer = connection.getresponse()
        return Response(answer.status, dict(answer.getheaders()), answer.read())
    except (OSError, http.client.HTTPException) as error:
        raise WorldError(
            Problem(f"{host} cannot be reached: {error}", "see that this machine reaches AWS, then run it again")
        ) from error
    finally:
        connection.close()


def _broken(function: str, qualifier: str, payload: bytes, tail: str) -> WorldError:
    lines = base64.b64decode(tail).decode("utf-8", "replace").splitlines()
    told = [line for line in lines if line.strip() and not line.startswith(_HIDDEN)][-_LAST_LINES:]
    return WorldError(
        Problem(
            f"{function}:{qualifier} fails: {_reason(payload)}",
            "mend what its log says; mcp-pack logs --target lambda shows all of it",
            found="\n".join(told) or None,
        )
    )


def _reason(payload: bytes) -> str:
    try:
        said: Mapping[str, Any] = json.loads(payload)
        return str(said.get("errorMessage") or said.get("errorType") or "no answer to a request")
    except (ValueError, AttributeError):
        return "no answer to a request"
