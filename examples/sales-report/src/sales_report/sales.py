"""Read sales from CSV and add them up by month.

Money is kept as whole cents in 64-bit integers, so that sums are exact, and leaves this module as `Decimal`.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

COLUMNS = ("date", "product", "region", "units", "revenue")
MAX_ROWS = 200_000
_CENT = Decimal("0.01")


class SalesError(ValueError):
    """Something in the data that the person who sent it can mend; the message says where."""


class Group(StrEnum):
    """A column by which revenue can be split."""

    PRODUCT = "product"
    REGION = "region"


@dataclass(frozen=True)
class Sales:
    """Sales as columns of one length, in the order of the file."""

    days: NDArray[np.datetime64]
    units: NDArray[np.int64]
    cents: NDArray[np.int64]
    groups: dict[Group, NDArray[np.str_]]

    def between(self, first: date | None, last: date | None) -> "Sales":
        """Return the sales from `first` to `last`, both included; None leaves that end open."""
        kept = np.ones(len(self.days), dtype=bool)
        if first is not None:
            kept &= self.days >= np.datetime64(first)
        if last is not None:
            kept &= self.days <= np.datetime64(last)
        groups = {group: names[kept] for group, names in self.groups.items()}
        return Sales(self.days[kept], self.units[kept], self.cents[kept], groups)


@dataclass(frozen=True)
class MonthlySales:
    """Sums by month, without gaps: a month in which nothing was sold is there with zeros."""

    months: tuple[date, ...]
    orders: tuple[int, ...]
    units: tuple[int, ...]
    revenue: tuple[Decimal, ...]
    split: dict[str, tuple[Decimal, ...]]
    """Revenue by month for each value of the group, the value with the most revenue first."""


def parse(text: str) -> Sales:
    """Read CSV with the columns `date,product,region,units,revenue` in any order.

    Raises:
        SalesError: a column is missing, a value is not what its column holds, or there are too many rows.
    """
    reader = csv.DictReader(io.StringIO(text.lstrip("\ufeff")), strict=True)
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise SalesError(f"The first line must name the columns {', '.join(COLUMNS)}; missing: {', '.join(missing)}.")
    days: list[date] = []
    units: list[int] = []
    cents: list[int] = []
    names: dict[Group, list[str]] = {group: [] for group in Group}
    try:
        for row in reader:
            if len(days) == MAX_ROWS:
                raise SalesError(f"More than {MAX_ROWS} rows.")
            day, sold, revenue = _row(row, reader.line_num)
            days.append(day)
            units.append(sold)
            cents.append(revenue)
            for group, values in names.items():
                values.append(row[group.value].strip())
    except csv.Error as error:
        raise SalesError(f"Line {reader.line_num}: {error}.") from error
    return Sales(
        days=np.array(days, dtype="datetime64[D]"),
        units=np.array(units, dtype=np.int64),
        cents=np.array(cents, dtype=np.int64),
        groups={group: np.array(values, dtype=np.str_) for group, values in names.items()},
    )


def by_month(sales: Sales, group: Group | None = None) -> MonthlySales:
    """Add up `sales` by month, and by the values of `group` where one is given.

    Raises:
        SalesError: there is nothing to add up.
    """
    if len(sales.days) == 0:
        raise SalesError("There are no sales in this period.")
    month = sales.days.astype("datetime64[M]")
    months = np.arange(month.min(), month.max() + 1)
    place = (month - months[0]).astype(np.int64)
    split: dict[str, tuple[Decimal, ...]] = {}
    if group is not None:
        names, of_row = np.unique(sales.groups[group], return_inverse=True)
        table = np.zeros((len(names), len(months)), dtype=np.int64)
        np.add.at(table, (of_row, place), sales.cents)
        for index in np.argsort(-table.sum(axis=1), kind="stable"):
            split[str(names[index])] = _money(table[index])
    return MonthlySales(
        months=tuple(months.astype("datetime64[D]").tolist()),
        orders=tuple(np.bincount(place, minlength=len(months)).tolist()),
        units=tuple(_summed(place, sales.units, len(months)).tolist()),
        revenue=_money(_summed(place, sales.cents, len(months))),
        split=split,
    )


def trend(revenue: Sequence[Decimal]) -> Decimal:
    """Return by how much revenue grows each month along the straight line that fits best (least squares)."""
    if len(revenue) < 2:
        return Decimal("0.00")
    slope = np.polyfit(np.arange(len(revenue)), np.array(revenue, dtype=np.float64), deg=1)[0]
    return Decimal(float(slope)).quantize(_CENT)


def moving_average(revenue: Sequence[Decimal], months: int) -> list[float | None]:
    """Return the mean of each month and the `months` - 1 before it; None where there are too few."""
    values = np.array(revenue, dtype=np.float64)
    means: list[float | None] = [None] * min(months - 1, len(values))
    if len(values) >= months:
        means += np.convolve(values, np.full(months, 1 / months), mode="valid").tolist()
    return means


def _row(row: dict[str, str], line: int) -> tuple[date, int, int]:
    if None in row.values() or None in row:
        raise SalesError(f"Line {line}: not as many values as there are columns.")
    try:
        day = date.fromisoformat(row["date"].strip())
    except ValueError as error:
        raise SalesError(f"Line {line}: date {row['date']!r} is not a day such as 2025-01-31.") from error
    try:
        units = int(row["units"])
    except ValueError as error:
        raise SalesError(f"Line {line}: units {row['units']!r} is not a whole number.") from error
    cents = _cents(row["revenue"])
    if cents is None:
        raise SalesError(f"Line {line}: revenue {row['revenue']!r} is not an amount such as 1499.90.")
    return day, units, cents


def _cents(amount: str) -> int | None:
    """Return an amount as whole cents; None for what is no amount, or too large to be added up in 64 bits."""
    try:
        cents = Decimal(amount.strip()) * 100
    except InvalidOperation:
        return None
    if not cents.is_finite() or abs(cents) > 10**12 or cents != cents.to_integral_value():
        return None
    return int(cents)


def _summed(place: NDArray[np.int64], values: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    # Not bincount with weights: that adds up floats.
    sums = np.zeros(length, dtype=np.int64)
    np.add.at(sums, place, values)
    return sums


def _money(cents: NDArray[np.int64]) -> tuple[Decimal, ...]:
    return tuple(Decimal(amount).scaleb(-2) for amount in cents.tolist())
