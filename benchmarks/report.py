"""What one figure says, and how the table is drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.measure import Spread


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    ``value`` is judged by its median against ``bar``, the greatest allowed, or with ``least`` the least allowed;
    ``None`` where a figure is only stated.
    ``note`` holds the seconds behind a ratio, or a share by stage.
    """

    name: str
    unit: str
    value: Spread
    bar: float | None
    note: str = ""
    least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the median keeps the bar; ``None`` without a bar."""
        if self.bar is None:
            return None
        return self.value.median >= self.bar if self.least else self.value.median <= self.bar

    def as_json(self) -> dict[str, object]:
        """The figure as plain data."""
        value = {"low": self.value.low, "median": self.value.median, "high": self.value.high}
        judged = {"bar": self.bar, "least": self.least, "met": self.met}
        return {"name": self.name, "unit": self.unit, **value, **judged, "note": self.note}


HEADER = ("figure", "median (least-most)", "bar", "", "of what")


def line(figure: Figure) -> tuple[str, str, str, str, str]:
    """The figure's cells, under :data:`HEADER`."""
    bar = "" if figure.bar is None else f"{'>=' if figure.least else '<='} {figure.bar:g}{figure.unit}"
    met = {None: "", True: "met", False: "MISSED"}[figure.met]
    return figure.name, f"{figure.value}{figure.unit}", bar, met, figure.note


def table(figures: Iterable[Figure]) -> str:
    """All figures side by side."""
    cells = [HEADER, *map(line, figures)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEADER))]
    rows = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)
    return "\n".join(rows)


def milliseconds(spread: Spread) -> str:
    """A spread of seconds for a note."""
    return f"{_ms(spread.median)} ms"


def _ms(seconds: float) -> str:
    return str(math.floor(seconds * 1000 + 0.5))
