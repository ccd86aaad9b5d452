"""`@tool`, `@resource`, `@prompt`, `@provide`: they record the function and hand it back unchanged.

A misuse is recorded too, not raised, so that one run reports everything there is to mend.
"""

import re
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, overload

from mcp_tool import registry
from mcp_tool.errors import ContractProblem, Place
from mcp_tool.registry import (
    Common,
    Completer,
    Hints,
    PromptDeclaration,
    ProviderDeclaration,
    ResourceDeclaration,
    ToolDeclaration,
)

F = TypeVar("F", bound=Callable[..., Any])

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?")
_UNITS = {"ms": 0.001, None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(
    target: str | None = None,
    /,
    *,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    read_only: bool | None = None,
    destructive: bool | None = None,
    idempotent: bool | None = None,
    open_world: bool | None = None,
    timeout: float | str | None = None,
    secrets: Iterable[str] = (),
    scopes: Iterable[str] = (),
    icons: Iterable[str | Mapping[str, Any]] = (),
    meta: Mapping[str, Any] | None = None,
    structured: bool | None = None,
    input_schema: Mapping[str, Any] | None = None,
) -> Callable[[F], F]: ...
def tool(
    target: Any = None,
    /,
    *,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    read_only: bool | None = None,
    destructive: bool | None = None,
    idempotent: bool | None = None,
    open_world: bool | None = None,
    timeout: float | str | None = None,
    secrets: Iterable[str] = (),
    scopes: Iterable[str] = (),
    icons: Iterable[str | Mapping[str, Any]] = (),
    meta: Mapping[str, Any] | None = None,
    structured: bool | None = None,
    input_schema: Mapping[str, Any] | None = None,
) -> Any:
    """Publish a function as a tool; with or without parentheses, on sync and async functions.

    Args:
        target: The function, or a name to publish it under.
        name: The published name; default the function's.
        title: A name for people.
        description: What it does; default the docstring without its Args section.
        read_only: It changes nothing.
        destructive: What it changes may be lost.
        idempotent: Calling it twice does no more than calling it once.
        open_world: It reaches systems outside.
        timeout: Seconds, or text such as "30s" or "2m"; a call that takes longer fails.
        secrets: Names of the secrets it needs.
        scopes: OAuth scopes its caller needs.
        icons: URLs or icons in wire form.
        meta: The tool's `_meta`.
        structured: False for text only; default by the return annotation.
        input_schema: A JSON Schema to publish instead of the one made from the type hints.
    """
    place = _caller()

    def declare(common: Common) -> None:
        registry.current().add(
            ToolDeclaration(
                common,
                Hints(read_only, destructive, idempotent, open_world),
                _seconds(timeout, place),
                _names(secrets, "secrets", place),
                _names(scopes, "scopes", place),
                structured,
                input_schema,
            )
        )

    return _decorate("tool", target, name, place, (title, description, icons, meta), declare)


def resource(
    uri: str,
    /,
    *,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    mime_type: str | None = None,
    size: int | None = None,
    annotations: Mapping[str, Any] | None = None,
    icons: Iterable[str | Mapping[str, Any]] = (),
    meta: Mapping[str, Any] | None = None,
    complete: Mapping[str, Callable[..., Any] | Iterable[str]] | None = None,
    unchecked: Iterable[str] = (),
) -> Callable[[F], F]:
    """Publish a function as a resource, or as a resource template where the URI has variables.

    Args:
        uri: The URI, or a template such as "files://{+path}{?page}" (RFC 6570, levels 1 to 3).
        name: The published name; default the function's.
        title: A name for people.
        description: What it holds; default the docstring without its Args section.
        mime_type: Default by the return annotation: text/plain, application/octet-stream for bytes, else JSON.
        size: Size in bytes, where it is known beforehand.
        annotations: In wire form: `audience`, `priority`, `lastModified`.
        icons: URLs or icons in wire form.
        meta: The resource's `_meta`.
        complete: Suggestions for variables of the template, by name.
        unchecked: Variables that may hold absolute paths or climb with "..", which others may not.
    """
    place = _caller()

    def declare(common: Common) -> None:
        registry.current().add(
            ResourceDeclaration(
                common,
                uri,
                mime_type,
                size,
                annotations,
                _completers(complete, place),
                _names(unchecked, "unchecked", place),
            )
        )

    given: Any = uri
    if not isinstance(given, str):
        _reject(place, "@resource has no URI", 'write @resource("scheme://path")')
        return given  # type: ignore[no-any-return]  # written without parentheses: hand the function back
    return _decorate("resource", None, name, place, (title, description, icons, meta), declare)  # type: ignore[no-any-return]  # without a target it is a decorator


@overload
def prompt(function: F, /) -> F: ...
@overload
def prompt(
    target: str | None = None,
    /,
    *,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    icons: Iterable[str | Mapping[str, Any]] = (),
    meta: Mapping[str, Any] | None = None,
    complete: Mapping[str, Callable[..., Any] | Iterable[str]] | None = None,
) -> Callable[[F], F]: ...
def prompt(
    target: Any = None,
    /,
    *,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    icons: Iterable[str | Mapping[str, Any]] = (),
    meta: Mapping[str, Any] | None = None,
    complete: Mapping[str, Callable[..., Any] | Iterable[str]] | None = None,
) -> Any:
    """Publish a function as a prompt; with or without parentheses, on sync and async functions.

    Args:
        target: The function, or a name to publish it under.
        name: The published name; default the function's.
        title: A name for people.
        description: What it is for; default the docstring without its Args section.
        icons: URLs or icons in wire form.
        meta: The prompt's `_meta`.
        complete: Suggestions for arguments, by name: a function of the text typed so far, or the values themselves.
    """
    place = _caller()

    def declare(common: Common) -> None:
        registry.current().add(PromptDeclaration(common, _completers(complete, place)))

    return _decorate("prompt", target, name, place, (title, description, icons, meta), declare)


def provide(function: F, /) -> F:
    """Make what a function returns once per process, and hand it to every parameter of the type it returns.

    The function may be plain, async, a generator or an async generator; what a generator does after its `yield`
    runs when the server stops. Its own parameters may be settings and other provided values.
    """
    place = _place(function) or _caller()
    if not callable(function) or isinstance(function, type):
        _reject(place, "@provide stands on something that is not a function", "put it on a function that returns it")
        return function
    registry.current().add(ProviderDeclaration(function, place))
    return function


def _decorate(
    kind: str,
    target: Any,
    name: str | None,
    caller: Place,
    texts: tuple[str | None, str | None, Iterable[str | Mapping[str, Any]], Mapping[str, Any] | None],
    declare: Callable[[Common], None],
) -> Any:
    """Apply a decorator written with or without parentheses."""
    title, description, icons, meta = texts

    def apply(function: Any) -> Any:
        place = _place(function) or caller
        published = target if isinstance(target, str) else name
        if isinstance(function, type | staticmethod | classmethod) or not _is_function(function):
            found = "a class" if isinstance(function, type) else f"a {type(function).__name__}"
            _reject(place, f"@{kind} stands on {found}, not on a function", f"put @{kind} on a function")
            return function
        declare(Common(function, published or function.__name__, place, title, description, _icons(icons, place), meta))
        return function

    if target is None or isinstance(target, str):
        return apply
    if callable(target) or isinstance(target, staticmethod | classmethod):
        return apply(target)
    _reject(caller, f"@{kind}({target!r}): the first argument is a name", f'write @{kind} or @{kind}("name")')
    return apply


def _seconds(timeout: float | str | None, place: Place) -> float | None:
    found: float | None = None
    if timeout is None:
        return None
    if isinstance(timeout, str):
        match = _DURATION.fullmatch(timeout.strip())
        found = float(match[1]) * _UNITS[match[2]] if match else None
    elif not isinstance(timeout, bool) and isinstance(timeout, int | float):
        found = float(timeout)
    if found is None or not 0 < found < float("inf"):
        _reject(place, f"timeout={timeout!r} is not a time", 'write seconds, or text such as "30s" or "2m"')
        return None
    return found


def _names(names: Iterable[str], knob: str, place: Place) -> tuple[str, ...]:
    found = () if isinstance(names, str) else tuple(names)
    if isinstance(names, str) or not all(isinstance(name, str) and name for name in found):
        _reject(place, f"{knob}={names!r} is not a list of names", f'write {knob}=["NAME"]')
        return ()
    return found


def _icons(icons: Iterable[str | Mapping[str, Any]], place: Place) -> tuple[Mapping[str, Any], ...]:
    listed = (icons,) if isinstance(icons, str) else tuple(icons)
    found = tuple({"src": icon} if isinstance(icon, str) else icon for icon in listed)
    if not all(isinstance(icon, Mapping) and isinstance(icon.get("src"), str) for icon in found):
        _reject(place, "an icon has no src", 'write icons=["https://…/icon.png"] or icons=[{"src": "…"}]')
        return ()
    return found


def _completers(
    complete: Mapping[str, Callable[..., Any] | Iterable[str]] | None, place: Place
) -> dict[str, Completer]:
    found: dict[str, Completer] = {}
    for name, source in (complete or {}).items():
        if callable(source):
            found[name] = source
        elif isinstance(source, Iterable) and not isinstance(source, str):
            found[name] = tuple(str(value) for value in source)
        else:
            _reject(place, f"complete={{{name!r}: …}} is neither a function nor values", "give a function or a list")
    return found


def _is_function(candidate: Any) -> bool:
    """Whether it is a function or method, also one wrapped by `functools`. Not with `inspect`: its import costs."""
    bare = getattr(candidate, "__wrapped__", candidate) if callable(candidate) else None
    return isinstance(bare, types.FunctionType | types.MethodType | types.BuiltinFunctionType)


def _reject(place: Place, what: str, fix: str) -> None:
    registry.current().reject(ContractProblem(place, what, fix))


def _place(function: Any) -> Place | None:
    """Where a function, or what it wraps, is written."""
    bare = getattr(function, "__func__", function)
    while hasattr(bare, "__wrapped__"):
        bare = bare.__wrapped__
    code = getattr(bare, "__code__", None)
    return None if code is None else Place(code.co_filename, code.co_firstlineno)


def _caller() -> Place:
    """Where the decorator itself is written: the frame above the decorator's own."""
    frame = sys._getframe(2)  # noqa: SLF001 - the documented way to a caller's line without the cost of a stack
    return Place(frame.f_code.co_filename, frame.f_lineno)
