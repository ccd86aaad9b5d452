"""A function's parameters with their type hints evaluated, or what is wrong with them."""

import inspect
import sys
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

NOTHING = inspect.Parameter.empty
"""Stands for "no default" and "no annotation"."""

_Kind = inspect.Parameter


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. `annotation` is evaluated and keeps `Annotated` metadata; `NOTHING` where there is none."""

    name: str
    annotation: Any
    default: Any = NOTHING

    @property
    def bare(self) -> Any:
        """The annotation without `Annotated`."""
        return get_args(self.annotation)[0] if get_origin(self.annotation) is Annotated else self.annotation

    @property
    def marks(self) -> tuple[Any, ...]:
        """What stands in `Annotated` beside the type."""
        return get_args(self.annotation)[1:] if get_origin(self.annotation) is Annotated else ()


@dataclass(frozen=True, slots=True)
class Signature:
    """A function's parameters in order, and its return annotation."""

    name: str
    parameters: tuple[Parameter, ...]
    returns: Any = NOTHING


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong with a function, without its place."""

    what: str
    fix: str


def name_of(function: Callable[..., Any]) -> str:
    """A function's name for people; callable objects have only their class's."""
    return getattr(function, "__name__", None) or type(function).__name__


def read(function: Callable[..., Any]) -> tuple[Signature, tuple[Flaw, ...]]:
    """The signature of a function.

    Returns:
        What could be read, and what is wrong with the rest; parameters with a flaw are left out.
    """
    name = name_of(function)
    plain = inspect.signature(function)
    flaws: list[Flaw] = []
    parameters = []
    for parameter in plain.parameters.values():
        found = _evaluate(function, parameter.annotation)
        flaw = found if isinstance(found, Flaw) else _shape(name, parameter)
        if flaw is not None:
            flaws.append(Flaw(flaw.what.replace("{}", f"parameter {parameter.name!r} of {name}()"), flaw.fix))
        else:
            parameters.append(Parameter(parameter.name, found, parameter.default))
    returns = _evaluate(function, plain.return_annotation)
    if isinstance(returns, Flaw):
        flaws.append(Flaw(returns.what.replace("{}", f"the return type of {name}()"), returns.fix))
        returns = NOTHING
    return Signature(name, tuple(parameters), returns), tuple(flaws)


def _shape(function: str, parameter: inspect.Parameter) -> Flaw | None:
    """What of a parameter cannot be filled by name."""
    match parameter.kind:
        case _Kind.VAR_POSITIONAL:
            return Flaw(f"{function}() takes *{parameter.name}", f"write {parameter.name}: list[…]")
        case _Kind.VAR_KEYWORD:
            return Flaw(f"{function}() takes **{parameter.name}", f"write {parameter.name}: dict[str, …]")
        case _Kind.POSITIONAL_ONLY:
            return Flaw("{} is positional only, and arguments come by name", "remove the / from the parameters")
        case _:
            pass
    if parameter.name.startswith("_"):
        return Flaw("{} starts with an underscore", "rename it: clients give it by this name")
    return None


def _evaluate(function: Callable[..., Any], annotation: Any) -> Any:
    """An annotation as an object, also where the module postpones evaluation; a Flaw where it does not evaluate."""
    if not isinstance(annotation, str):
        return annotation
    names = _names(function)
    try:
        # The author's own annotation, evaluated as Python evaluates it without the future import.
        return eval(annotation, names)  # noqa: S307 - see above
    except Exception as error:  # noqa: BLE001 - anything can be written in an annotation
        return Flaw(
            f"the type hint {annotation!r} of {{}} cannot be evaluated: {type(error).__name__}: {error}",
            "import its names at the top of the module, not under TYPE_CHECKING nor inside a function",
        )


def _names(function: Callable[..., Any]) -> dict[str, Any]:
    """What a function's annotations may name: its module's globals, and what it takes from an enclosing function."""
    bare = inspect.unwrap(function)
    if isinstance(bare, type):
        return dict(vars(sys.modules[bare.__module__]))
    routine = bare if inspect.isroutine(bare) else type(bare).__call__
    target = getattr(routine, "__func__", routine)
    if not isinstance(target, types.FunctionType):
        return {}
    cells = zip(target.__code__.co_freevars, target.__closure__ or (), strict=False)
    # Types of an enclosing function are known only if the function itself uses them.
    return target.__globals__ | {name: cell.cell_contents for name, cell in cells if _filled(cell)}


def _filled(cell: types.CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def is_union(annotation: Any) -> bool:
    """Whether an annotation is a union, in either spelling."""
    return get_origin(annotation) in (typing.Union, types.UnionType)


def arms(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, or the annotation alone."""
    return get_args(annotation) if is_union(annotation) else (annotation,)


def names_class(annotation: Any, kinds: tuple[type, ...]) -> bool:
    """Whether an annotation is one of the classes, bare or subscripted."""
    origin = get_origin(annotation) or annotation
    return isinstance(origin, type) and issubclass(origin, kinds)
