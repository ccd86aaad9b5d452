"""What the author's source asks a client in the middle of a call, found by reading: no module is imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mcp_packager.bundle import AuthorFiles

_LIBRARIES: Final = ("fastmcp", "mcp")
_PUSHES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "elicit": "elicitation/create",
        "elicit_form": "elicitation/create",
        "elicit_url": "elicitation/create",
        "elicit_with_validation": "elicitation/create",
        "sample": "sampling/createMessage",
        "sample_step": "sampling/createMessage",
        "create_message": "sampling/createMessage",
        "list_roots": "roots/list",
        "ElicitRequest": "elicitation/create",
        "CreateMessageRequest": "sampling/createMessage",
        "ListRootsRequest": "roots/list",
    }
)
"""By method or class of ``mcp`` 2 and of FastMCP 2 to 4: the request that it sends to the client."""

_WORDS: Final = re.compile("|".join(rf"\b{word}\b" for word in _PUSHES).encode())
_CONTEXTS: Final = frozenset({"Context", "ServerSession", "RequestContext", "ServerRequestContext"})
_FUNCTIONS: Final = "mcp.server.elicitation."
_QUESTIONS: Final[Mapping[str, int]] = MappingProxyType(
    {"mcp_tool.Ask": 2, "mcp_tool.Sample": 4, "mcp_tool.ListRoots": 0}
)
"""The runtime's questions, and the place of ``default`` among the arguments of each."""


@dataclass(frozen=True, slots=True)
class Push:
    """A place where a server asks its client in a way that needs a connection of its own.

    ``file`` is as the author knows it; ``method`` is the request's, ``library`` ``mcp`` or ``fastmcp``.
    """

    file: str
    line: int
    call: str
    method: str
    library: str


def pushes(files: AuthorFiles) -> tuple[Push, ...]:
    """Every request to the client that a wrapped server's source makes, in the order of files and lines."""
    # Most servers ask nothing: what holds none of the words is not parsed.
    if not any(_WORDS.search(file.read()) for file in files.files if file.path.endswith(".py")):
        return ()
    modules = tuple((file, tree, _Names.of(tree)) for file, tree in _parsed(files))
    # A module that is handed a context and imports no library belongs to the server of its project.
    used = {names.library for _, _, names in modules}
    library = next((found for found in _LIBRARIES if found in used), _LIBRARIES[-1])
    return tuple(
        Push(file, node.lineno, ast.unparse(node), method, names.library or library)
        for file, tree, names in modules
        for node, method in sorted(_pushed(tree, names), key=lambda found: (found[0].lineno, found[0].col_offset))
    )


def questions_without_default(files: AuthorFiles) -> tuple[str, ...]:
    """``file:line`` of each ``Ask``, ``Sample`` and ``ListRoots`` of the runtime's that names no default."""
    return tuple(
        f"{file}:{node.lineno}"
        for file, tree in _parsed(files)
        for names in (_Names.of(tree),)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and names.dotted(node.func) in _QUESTIONS and not _has_default(node, names)
    )


def _has_default(node: ast.Call, names: _Names) -> bool:
    """Whether a default is given; what is passed by ``*`` or ``**`` may hold one."""
    if any(keyword.arg in {None, "default"} for keyword in node.keywords):
        return True
    place = _QUESTIONS[names.dotted(node.func)]
    return len(node.args) > place or any(isinstance(argument, ast.Starred) for argument in node.args)


def _parsed(files: AuthorFiles) -> Iterator[tuple[str, ast.Module]]:
    """The author's modules; what is not Python for this interpreter is for the one that imports it to tell."""
    for file in files.files:
        if file.path.endswith(".py"):
            try:
                yield file.shown, ast.parse(file.read())
            except (SyntaxError, ValueError, RecursionError):
                continue


@dataclass(frozen=True, slots=True)
class _Names:
    """What a module's names stand for, as far as its imports say."""

    imported: Mapping[str, str]

    @classmethod
    def of(cls, tree: ast.Module) -> _Names:
        found: dict[str, str] = {}
        for node in ast.walk(tree):
            match node:
                case ast.Import():
                    for alias in node.names:
                        found[alias.asname or _top(alias.name)] = alias.name if alias.asname else _top(alias.name)
                case ast.ImportFrom(module=str(module), level=0):
                    found |= {alias.asname or alias.name: f"{module}.{alias.name}" for alias in node.names}
        return cls(found)

    @property
    def library(self) -> str | None:
        """The MCP library that the module imports."""
        return next(
            (found for found in _LIBRARIES if any(_top(name) == found for name in self.imported.values())), None
        )

    def dotted(self, node: ast.expr) -> str:
        """``a.b.c`` with the first name as it was imported; empty for what is no plain name."""
        match node:
            case ast.Name(id=name):
                return self.imported.get(name, name)
            case ast.Attribute(value=value, attr=attribute):
                inner = self.dotted(value)
                return f"{inner}.{attribute}" if inner else ""
            case ast.Subscript(value=value):
                return self.dotted(value)
            case _:
                return ""


def _top(name: str) -> str:
    return name.partition(".")[0]


def _pushed(tree: ast.Module, names: _Names) -> Iterator[tuple[ast.expr, str]]:
    contexts, others = _parameters(tree, names)
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=value, attr=attribute) if attribute in _PUSHES:
                if _is_context(value, names, contexts, others):
                    yield node, _PUSHES[attribute]
            case ast.Call(func=ast.Name() as function) if names.dotted(function).startswith(_FUNCTIONS):
                method = _PUSHES.get(names.dotted(function).removeprefix(_FUNCTIONS))
                if method is not None:
                    yield function, method
            case ast.Call(func=ast.Attribute(value=value, attr="send_request"), args=arguments):
                method = next(_requests(arguments), None)
                if method is not None and _is_context(value, names, contexts, others):
                    yield node.func, method


def _requests(arguments: Iterable[ast.expr]) -> Iterator[str]:
    """What an argument of ``send_request`` asks for, by the name of its class."""
    for argument in arguments:
        for node in ast.walk(argument):
            match node:
                case ast.Name(id=name) | ast.Attribute(attr=name) if name.endswith("Request") and name in _PUSHES:
                    yield _PUSHES[name]


def _parameters(tree: ast.Module, names: _Names) -> tuple[frozenset[str], frozenset[str]]:
    """Parameters and variables that are annotated as a context or session of a library's, and as something else."""
    ours: set[str] = set()
    others: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.arg(arg=name, annotation=ast.expr() as annotation):
                (ours if _names_context(annotation, names) else others).add(name)
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                (ours if _names_context(annotation, names) else others).add(name)
    return frozenset(ours), frozenset(others - ours)


def _names_context(annotation: ast.expr, names: _Names) -> bool:
    """Whether an annotation mentions a context: also in ``Context | None``, ``Annotated[…]`` and quotes."""
    for node in ast.walk(annotation):
        match node:
            case ast.Constant(value=str(text)):
                try:
                    inner = ast.parse(text, mode="eval").body
                except SyntaxError:
                    continue
                if not isinstance(inner, ast.Constant) and _names_context(inner, names):
                    return True
            case ast.Name() | ast.Attribute():
                dotted = names.dotted(node)
                if dotted.rpartition(".")[2] in _CONTEXTS and (_top(dotted) in _LIBRARIES or "." not in dotted):
                    return True
    return False


def _is_context(node: ast.expr, names: _Names, contexts: frozenset[str], others: frozenset[str]) -> bool:
    """Whether an expression is a context or a session of one.

    By its annotation where it has one; else by what it is called: ``ctx``, ``self.context``, ``ctx.session``,
    ``server.get_context()``.
    """
    match node:
        case ast.Name(id=name) if name in contexts:
            return True
        case ast.Name(id=name) if name in others:
            return False
        case ast.Name(id=name):
            return _called_context(name) or (name.endswith("session") and names.library is not None)
        case ast.Attribute(value=value, attr="session" | "request_context"):
            return _is_context(value, names, contexts, others)
        case ast.Attribute(attr=name):
            return _called_context(name)
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in {"get_context", "CurrentContext"}
        case ast.Await(value=value):
            return _is_context(value, names, contexts, others)
        case _:
            return False


def _called_context(name: str) -> bool:
    return name.lower().endswith(("ctx", "context"))
