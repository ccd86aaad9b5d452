"""Decorators record and hand back; misuse is recorded too, and all of it is reported at once."""

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import pytest

from mcp_tool import Context, Resolve, prompt, provide, resource, tool
from mcp_tool.errors import ContractProblem
from mcp_tool.registry import Registry, ToolDeclaration

Problems = Callable[[], tuple[ContractProblem, ...]]


def declared(recorded: Registry) -> dict[str, ToolDeclaration]:
    return {found.common.name: found for found in recorded.declarations if isinstance(found, ToolDeclaration)}


def test_the_function_comes_back_unchanged(recorded: Registry) -> None:
    def plain(text: str) -> int:
        """Count."""
        return len(text)

    async def coroutine(text: str) -> int:
        """Count."""
        return len(text)

    for function in (plain, coroutine):
        assert tool(function) is function
        assert tool()(function) is function
        assert tool("named")(function) is function
        assert prompt(function) is function
        assert prompt()(function) is function
        assert resource("a://b")(function) is function
    assert plain("abc") == 3
    assert len(declared(recorded)) == 3


def test_knobs(recorded: Registry) -> None:
    @tool(
        title="Title",
        description="Text",
        read_only=True,
        destructive=False,
        idempotent=True,
        open_world=False,
        timeout="2m",
        secrets=["KEY"],
        scopes=["read"],
        icons=["https://x/i.png", {"src": "data:,", "sizes": ["48x48"]}],
        meta={"a": 1},
    )
    def knobs() -> str:
        return ""

    found = declared(recorded)["knobs"]
    assert found.timeout == 120.0
    assert found.secrets == ("KEY",)
    assert found.scopes == ("read",)
    assert found.common.icons == ({"src": "https://x/i.png"}, {"src": "data:,", "sizes": ["48x48"]})
    assert tuple(found.hints) == (True, False, True, False)
    assert found.common.place.file == __file__


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [(3, 3.0), (0.5, 0.5), ("30s", 30.0), ("2m", 120.0), ("250ms", 0.25), ("1h", 3600.0), ("7", 7.0)],
)
def test_times(recorded: Registry, timeout: float | str, seconds: float) -> None:
    @tool(timeout=timeout)
    def timed() -> str:
        """Take time."""
        return ""

    assert declared(recorded)["timed"].timeout == seconds


def misuse() -> None:
    """Nearly everything one can get wrong with decorators themselves."""

    @tool
    class NotAFunction:
        pass

    tool(3)  # type: ignore[call-overload]  # the point

    @tool(timeout="soon")
    def one() -> str:
        """Take time."""
        return ""

    @tool(secrets="KEY")
    def two() -> str:
        """Need a key."""
        return ""

    @tool(icons=[{"url": "x"}])
    def three() -> str:
        """Look good."""
        return ""

    @tool
    def four() -> str:
        return ""

    @resource  # type: ignore[arg-type]  # the point
    def five() -> str:
        return ""

    @prompt(complete={"a": 3})  # type: ignore[dict-item]  # the point
    def six(a: str) -> str:
        """Ask."""
        return a

    @provide
    class Seven:
        pass

    @tool("bad name")
    def eight() -> str:
        """Be named badly."""
        return ""

    tool(staticmethod(four))


def test_every_misuse_is_reported_at_once(problems: Problems) -> None:
    misuse()
    found = problems()
    assert all(problem.place.file == __file__ and problem.place.line > 0 and problem.fix for problem in found)
    whats = sorted(problem.what for problem in found)
    assert len(whats) == 11, whats
    expected = [
        "'bad name' is no tool's name",
        "@provide stands on something",
        "@resource has no URI",
        "@tool stands on a class",
        "@tool stands on a staticmethod",
        "@tool(3): the first argument is a name",
        "an icon has no src",
        "complete={'a': …} is neither",
        "secrets='KEY' is not a list",
        "timeout='soon' is not a time",
        "tool 'four' has no description",
    ]
    for what, start in zip(whats, expected, strict=True):
        assert what.startswith(start)


def test_a_duplicate_names_both_places(problems: Problems) -> None:
    def make() -> None:
        @tool("same")
        def first() -> str:
            """One."""
            return ""

        @tool("same")
        def second() -> str:
            """Two."""
            return ""

    make()
    (problem,) = problems()
    line = make.__code__.co_firstlineno
    assert problem.what == f"tool 'same' is declared twice: here and in {__file__}:{line + 1}"
    assert problem.place.line == line + 6


def test_a_duplicate_is_seen_while_the_first_has_problems_of_its_own(problems: Problems) -> None:
    for _ in range(2):

        @tool("same")
        def one(argument) -> str:  # type: ignore[no-untyped-def]  # that it has no type is the problem
            """One."""
            return ""

        @prompt("same")
        def two(number) -> str:  # type: ignore[no-untyped-def]  # that it has no type is the problem
            return ""

        @resource("a://{x}")
        def three(y: str) -> str:
            """Three."""
            return y

    said = [problem.what for problem in problems()]
    assert [what.partition(" is declared twice")[0] for what in said if "declared twice" in what] == [
        "tool 'same'",
        "prompt 'same'",
        "resource 'a://{x}'",
    ]
    assert sum("'argument'" in what for what in said) == 2


def test_duplicates_of_every_kind(problems: Problems) -> None:
    for _ in range(2):

        @prompt("same")
        def one() -> str:
            """One."""
            return ""

        @resource("a://b")
        def two() -> str:
            """Two."""
            return ""

        @resource("a://{x}")
        def three(x: str) -> str:
            """Three."""
            return x

    assert [problem.what.partition(" is declared twice")[0] for problem in problems()] == [
        "prompt 'same'",
        "resource 'a://b'",
        "resource 'a://{x}'",
    ]


def test_one_function_under_two_names(recorded: Registry, problems: Problems) -> None:
    def function() -> str:
        """Do it."""
        return ""

    tool("a")(function)
    tool("b")(function)
    tool("b")(function)  # the same again, as after a reload
    assert list(declared(recorded)) == ["a", "b"]
    assert problems() == ()


def test_wrapped_functions(recorded: Registry, problems: Problems) -> None:
    def logged(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def inner(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return inner

    @tool
    @logged
    def wrapped(a: int) -> int:
        """Keep the signature."""
        return a

    @tool
    @functools.lru_cache
    def cached(a: int) -> int:
        """Remember."""
        return a

    assert problems() == ()
    assert set(declared(recorded)) == {"wrapped", "cached"}


def test_parameters_that_nobody_can_give(problems: Problems) -> None:
    @tool
    def one(*args: int) -> str:
        """Take any."""
        return ""

    @tool
    def two(**kwargs: int) -> str:
        """Take any."""
        return ""

    @tool
    def three(a: int, /) -> str:
        """Take one."""
        return ""

    @tool
    def four(_a: int) -> str:
        """Take one."""
        return ""

    @tool
    def five(a: "Unknown") -> "Neither":  # type: ignore[name-defined]  # noqa: F821 - unknown on purpose
        """Take what does not exist."""

    def needs(b: int) -> int:
        return b

    @tool
    def six(a: Annotated[int, Resolve(needs)] | None) -> str:
        """Hide a mark."""
        return ""

    unknown = "cannot be evaluated: NameError: name '{}' is not defined"
    assert [problem.what for problem in problems()] == [
        "one() takes *args",
        "two() takes **kwargs",
        "parameter 'a' of three() is positional only, and arguments come by name",
        "parameter '_a' of four() starts with an underscore",
        f"the type hint 'Unknown' of parameter 'a' of five() {unknown.format('Unknown')}",
        f"the type hint 'Neither' of the return type of five() {unknown.format('Neither')}",
        "Resolve(…) of parameter 'a' of six() stands inside a union",
    ]


def test_the_context_is_found_in_every_spelling(recorded: Registry, problems: Problems) -> None:
    @tool
    def one(a: int, ctx: Context) -> str:
        """Take the context."""
        return ""

    @tool
    def two(context: "Context | None" = None) -> str:
        """Take the context."""
        return ""

    @tool
    def three(context: Annotated[Context, "noted"]) -> str:
        """Take the context."""
        return ""

    assert problems() == ()
    assert len(declared(recorded)) == 3


def test_functions_that_yield(problems: Problems) -> None:
    @tool
    def one() -> Iterator[int]:
        """Yield."""
        yield 1

    @prompt
    async def two() -> AsyncIterator[str]:
        """Yield."""
        yield ""

    assert [problem.what for problem in problems()] == [
        "one() yields, and a call has one result",
        "two() yields, and a call has one result",
    ]
