"""What decorators record: declarations as plain data, in the order the author wrote them.

Named tuples, not dataclasses: those would triple the time of `import mcp_tool`.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from mcp_tool.errors import ContractProblem, Place

Function: TypeAlias = Callable[..., Any]
Completer: TypeAlias = Function | tuple[str, ...]
"""A function from what was typed so far to suggestions, or the suggestions themselves."""


_NONE: Mapping[str, Completer] = MappingProxyType({})


class Hints(NamedTuple):
    """What a tool says of its own behaviour; None where it says nothing."""

    read_only: bool | None = None
    destructive: bool | None = None
    idempotent: bool | None = None
    open_world: bool | None = None


class Common(NamedTuple):
    """What tools, resources and prompts all declare. `icons` and `meta` are in wire form."""

    function: Function
    name: str
    place: Place
    title: str | None = None
    description: str | None = None
    icons: tuple[Mapping[str, Any], ...] = ()
    meta: Mapping[str, Any] | None = None


class ToolDeclaration(NamedTuple):
    """One `@tool`. `timeout` is in seconds."""

    common: Common
    hints: Hints = Hints()
    timeout: float | None = None
    secrets: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    structured: bool | None = None
    input_schema: Mapping[str, Any] | None = None


class ResourceDeclaration(NamedTuple):
    """One `@resource`; with variables in its `uri` it is a template. `size` is in bytes."""

    common: Common
    uri: str
    mime_type: str | None = None
    size: int | None = None
    annotations: Mapping[str, Any] | None = None
    complete: Mapping[str, Completer] = _NONE
    unchecked: tuple[str, ...] = ()


class PromptDeclaration(NamedTuple):
    """One `@prompt`."""

    common: Common
    complete: Mapping[str, Completer] = _NONE


class ProviderDeclaration(NamedTuple):
    """One `@provide`: a function that makes something once per process."""

    function: Function
    place: Place


Declaration: TypeAlias = ToolDeclaration | ResourceDeclaration | PromptDeclaration | ProviderDeclaration


class Registry:
    """Declarations in order, and what was wrong with a decorator's own arguments."""

    def __init__(self) -> None:
        self._declarations: list[Declaration] = []
        self._problems: list[ContractProblem] = []

    def add(self, declaration: Declaration) -> None:
        """Record a declaration; the same function recorded again (a reloaded module) takes its old place."""
        identity = _identity(declaration)
        for index, known in enumerate(self._declarations):
            if _identity(known) == identity:
                self._declarations[index] = declaration
                return
        self._declarations.append(declaration)

    def reject(self, problem: ContractProblem) -> None:
        """Record a misuse, to be reported with all others."""
        self._problems.append(problem)

    @property
    def declarations(self) -> tuple[Declaration, ...]:
        """Everything recorded so far."""
        return tuple(self._declarations)

    @property
    def problems(self) -> tuple[ContractProblem, ...]:
        """Every misuse recorded so far."""
        return tuple(self._problems)

    def find_tool(self, function: Function) -> ToolDeclaration | None:
        """The declaration of a tool function, or None."""
        for known in self._declarations:
            if isinstance(known, ToolDeclaration) and known.common.function is function:
                return known
        return None


def _identity(declaration: Declaration) -> tuple[object, ...]:
    """Kind, published name, module, qualified name and line: equal only for the same lines loaded twice."""
    match declaration:
        case ToolDeclaration(common=common) | PromptDeclaration(common=common):
            function, place, name = common.function, common.place, common.name
        case ResourceDeclaration(common=common, uri=uri):
            function, place, name = common.function, common.place, uri
        case ProviderDeclaration(function=function, place=place):
            name = ""
    # Functions made in a loop share all but their published name; those made by a factory do not
    # live in a module's namespace and are told apart by their own identity.
    qualified = getattr(function, "__qualname__", "")
    own: object = id(function) if "<locals>" in qualified else qualified
    return type(declaration), name, getattr(function, "__module__", None), own, place


_current = Registry()


def current() -> Registry:
    """The registry that decorators write into."""
    return _current


@contextlib.contextmanager
def collecting() -> Iterator[Registry]:
    """A fresh registry for as long as the block runs: for loading one entrypoint, and for tests."""
    global _current  # noqa: PLW0603 - decorators have no other way to know where to record
    outer, _current = _current, Registry()
    try:
        yield _current
    finally:
        _current = outer
