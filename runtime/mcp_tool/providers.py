"""`@provide` functions as a checked graph, and their life: made at the start in order, taken down in reverse."""

import contextlib
import inspect
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from mcp_tool import settings
from mcp_tool.errors import ContractProblem, Place, SettingsError
from mcp_tool.providing import Sources, made_type
from mcp_tool.registry import ProviderDeclaration
from mcp_tool.roles import FromCaller, FromSource, Role, role
from mcp_tool.running import Runner, is_async
from mcp_tool.schema import signature
from mcp_tool.schema.signature import NOTHING, Flaw, name_of


@dataclass(frozen=True, slots=True)
class Provider:
    """One function, and which of its parameters is filled by what."""

    function: Callable[..., Any]
    roles: Mapping[str, FromSource]


@dataclass(frozen=True, slots=True)
class Providers:
    """What is made once per process, each after what it needs."""

    settings: tuple[type[BaseModel], ...] = ()
    functions: tuple[Provider, ...] = ()

    def below(self, roots: Iterable[Any], given: Container[Any]) -> "Providers":
        """What has to be made for some sources, where others are given."""
        functions = {provider.function: provider for provider in self.functions}
        needed: set[Any] = set()
        todo = [source for source in roots if source not in given]
        while todo:
            source = todo.pop()
            needed.add(source)
            roles = functions[source].roles.values() if source in functions else ()
            todo += [role.source for role in roles if role.source not in given and role.source not in needed]
        return Providers(
            tuple(model for model in self.settings if model in needed),
            tuple(provider for provider in self.functions if provider.function in needed),
        )


def sources(declared: Iterable[ProviderDeclaration]) -> tuple[Sources, tuple[ContractProblem, ...]]:
    """Which type each `@provide` function makes."""
    by_type: dict[Any, ProviderDeclaration] = {}
    problems: list[ContractProblem] = []
    for declaration in declared:
        read, flaws = signature.read(declaration.function)
        problems.extend(ContractProblem(declaration.place, flaw.what, flaw.fix) for flaw in flaws)
        made = made_type(declaration.function, read.returns)
        if made is NOTHING:
            problems.append(
                ContractProblem(
                    declaration.place,
                    f"nothing says what {read.name}() provides",
                    "annotate what it returns, or Iterator[…] or AsyncIterator[…] where it yields",
                )
            )
        elif made in by_type:
            problems.append(
                ContractProblem(
                    declaration.place,
                    f"{read.name}() provides {made!r}, and so does {by_type[made].place}",
                    "keep one, or name the one you mean with Annotated[…, Provided(function)]",
                )
            )
        else:
            by_type[made] = declaration
    found = {made: declaration.function for made, declaration in by_type.items()}
    return Sources(found, settings.Settings), tuple(problems)


def build(
    needed: Iterable[Any], declared: Iterable[ProviderDeclaration], known: Sources
) -> tuple[Providers, tuple[ContractProblem, ...]]:
    """The graph below everything that parameters name, and below every declared function."""
    graph = _Graph(known, {declaration.function: declaration.place for declaration in declared})
    for source in (*graph.places, *needed):
        graph.visit(source, ())
    return Providers(tuple(graph.settings), tuple(graph.functions)), tuple(graph.problems)


class _Graph:
    def __init__(self, known: Sources, places: Mapping[Any, Place]) -> None:
        self.settings: list[type[BaseModel]] = []
        self.functions: list[Provider] = []
        self.problems: list[ContractProblem] = []
        self.places = places
        self._known = known
        self._seen: set[Any] = set()

    def visit(self, source: Any, above: tuple[Any, ...]) -> None:
        if source in above:
            self._report(source, Flaw(f"{name_of(source)}() needs itself, in a circle", "cut the circle"))
            return
        if source in self._seen:
            return
        self._seen.add(source)
        if isinstance(source, type):
            self.settings.append(source)
            return
        read, flaws = signature.read(source)
        for flaw in flaws:
            self._report(source, flaw)
        roles: dict[str, FromSource] = {}
        for parameter in read.parameters:
            found = role(parameter, self._known, read.name)
            if isinstance(found, FromSource):
                roles[parameter.name] = found
                self.visit(found.source, (*above, source))
            elif not (isinstance(found, FromCaller) and parameter.default is not NOTHING):
                self._unfilled(source, parameter.name, found)
        self.functions.append(Provider(source, roles))

    def _unfilled(self, source: Any, parameter: str, found: Role | Flaw) -> None:
        if isinstance(found, Flaw):
            self._report(source, found)
            return
        what = f"nothing fills parameter {parameter!r} of {name_of(source)}(), which runs before any call"
        self._report(source, Flaw(what, "take settings or other provided values"))

    def _report(self, source: Any, flaw: Flaw) -> None:
        code = getattr(inspect.unwrap(source), "__code__", None)
        place = self.places.get(source) or Place(code.co_filename if code else "?", code.co_firstlineno if code else 0)
        self.problems.append(ContractProblem(place, flaw.what, flaw.fix))


@dataclass
class Lifespan:
    """The values of one process. `made` is by source: a function or a settings model."""

    providers: Providers
    values: settings.Values
    run: Runner
    made: dict[Any, Any] = field(default_factory=dict)
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def start(self) -> None:
        """Make everything.

        Raises:
            SettingsError: Values are missing; all of them by name.
            Exception: What a `@provide` function raised; what was made before is taken down.
        """
        self._settings()
        try:
            for provider in self.providers.functions:
                self.made.setdefault(provider.function, await self._make(provider))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Take everything down, the last one first."""
        await self._stack.aclose()
        self.made.clear()

    def _settings(self) -> None:
        missing: dict[str, str] = {}
        for model in self.providers.settings:
            try:
                self.made.setdefault(model, settings.build(model, self.values))
            except SettingsError as error:
                missing |= error.missing
        if missing:
            raise SettingsError(missing)

    async def _make(self, provider: Provider) -> Any:
        function = provider.function
        if function in self.made:
            return self.made[function]
        values = {name: self.made[role.source] for name, role in provider.roles.items()}
        if inspect.isasyncgenfunction(function):
            return await self._stack.enter_async_context(contextlib.asynccontextmanager(function)(**values))
        if inspect.isgeneratorfunction(function):
            return self._stack.enter_context(contextlib.contextmanager(function)(**values))
        return await (function(**values) if is_async(function) else self.run(function, values))
