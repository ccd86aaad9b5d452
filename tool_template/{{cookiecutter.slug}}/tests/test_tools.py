"""The tools, called in-process through everything that a client's call goes through."""

import pytest
from mcp_tool import ToolError
from mcp_tool.testing import Tools

from {{ cookiecutter.package }}.tools import greet


def test_greets_by_name() -> None:
    assert Tools(env={}).call(greet, name="Ada") == "Hello, Ada!"


def test_the_greeting_is_a_setting() -> None:
    assert Tools(env={"GREETING": "Bonjour"}).call(greet, name="Ada") == "Bonjour, Ada!"


def test_a_name_is_required() -> None:
    with pytest.raises(ToolError, match="name"):
        Tools(env={}).call(greet)
