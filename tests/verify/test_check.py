from __future__ import annotations

from typing import Any

import pytest

from mcp_packager.target import Call, Endpoint
from mcp_packager.verify import McpClient, ServedOtherwiseError, UnreachableError, holds, verify


@pytest.fixture
def contract(sdk_url: str) -> dict[str, Any]:
    """The contract of what the SDK serves."""
    client = McpClient(sdk_url)
    listings = {
        "tools": client.list_tools(),
        "resources": client.list_all("resources/list", "resources"),
        "templates": client.list_all("resources/templates/list", "resourceTemplates"),
        "prompts": client.list_all("prompts/list", "prompts"),
    }
    return {"hash": "0" * 64} | {key: [{"definition": item} for item in items] for key, items in listings.items()}


def test_what_is_served_is_what_was_built(sdk_url: str, contract: dict[str, Any]) -> None:
    calls = (
        Call("add", {"a": 1, "b": 2}, contains="3", structured={"result": 3}),
        Call("fail", {}, error=True),
    )
    found = verify(Endpoint(url=sdk_url), contract, calls)
    assert found.checked == (
        "contract 000000000000 as built, legacy era: 4 tools, 1 resource, 1 template, 1 prompt",
        "contract 000000000000 as built, modern era: 4 tools, 1 resource, 1 template, 1 prompt",
        "call add answered as expected",
        "call fail answered as expected",
    )
    assert found.unverified == ()


def test_every_difference_is_told(sdk_url: str, contract: dict[str, Any]) -> None:
    tools = contract["tools"]
    tools[0] = {"definition": {**tools[0]["definition"], "description": "Another"}}
    tools[1] = {"definition": {**tools[1]["definition"], "name": "gone"}}
    with pytest.raises(ServedOtherwiseError) as caught:
        verify(Endpoint(url=sdk_url), contract)
    told = str(caught.value)
    assert "tool 'add' differs from the contract in description" in told
    assert "tool 'gone' is not served" in told
    assert "tool 'greet_ünï' is served" in told
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (Call("add", {"a": 1}, contains="7"), "does not contain '7'"),
        (Call("add", {"a": 1}, structured={"result": 7}), "does not hold"),
        (Call("fail", {}), "reported an error"),
        (Call("add", {"a": 1}, error=True), "reported no error"),
    ],
)
def test_a_call_that_goes_otherwise(sdk_url: str, contract: dict[str, Any], call: Call, said: str) -> None:
    with pytest.raises(ServedOtherwiseError, match=said):
        verify(Endpoint(url=sdk_url), contract, [call])


def test_nobody_there_is_told_apart_from_wrong() -> None:
    with pytest.raises(UnreachableError):
        verify(Endpoint(url="http://127.0.0.1:9/mcp"), {})


def test_a_command_stays_unverified() -> None:
    assert verify(Endpoint(command=("uvx", "x")), {}).unverified


@pytest.mark.parametrize(
    ("have", "wanted", "answer"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 2}}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {"b": 1}, False),
        ([1, 2], [1, 2], True),
        ([1, 2], [1], False),
        (None, {}, False),
    ],
)
def test_holds(have: Any, wanted: Any, answer: bool) -> None:
    assert holds(have, wanted) is answer
