"""Functions as authors write them, plain: what both this runtime and the SDK's `MCPServer` make schemas of."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, Optional, TypedDict, Union
from uuid import UUID

from pydantic import BaseModel, Field, RootModel


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Point(BaseModel):
    """A point."""

    x: int
    y: int = Field(0, description="up")


class Tree(BaseModel):
    name: str
    children: "list[Tree]" = []


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str]


class Aliased(BaseModel):
    from_: str = Field(alias="from")


@dataclass
class Item:
    """An item."""

    name: str
    price: Decimal
    tags: list[str] = field(default_factory=list)
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Slotted:
    count: int
    unit: str = "kg"


class Plain:
    size: int
    label: str = "none"

    def __init__(self, size: int) -> None:
        self.size = size


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Partial(TypedDict, total=False):
    a: int
    b: Annotated[str, Field(description="bee")]


class Numbers(RootModel[list[int]]):
    pass


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


def no_arguments() -> str:
    """d"""
    return ""


def simple(a: int, b: str = "x", c: float = 1.5, d: bool = False) -> int:
    """d"""
    return a


def optional(a: int | None = None, b: Optional[str] = None, c: Union[int, str] = 1) -> str | None:  # noqa: UP007, UP045 - old spellings too
    """d"""
    return None


def described(a: Annotated[int, Field(ge=0, le=10, description="how many")], b: str = Field("q", min_length=1)) -> str:
    """d"""
    return ""


def keyword_only(*, first: int, second: str = "s") -> bool:
    """d"""
    return True


def enums(a: Colour, b: Level = Level.LOW, c: Literal["x", "y"] = "x") -> str:
    """d"""
    return ""


def model(p: Point, q: Point | None = None) -> Point:
    """d"""
    return p


def recursive(t: Tree) -> Tree:
    """d"""
    return t


def union(pet: Pet, other: list[Cat | Dog]) -> Cat | Dog:
    """d"""
    return pet


def discriminated() -> Pet:
    """d"""
    raise NotImplementedError


def dataclasses_(i: Item, many: list[Item]) -> Item:
    """d"""
    return i


def slotted() -> Slotted:
    """d"""
    return Slotted(1)


def plain_class() -> Plain:
    """d"""
    return Plain(1)


def times(a: datetime, b: date, c: timedelta, d: Decimal, e: UUID) -> list[datetime]:
    """d"""
    return []


def collections_(
    a: set[int], b: frozenset[str], c: tuple[int, str], d: dict[str, list[int]], e: Sequence[int]
) -> set[int]:
    """d"""
    return a


def mappings(a: dict[int, str]) -> dict[int, str]:
    """d"""
    return a


def string_keys() -> dict[str, Point]:
    """d"""
    return {}


def anything(a: Any, b: object = None) -> Any:
    """d"""
    return a


def typed_dict() -> Movie:
    """d"""
    return {"title": ""}


def partial() -> Partial:
    """d"""
    return {}


def aliased(a: Aliased) -> Aliased:
    """d"""
    return a


def reserved_names(json: str, copy: int, schema: bool, dict: str = "", model_dump: int = 1) -> str:  # noqa: A002 - reserved names are the point
    """d"""
    return ""


def groß(größe: int, naïve_ñame: str = "é") -> str:  # noqa: PLC2401 - names beyond ASCII are the point
    """d"""
    return ""


def returns_none() -> None:
    """d"""


def returns_nothing_said(a: int):  # type: ignore[no-untyped-def]  # the point
    """d"""


def returns_list() -> list[Point]:
    """d"""
    return []


def returns_bare_list() -> list:  # type: ignore[type-arg]  # the point
    """d"""
    return []


def returns_bare_dict() -> dict:  # type: ignore[type-arg]  # the point
    """d"""
    return {}


def annotated_result() -> Annotated[int, Field(description="the count", ge=0)]:
    """d"""
    return 1


def annotated_model() -> Annotated[Point, Field(description="the point")]:
    """d"""
    return Point(x=1)


def header(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})], n: int) -> str:
    """d"""
    return ""


def returns_datetime() -> datetime:
    """d"""
    raise NotImplementedError


def returns_decimal() -> Decimal:
    """d"""
    return Decimal(1)


def returns_path() -> Path:
    """d"""
    return Path()


def returns_enum() -> Colour:
    """d"""
    return Colour.RED


def returns_root_model() -> Numbers:
    """d"""
    return Numbers([1])


def unhinted(a, b=1) -> str:  # type: ignore[no-untyped-def]  # the point
    """d"""
    return ""


def typed_dict_argument(movie: Movie, more: list[Movie]) -> str:
    """d"""
    return ""


def with_arguments_described(text: str, limit: int = 3) -> str:
    """Shorten a text.

    Args:
        text: What to shorten.
        limit: How far.
    """
    return text[:limit]


SAME = (
    no_arguments, simple, optional, described, keyword_only, enums, model, recursive, union, discriminated,
    dataclasses_, times, collections_, mappings, string_keys, anything, typed_dict, partial,
    aliased, reserved_names, groß, returns_none, returns_nothing_said, returns_list, returns_bare_list,
    returns_bare_dict, annotated_result, annotated_model, header, plain_class,
)  # fmt: skip
"""What both publish alike, to the last key."""
