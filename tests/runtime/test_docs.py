"""Docstrings in three styles give the same description and the same arguments."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_tool.schema import docs


def google(text: str, limit: int) -> str:
    """Shorten a text.

    Words stay whole.

    Args:
        text (str): What to shorten, over
            two lines.
        limit: How far.

    Returns:
        The shortened text.
    """
    return text[:limit]


def numpy(text: str, limit: int) -> str:
    """Shorten a text.

    Words stay whole.

    Parameters
    ----------
    text : str
        What to shorten, over
        two lines.
    limit
        How far.

    Returns
    -------
    str
        The shortened text.
    """
    return text[:limit]


def sphinx(text: str, limit: int) -> str:
    """Shorten a text.

    Words stay whole.

    :param text: What to shorten, over
        two lines.
    :type text: str
    :param limit: How far.
    :returns: The shortened text.
    """
    return text[:limit]


@pytest.mark.parametrize("function", [google, numpy, sphinx])
def test_three_styles(function: Callable[..., str]) -> None:
    doc = docs.read(function)
    assert dict(doc.arguments) == {"text": "What to shorten, over two lines.", "limit": "How far."}
    assert doc.description.startswith("Shorten a text.\n\nWords stay whole.\n\n")
    assert "shortened text" in doc.description
    assert "How far" not in doc.description
    assert "two lines" not in doc.description


def test_sections_that_are_no_arguments_stay() -> None:
    def function() -> None:
        """Do it.

        Example:
            do_it()

        Args are not documented here, only mentioned.
        """

    assert docs.read(function).description == (
        "Do it.\n\nExample:\n    do_it()\n\nArgs are not documented here, only mentioned."
    )


@pytest.mark.parametrize("text", [None, "", "   \n  "])
def test_no_docstring(text: str | None) -> None:
    def function() -> None: ...

    function.__doc__ = text
    assert docs.read(function) == docs.Doc()


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    def function() -> None: ...

    function.__doc__ = text
    doc = docs.read(function)
    assert all(isinstance(value, str) for value in (doc.description, *doc.arguments.values()))
