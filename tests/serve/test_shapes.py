"""What is known of the protocol without the SDK is what the SDK knows: versions, forms that fit, results in order."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import DEFAULT_NEGOTIATED_VERSION, methods
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from mcp_tool.serve.http import plain, shapes
from mcp_tool.wire import HANDSHAKE, MODERN
from tests.serve.process import ENVELOPE

_LETTERS = st.text(st.characters(exclude_categories=())) | st.sampled_from(["", "a", "\ud800", "caf\u00e9"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _LETTERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_LETTERS, inner, max_size=3),
    max_leaves=5,
)
_CAPABILITIES = st.fixed_dictionaries(
    {},
    optional={
        "elicitation": st.sampled_from([{}, {"form": {}}, {"url": {}, "form": {}}, {"applyDefaults": True}, None, 1]),
        "sampling": st.sampled_from([{}, {"tools": {}}, {"tools": None}, {"other": {}}]),
        "roots": st.sampled_from([{}, {"listChanged": True}, {"listChanged": "yes"}]),
        "experimental": st.sampled_from([{}, {"a": 1}]),
    },
)
_INFO = st.sampled_from(
    [
        {"name": "a", "version": "1"},
        {"name": "a"},
        {"name": "\ud800", "version": "1"},
        {"name": 1, "version": "1"},
        None,
    ]
)
_META = st.fixed_dictionaries(
    {},
    optional={
        "io.modelcontextprotocol/protocolVersion": st.just(MODERN),
        "io.modelcontextprotocol/clientCapabilities": _CAPABILITIES,
        "io.modelcontextprotocol/clientInfo": _INFO,
        "io.modelcontextprotocol/logLevel": st.sampled_from(["info", "loud"]),
        "progressToken": st.sampled_from([1, "a", True, None, 1.5, "\ud800"]),
        "other": _JSON,
        "\ud800": st.just(1),
    },
)
_BLOCK = st.fixed_dictionaries(
    {"text": _LETTERS, "type": st.just("text")}, optional={"annotations": st.just({"priority": 1.0})}
) | st.just({"type": "image", "data": "AA==", "mimeType": "image/png"})


def test_the_versions_are_those_of_the_sdk() -> None:
    assert HANDSHAKE == HANDSHAKE_PROTOCOL_VERSIONS
    assert (MODERN,) == MODERN_PROTOCOL_VERSIONS
    assert plain.NEGOTIATED == DEFAULT_NEGOTIATED_VERSION


@given(st.sampled_from((*HANDSHAKE, MODERN)), _META | st.just(ENVELOPE), st.dictionaries(_LETTERS, _JSON, max_size=2))
def test_a_request_that_fits_fits_the_sdk_too(version: str, meta: dict[str, Any], arguments: dict[str, Any]) -> None:
    params = {"name": "a", "arguments": arguments, "_meta": meta}
    if shapes.request_fits(params, modern=version == MODERN):
        methods.validate_client_request("tools/call", version, params)


def test_what_clients_send_fits() -> None:
    info = {"name": "a", "version": "1", "title": "caf\u00e9"}
    capabilities = {"elicitation": {"form": {}}, "sampling": {}, "roots": {"listChanged": True}}
    meta = {**ENVELOPE, "io.modelcontextprotocol/clientCapabilities": capabilities, "progressToken": 1}
    for modern in (True, False):
        assert shapes.request_fits({"name": "a", "_meta": meta, "arguments": {"a": None}}, modern=modern)
    assert shapes.request_fits(None, modern=False)
    assert shapes.names_itself(info)


@given(
    st.sampled_from((*HANDSHAKE, MODERN)),
    st.fixed_dictionaries(
        {"content": st.lists(_BLOCK, max_size=3), "isError": st.sampled_from([True, False, None])},
        optional={
            "structuredContent": st.dictionaries(_LETTERS, _JSON, max_size=3) | st.none() | st.just([1]),
            "_meta": st.just({"a": 1}),
        },
    ),
)
def test_a_result_is_shaped_as_the_sdk_does(version: str, result: dict[str, Any]) -> None:
    if version == MODERN:
        result = {"resultType": "complete", **result}
    shaped = shapes.result(result, modern=version == MODERN)
    if shaped is not None:
        assert json.dumps(shaped) == json.dumps(methods.serialize_server_result("tools/call", version, result))


@pytest.mark.parametrize("text", ["\ud800", "caf\u00e9 \ud800"])
def test_half_a_letter_is_left_to_the_sdk(text: str) -> None:
    result = {"content": [{"type": "text", "text": text}], "isError": False}
    assert shapes.result(result, modern=False) is None
