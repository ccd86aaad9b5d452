"""Wrapping an existing server: find its object by reading, not running, and put a project around it."""

from __future__ import annotations

import ast
import functools
import keyword
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from mcp_packager.errors import Place, Problem, UserError
from mcp_packager.scaffold.imports import Needs, needs_of, siblings_of

_CLASSES = frozenset({"MCPServer", "FastMCP"})
_PACKAGES = frozenset({"mcp", "fastmcp"})
_OLD = "mcp.server.fastmcp"
"""Where FastMCP was in version 1 of the SDK; version 2 has no such module."""

_TAKEN = frozenset({"mcp", "mcp_tool", "fastmcp", "pydantic", "tests", "conftest"})


@dataclass(frozen=True, slots=True)
class Server:
    """A server that was found. ``files`` are the file itself and the modules beside it that it imports."""

    file: Path
    object_name: str
    description: str
    files: tuple[Path, ...]
    needs: Needs
    notes: tuple[str, ...]

    @property
    def entrypoint(self) -> str:
        """``module:object``, as the manifest names it."""
        return f"{self.file.stem}:{self.object_name}"


def find_server(file: Path, object_name: str | None) -> Server:
    """Read ``file`` and find the one server object in it, or the one called ``object_name``.

    Raises:
        UserError: it is not Python, holds no server or several, or needs an SDK of version 1.
    """
    tree = _parse(file)
    _judge_module(file, tree)
    names = _aliases(tree)
    found = {name: node.lineno for name, node in _assigned(tree) if _is_server(node.value, names)}
    chosen = _choose(file, found, object_name, tree)
    files = (file, *siblings_of(file, tree))
    trees = [tree, *(_parse(path) for path in files[1:] if path.is_file())]
    return Server(
        file=file,
        object_name=chosen,
        description=(ast.get_docstring(tree) or "").strip().split("\n")[0].rstrip("."),
        files=files,
        needs=needs_of(file.read_text(encoding="utf-8"), trees, local={path.stem for path in files}),
        notes=_runs_when_imported(tree),
    )


def adapt(folder: Path, server: Server) -> list[str]:
    """Turn a freshly rendered project into one around ``server``, and tell what its author should look at."""
    source = folder / "src"
    if source.is_dir():
        shutil.rmtree(source)
    source.mkdir()
    for path in server.files:
        if path.is_dir():
            shutil.copytree(path, source / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(path, source / path.name)
    _rewrite_manifest(folder / "mcp-tool.toml")
    _rewrite_dependencies(folder / "pyproject.toml", server.needs)
    _write_test(folder / "tests", server)
    _write_readme(folder, server)
    notes = list(server.notes)
    if server.needs.unknown:
        names = ", ".join(server.needs.unknown)
        notes.append(f"these imports may need a package; write its name into pyproject.toml's dependencies: {names}")
    if len(server.files) > 1:
        notes.append(f"copied with it: {', '.join(path.name for path in server.files[1:])}")
    return notes


def _parse(file: Path) -> ast.Module:
    place = Place(file=str(file))
    try:
        return ast.parse(file.read_bytes(), filename=str(file))
    except FileNotFoundError:
        raise UserError(Problem("there is no such file", "name the server's file with --from", place)) from None
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        raise UserError(Problem(what, "name a readable file", place)) from None
    except SyntaxError as error:
        where = Place(file=str(file), line=error.lineno, column=error.offset)
        raise UserError(Problem(f"is not Python: {error.msg}", "mend the file", where)) from None
    except (ValueError, RecursionError) as error:
        raise UserError(Problem(f"is not Python: {error}", "mend the file", place)) from None


def is_taken(module: str) -> bool:
    """Whether a module of this name could not be imported, or would hide a library."""
    return keyword.iskeyword(module) or module in _TAKEN or module in sys.stdlib_module_names


def _judge_module(file: Path, tree: ast.Module) -> None:
    place = Place(file=str(file))
    name = file.stem
    if not name.isidentifier() or file.suffix != ".py":
        raise UserError(Problem("cannot be imported as a module", "rename it, for example to server.py", place))
    if is_taken(name):
        what = f"a module called `{name}` would hide the library of that name"
        raise UserError(Problem(what, "rename it, for example to server.py", place))
    relative = next((node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level), None)
    if relative is not None:
        raise UserError(
            Problem(
                "this file is part of a package (it has relative imports)",
                'write mcp-tool.toml into the project that holds it, with entrypoint = "package.module:object"',
                Place(file=str(file), line=relative.lineno),
            )
        )


def _aliases(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for, and for a class of this file the server class that it extends."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                for alias in node.names:
                    root = alias.name.partition(".")[0]
                    names[alias.asname or root] = alias.name if alias.asname else root
            case ast.ImportFrom(module=str(module)):
                names |= {alias.asname or alias.name: f"{module}.{alias.name}" for alias in node.names}
            case ast.ClassDef():
                for base in map(functools.partial(_dotted, names=names), node.bases):
                    if _names_server(base):
                        names[node.name] = base
    return names


def _assigned(tree: ast.Module) -> list[tuple[str, ast.Assign | ast.AnnAssign]]:
    """Names bound at the module's level, also inside its `if`, `try` and `with` blocks."""
    found: list[tuple[str, ast.Assign | ast.AnnAssign]] = []
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        statement = waiting.pop(0)
        match statement:
            case ast.Assign():
                found += [(target.id, statement) for target in statement.targets if isinstance(target, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.append((name, statement))
            case ast.If() if _is_main_guard(statement):
                waiting = [*statement.orelse, *waiting]
            case ast.If() | ast.With():
                waiting = [*statement.body, *(statement.orelse if isinstance(statement, ast.If) else []), *waiting]
            case ast.Try():
                handlers = [inner for handler in statement.handlers for inner in handler.body]
                waiting = [*statement.body, *handlers, *statement.orelse, *statement.finalbody, *waiting]
    return found


def _is_server(value: ast.expr | None, names: dict[str, str]) -> bool:
    return isinstance(value, ast.Call) and _names_server(_dotted(value.func, names))


def _names_server(dotted: str) -> bool:
    """``mcp.server.MCPServer``, ``fastmcp.FastMCP``, also ``fastmcp.FastMCP.from_openapi``."""
    parts = dotted.split(".")
    return parts[0] in _PACKAGES and not _CLASSES.isdisjoint(parts)


def _dotted(node: ast.expr, names: dict[str, str]) -> str:
    match node:
        case ast.Name(id=name):
            return names.get(name, name)
        case ast.Attribute(value=value, attr=attribute):
            return f"{_dotted(value, names)}.{attribute}"
        case ast.Subscript(value=value):
            return _dotted(value, names)
        case _:
            return ""


def _choose(file: Path, found: dict[str, int], wanted: str | None, tree: ast.Module) -> str:
    old = next((node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == _OLD), None)
    if old is not None:
        raise UserError(
            Problem(
                f"this server is written for version 1 of the MCP SDK (`{_OLD}`)",
                "use `from mcp.server import MCPServer` in place of FastMCP; the SDK's migration guide has the rest",
                Place(file=str(file), line=old.lineno),
            )
        )
    if wanted is not None:
        if wanted not in {name for name, _ in _assigned(tree)}:
            what = f"`{wanted}` is not assigned at the top level of the file"
            raise UserError(Problem(what, "name one that is", Place(file=str(file)), expected=", ".join(found) or None))
        return wanted
    if len(found) == 1:
        return next(iter(found))
    if not found:
        fix = "name the object with --object, if it is made by a function of yours"
        raise UserError(Problem("no MCPServer or FastMCP object is made in this file", fix, Place(file=str(file))))
    listing = ", ".join(f"{name} (line {line})" for name, line in found.items())
    fix = f"choose one, for example --object {next(iter(found))}"
    raise UserError(Problem("this file makes several servers", fix, Place(file=str(file)), found=listing))


def _is_main_guard(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test)


def _runs_when_imported(tree: ast.Module) -> tuple[str, ...]:
    """``mcp.run()`` outside the usual guard would start a server while the contract is read."""
    for statement in tree.body:
        match statement:
            case ast.Expr(value=ast.Call(func=ast.Attribute(attr="run"))):
                note = f'line {statement.lineno} runs the server on import: put it under `if __name__ == "__main__":`'
                return (note,)
    return ()


def _rewrite_manifest(file: Path) -> None:
    """Take the example's settings out of the manifest: the wrapped server has its own."""
    import tomlkit

    document = tomlkit.parse(file.read_text(encoding="utf-8"))
    for section in [key for key in document if key != "tool"]:
        del document[section]
    file.write_text(tomlkit.dumps(document).rstrip() + "\n", encoding="utf-8")


def _rewrite_dependencies(file: Path, needs: Needs) -> None:
    import tomlkit

    document = tomlkit.parse(file.read_text(encoding="utf-8"))
    array = tomlkit.array()
    for requirement in needs.known:
        array.add_line(requirement)
    for name in needs.unknown:
        array.add_line(comment=f"imported as `{name}`: write its package's name here, if it is one")
    if needs.known or needs.unknown:
        array.add_line(indent="")
    document["project"]["dependencies"] = array
    file.write_text(tomlkit.dumps(document), encoding="utf-8")


def _write_test(folder: Path, server: Server) -> None:
    if folder.is_dir():
        shutil.rmtree(folder)
    folder.mkdir()
    (folder / "test_server.py").write_text(
        f'"""The server can be imported and has a name."""\n\n'
        f"from {server.file.stem} import {server.object_name}\n\n\n"
        f"def test_the_server_has_a_name() -> None:\n    assert {server.object_name}.name\n",
        encoding="utf-8",
    )


def _write_readme(folder: Path, server: Server) -> None:
    (folder / "README.md").write_text(
        f"# {folder.name}\n\n{server.description or 'An MCP server'}.\n\n"
        f"The server is `{server.object_name}` in `src/{server.file.name}`; `mcp-tool.toml` packages it.\n\n"
        "```\nmcp-pack check\nmcp-pack deploy --target local\nmcp-pack status\n```\n",
        encoding="utf-8",
    )
