"""The resolvers of a tool as a checked graph: no circles, every parameter filled."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, get_args, get_origin

from mcp_tool.asking import Ask, ListRoots, Resolve, Sample
from mcp_tool.providing import Sources
from mcp_tool.roles import FromCaller, FromResolver, Role, role
from mcp_tool.schema import signature
from mcp_tool.schema.forms import FormError, render
from mcp_tool.schema.signature import NOTHING, Flaw, Signature

Identity: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Resolver:
    """One resolver. `key` names its question on the wire; it is the same in every process."""

    function: Callable[..., Any]
    key: str
    roles: Mapping[str, Role]


@dataclass(frozen=True, slots=True)
class Resolvers:
    """A tool's resolvers by identity. `ask` tells whether one of them may put a question."""

    by_identity: Mapping[Identity, Resolver]
    ask: bool = False

    def of(self, resolve: Resolve) -> Resolver:
        """The resolver a parameter names."""
        return self.by_identity[identity(resolve.function)]


def identity(function: Callable[..., Any]) -> Identity:
    """What makes two mentions the same resolver; a bound method is a new object at every mention."""
    owner = getattr(function, "__self__", None)
    if owner is None:
        return (id(function),)
    return (id(getattr(function, "__func__", None)) or function.__name__, id(owner))


def build(roles: Mapping[str, Role], arguments: Iterable[str], sources: Sources) -> tuple[Resolvers, tuple[Flaw, ...]]:
    """Analyse the resolvers that a function's parameters name.

    Args:
        roles: The function's parameters.
        arguments: What the caller gives, which resolvers may take by name.
        sources: What else fills parameters.
    """
    graph = _Graph(frozenset(arguments), sources)
    for found in roles.values():
        if isinstance(found, FromResolver):
            graph.visit(found.resolve, ())
    return Resolvers(graph.resolvers, graph.ask), tuple(graph.flaws)


class _Graph:
    def __init__(self, arguments: frozenset[str], sources: Sources) -> None:
        self.resolvers: dict[Identity, Resolver] = {}
        self.flaws: list[Flaw] = []
        self.ask = False
        self._arguments = arguments
        self._sources = sources
        self._keys: dict[str, int] = {}

    def visit(self, resolve: Resolve, above: tuple[Identity, ...]) -> None:
        function, own = resolve.function, identity(resolve.function)
        if own in above:
            name = signature.name_of(function)
            self.flaws.append(Flaw(f"resolver {name}() needs itself, in a circle", "cut the circle"))
            return
        if own in self.resolvers:
            return
        read, flaws = signature.read(function)
        self.flaws.extend(flaws)
        roles = self._roles(read)
        self.resolvers[own] = Resolver(function, self._key(resolve), roles)
        self._check_questions(read)
        for found in roles.values():
            if isinstance(found, FromResolver):
                self.visit(found.resolve, (*above, own))

    def _roles(self, read: Signature) -> dict[str, Role]:
        roles: dict[str, Role] = {}
        for parameter in read.parameters:
            found = role(parameter, self._sources, read.name)
            match found:
                case Flaw():
                    self.flaws.append(found)
                case FromCaller() if parameter.name not in self._arguments:
                    if parameter.default is NOTHING:
                        self.flaws.append(
                            Flaw(
                                f"nothing fills parameter {parameter.name!r} of resolver {read.name}()",
                                "name it like an argument of the tool, or use Context, Resolve or @provide",
                            )
                        )
                case _:
                    roles[parameter.name] = found
        return roles

    def _key(self, resolve: Resolve) -> str:
        function = resolve.function
        if resolve.key is not None:
            if resolve.key in self._keys:
                self.flaws.append(Flaw(f"two resolvers have the key {resolve.key!r}", "give each its own"))
            self._keys[resolve.key] = 1
            return resolve.key
        owner = function if hasattr(function, "__qualname__") else type(function)
        base = f"{owner.__module__}:{owner.__qualname__}"
        seen = self._keys.get(base, 0)
        self._keys[base] = seen + 1
        return base if seen == 0 else f"{base}#{seen}"

    def _check_questions(self, read: Signature) -> None:
        if read.returns is NOTHING:
            self.ask = True
        for arm in signature.arms(read.returns):
            kind = get_origin(arm) or arm
            if kind in (Ask, Sample, ListRoots):
                self.ask = True
            forms = get_args(arm) if kind is Ask else ()
            for form in forms:
                self._check_form(form, read.name)

    def _check_form(self, form: Any, name: str) -> None:
        if not hasattr(form, "model_json_schema"):
            self.flaws.append(
                Flaw(f"resolver {name}() asks with {form!r}, not a pydantic model", "ask with a pydantic model")
            )
            return
        try:
            render(form)
        except FormError as error:
            self.flaws.append(Flaw(f"resolver {name}() cannot ask: {error}", "use flat fields of simple types"))
