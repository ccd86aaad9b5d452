"""Marks and matching for what is made once per process: `@provide` functions and settings."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Provided:
    """`Annotated[T, Provided(function)]`: the parameter is what the function made when the server started.

    Needed where the type alone does not tell; a parameter of a type that one `@provide` function returns needs no mark.
    """

    function: Callable[..., Any]
