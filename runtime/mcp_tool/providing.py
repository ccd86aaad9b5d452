"""What is made once per process and handed to parameters: `@provide` functions and settings."""

import collections.abc
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin

_YIELDING = (
    collections.abc.Iterator,
    collections.abc.Generator,
    collections.abc.AsyncIterator,
    collections.abc.AsyncGenerator,
    collections.abc.Iterable,
    collections.abc.AsyncIterable,
)


@dataclass(frozen=True, slots=True)
class Provided:
    """`Annotated[T, Provided(function)]`: the parameter is what the function made when the server started.

    Needed where the type alone does not tell; a parameter of a type that one `@provide` function returns needs no mark.
    """

    function: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Sources:
    """What parameters may be filled from, besides the caller.

    Attributes:
        by_type: `@provide` functions by the type they make.
        settings_base: The class that every settings model derives from.
    """

    by_type: Mapping[Any, Callable[..., Any]] = field(default_factory=dict)
    settings_base: type | None = None

    def find(self, annotation: Any, marks: Iterable[Any]) -> Any:
        """The `@provide` function or settings model that fills a parameter; None where the caller does."""
        for mark in marks:
            if isinstance(mark, Provided):
                return mark.function
        if (
            self.settings_base is not None
            and isinstance(annotation, type)
            and issubclass(annotation, self.settings_base)
        ):
            return annotation
        try:
            return self.by_type.get(annotation)
        except TypeError:
            return None


def made_type(function: Callable[..., Any], returns: Any) -> Any:
    """The type of what a provider makes: its return annotation, or what its generator yields."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        arguments = get_args(returns)
        return arguments[0] if get_origin(returns) in _YIELDING and arguments else inspect.Parameter.empty
    return returns
