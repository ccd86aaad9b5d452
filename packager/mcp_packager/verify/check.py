"""Is what is served there what was built? The contract in both eras, and the calls the manifest names."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mcp_packager.contract import contract_of
from mcp_packager.errors import PackError, Problem, WorldError
from mcp_packager.target import Auth, Call, Endpoint, Verification
from mcp_packager.verify.client import Era, McpClient, RpcError
from mcp_packager.verify.exchange import RefusedError

_LISTINGS: Final = (
    ("tools", "tools/list", "tools", "name"),
    ("resources", "resources/list", "resources", "uri"),
    ("templates", "resources/templates/list", "resourceTemplates", "uriTemplate"),
    ("prompts", "prompts/list", "prompts", "name"),
)
_METHOD_NOT_FOUND: Final = -32601
_SHOWN: Final = 300
_PATIENCE: Final = 120.0
"""Seconds to wait, all in all, where a deploy is counted like any caller and the rate is low."""
_NOT_LET_IN: Final = frozenset({401, 403})
"""The runtime says 401; a platform that asks in its place may say 403."""


class ServedOtherwiseError(WorldError):
    """The server answers, and not with what was built."""


def verify(
    endpoint: Endpoint,
    contract: Mapping[str, Any],
    calls: Sequence[Call] = (),
    *,
    token: Callable[[], str] | None = None,
    timeout: float = 30.0,
) -> Verification:
    """Compare what an endpoint serves in both eras with the contract document, and make the calls.

    Where the endpoint asks who is calling, a caller without a token must be refused.

    Args:
        endpoint: where; one without a URL stays unverified.
        contract: the contract document; each era's ready answers are not needed. Empty where it is not known: then
            it is read in the modern era, and answered.
        calls: made in the modern era.
        token: asked before each request for the bearer token to show; without one, an endpoint that asks for one
            is looked at no further.
        timeout: seconds for each request.

    Raises:
        UnreachableError: nobody answers.
        RefusedError: the server lets us not in.
        ServedOtherwiseError: what is served differs from the contract, a call went otherwise than expected, or
            somebody was let in who should not be.
    """
    if endpoint.url is None:
        return Verification(unverified=("the endpoint is a command; it was not started",))
    checked: list[str] = []
    if endpoint.auth is not Auth.NONE:
        checked.append(_closed(McpClient(endpoint.url, endpoint.headers, timeout=timeout)))
        if token is None:
            return Verification(
                tuple(checked), ("contract and calls: the endpoint asks for a token, and the deploy has none",)
            )
    read = None if contract else _read(endpoint, token, timeout)
    contract = contract if read is None else read
    word = "as read" if contract.get("read") else "as built"
    for era in (Era.LEGACY, Era.MODERN):
        client = McpClient(endpoint.url, endpoint.headers, era=era, timeout=timeout, token=token, patience=_PATIENCE)
        client.discover()
        problems = [problem for listing in _LISTINGS for problem in _compare(client, contract, *listing)]
        if problems:
            raise ServedOtherwiseError(problems)
        checked.append(f"contract {str(contract.get('hash', ''))[:12]} {word}, {era.value} era: {_count(contract)}")
    caller = McpClient(endpoint.url, endpoint.headers, timeout=timeout, token=token, patience=_PATIENCE)
    checked.extend(_call(caller, call) for call in calls)
    unverified = () if calls else ("no tool was called: the manifest has no [[verify.call]]",)
    return Verification(tuple(checked), unverified, read)


def _read(endpoint: Endpoint, token: Callable[[], str] | None, timeout: float) -> dict[str, Any]:
    """What a server shows of which nobody has a contract, as one."""
    client = McpClient(endpoint.url or "", endpoint.headers, timeout=timeout, token=token, patience=_PATIENCE)
    client.discover()
    return contract_of({section: _served(client, method, key) for section, method, key, _ in _LISTINGS})


def _served(client: McpClient, method: str, key: str) -> Sequence[Mapping[str, Any]]:
    """What a list holds; nothing where the server has no such list."""
    try:
        return client.list_all(method, key)
    except RpcError as error:
        if error.code == _METHOD_NOT_FOUND:
            return ()
        raise


def _closed(stranger: McpClient) -> str:
    """That who shows nothing is not let in."""
    try:
        stranger.discover()
    except RefusedError as error:
        if error.status in _NOT_LET_IN:
            return f"a caller without a token is refused ({error.status})"
        raise
    raise ServedOtherwiseError(
        Problem(
            f"{stranger.url} answers a caller who shows no token",
            "look at what stands in front of the server; [serve.auth] says that it asks who is calling",
        )
    )


def _compare(
    client: McpClient, contract: Mapping[str, Any], section: str, method: str, key: str, name: str
) -> list[Problem]:
    wanted = {item["definition"][name]: item["definition"] for item in contract.get(section, ())}
    try:
        served = {item.get(name): item for item in client.list_all(method, key)}
    except RpcError as error:
        if error.code == _METHOD_NOT_FOUND and not wanted:
            return []
        raise
    problems = [
        _differs(client, section, missing, "is not served", "it is in the contract")
        for missing in sorted(wanted.keys() - served.keys())
    ]
    problems.extend(
        _differs(client, section, str(extra), "is served", "it is not in the contract")
        for extra in sorted(served.keys() - wanted.keys(), key=str)
    )
    for both in sorted(wanted.keys() & served.keys()):
        fields = sorted(
            field
            for field in wanted[both].keys() | served[both].keys()
            if wanted[both].get(field) != served[both].get(field)
        )
        if fields:
            words = f"differs from the contract in {', '.join(fields)}"
            problems.append(_differs(client, section, both, words, "what runs there is not what was built"))
    return problems


def _differs(client: McpClient, section: str, name: str, how: str, why: str) -> Problem:
    return Problem(
        f"{section.removesuffix('s')} {name!r} {how} at {client.url} ({client.era.value} era): {why}",
        "build and deploy again; tools must be the same in every process that imports the code",
    )


def _call(client: McpClient, call: Call) -> str:
    try:
        result = client.call_tool(call.tool, call.arguments, timeout=call.timeout)
    except RpcError as error:
        raise _failed(call, "the call failed", str(error.problems[0].what)) from error
    is_error = bool(result.get("isError"))
    text = texts(result)
    if is_error != call.error:
        raise _failed(call, "the tool reported an error" if is_error else "the tool reported no error", text)
    if call.contains is not None and call.contains not in text:
        raise _failed(call, f"the answer does not contain {call.contains!r}", text)
    if call.structured is not None and not holds(result.get("structuredContent"), call.structured):
        found = json.dumps(result.get("structuredContent"), ensure_ascii=False)
        raise _failed(call, f"the structured answer does not hold {json.dumps(call.structured)}", found)
    return f"call {call.tool} answered as expected"


def _failed(call: Call, what: str, found: str) -> PackError:
    return ServedOtherwiseError(
        Problem(
            f"verify call {call.tool}: {what}",
            "mend the tool, or the [[verify.call]] that expects otherwise",
            found=found[:_SHOWN] or None,
        )
    )


def texts(result: Mapping[str, Any]) -> str:
    """The text blocks of a tool's result, one a line."""
    return "\n".join(block.get("text", "") for block in result.get("content", ()) if block.get("type") == "text")


def holds(have: Any, wanted: Any) -> bool:
    """Whether every key that ``wanted`` gives is in ``have`` with an equal value; what is no mapping must be equal."""
    if isinstance(wanted, Mapping):
        return isinstance(have, Mapping) and all(name in have and holds(have[name], wanted[name]) for name in wanted)
    return bool(have == wanted)


def _count(contract: Mapping[str, Any]) -> str:
    numbers = [(len(contract.get(section, ())), section) for section, *_ in _LISTINGS]
    return (
        ", ".join(f"{number} {word if number != 1 else word[:-1]}" for number, word in numbers if number) or "nothing"
    )
