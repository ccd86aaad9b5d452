"""Who fills a parameter: the caller, the call itself, a resolver, or something made once per process."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from mcp_tool.asking import Accepted, Cancelled, Declined, Resolve
from mcp_tool.context import Context
from mcp_tool.providing import Sources
from mcp_tool.schema.signature import Flaw, Parameter, arms, names_class

_OUTCOMES = (Accepted, Declined, Cancelled)


@dataclass(frozen=True, slots=True)
class FromCaller:
    """An argument."""


@dataclass(frozen=True, slots=True)
class FromCall:
    """The `Context`."""


@dataclass(frozen=True, slots=True)
class FromResolver:
    """What a resolver gives; `outcome` where the parameter wants to know whether the user declined."""

    resolve: Resolve
    outcome: bool


@dataclass(frozen=True, slots=True)
class FromSource:
    """What a `@provide` function made, or a settings model."""

    source: Callable[..., Any]


Role: TypeAlias = FromCaller | FromCall | FromResolver | FromSource


def role(parameter: Parameter, sources: Sources, function: str) -> Role | Flaw:
    """Who fills a parameter of a function."""
    if any(names_class(arm, (Context,)) for arm in arms(parameter.bare)):
        return FromCall()
    for mark in parameter.marks:
        if isinstance(mark, Resolve):
            kinds = arms(parameter.bare)
            return FromResolver(mark, any(names_class(kind, _OUTCOMES) for kind in kinds))
    if _hidden_resolve(parameter.bare):
        return Flaw(
            f"Resolve(…) of parameter {parameter.name!r} of {function}() stands inside a union",
            "annotate the whole parameter: Annotated[…, Resolve(…)]",
        )
    found = sources.find(parameter.bare, parameter.marks)
    return FromCaller() if found is None else FromSource(found)


def _hidden_resolve(annotation: Any) -> bool:
    for arm in arms(annotation):
        marks = getattr(arm, "__metadata__", ())
        if any(isinstance(mark, Resolve) for mark in marks):
            return True
    return False
