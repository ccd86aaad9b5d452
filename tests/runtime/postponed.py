"""Some of the signatures, in a module that postpones the evaluation of annotations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, Field


class Node(BaseModel):
    value: int
    next: Node | None = None


@dataclass
class Order:
    amount: Decimal
    placed: datetime | None = None


class Card(BaseModel):
    kind: Literal["card"]


class Cash(BaseModel):
    kind: Literal["cash"]


def chain(node: Node, *, limit: Annotated[int, Field(ge=1)] = 3) -> Node:
    """d"""
    return node


def pay(order: Order, by: Annotated[Card | Cash, Field(discriminator="kind")], größe: set[int]) -> list[Order]:  # noqa: PLC2401 - names beyond ASCII are the point
    """d"""
    return [order]


FUNCTIONS = (chain, pay)
