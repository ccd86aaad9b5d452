"""The tools, the resource and the prompt of sales-report."""

from datetime import date
from decimal import Decimal
from importlib.resources import files
from typing import Annotated, Literal

from mcp_tool import Image, ToolError, prompt, resource, tool
from pydantic import BaseModel, Field

from sales_report import chart
from sales_report.sales import Group, MonthlySales, Sales, SalesError, by_month, moving_average, parse, trend


class CsvText(BaseModel):
    """Sales handed over as CSV."""

    kind: Literal["csv"] = "csv"
    text: str = Field(description="CSV with the columns date, product, region, units and revenue.")


class Sample(BaseModel):
    """The sample that comes with this server: a shop's sales from January 2024 to June 2025."""

    kind: Literal["sample"] = "sample"


Source = Annotated[CsvText | Sample, Field(discriminator="kind")]


class Bars(BaseModel):
    """A bar for each month."""

    kind: Literal["bars"] = "bars"
    stacked_by: Group | None = Field(default=None, description="Split every bar by this column.")


class Lines(BaseModel):
    """A line through the months, or one for each value of a column."""

    kind: Literal["lines"] = "lines"
    one_for_each: Group | None = Field(default=None, description="Draw one line for each value of this column.")


Style = Annotated[Bars | Lines, Field(discriminator="kind")]


class Month(BaseModel):
    """One month of a report."""

    month: date = Field(description="The first day of the month.")
    orders: int
    units: int
    revenue: Decimal
    change: float | None = Field(description="Growth of revenue since the month before: 0.1 is 10 %.")
    split: dict[str, Decimal] = Field(description="Revenue by value of the column asked for; empty without one.")


class Report(BaseModel):
    """Sales by month."""

    months: list[Month]
    revenue: Decimal = Field(description="Revenue of the whole period.")
    best_month: date
    trend: Decimal = Field(description="Growth of revenue per month along the straight line that fits best.")


@tool(read_only=True, idempotent=True)
def monthly_report(
    source: Source, *, first: date | None = None, last: date | None = None, group: Group | None = None
) -> Report:
    """Add up sales by month. Amounts are exact.

    Args:
        source: Where the sales come from.
        first: The first day to count; from the beginning without it.
        last: The last day to count; to the end without it.
        group: Split each month's revenue by this column.
    """
    monthly = _monthly(source, first, last, group)
    months = [_month(monthly, index) for index in range(len(monthly.months))]
    return Report(
        months=months,
        revenue=sum(monthly.revenue, start=Decimal(0)),
        best_month=max(months, key=lambda month: month.revenue).month,
        trend=trend(monthly.revenue),
    )


@tool(read_only=True, idempotent=True)
def monthly_chart(
    source: Source,
    *,
    first: date | None = None,
    last: date | None = None,
    style: Style | None = None,
    average: Annotated[int, Field(ge=0, le=24)] = 0,
    currency: Annotated[str, Field(max_length=12)] = "EUR",
) -> Image:
    """Draw revenue by month as a picture.

    Args:
        source: Where the sales come from.
        first: The first day to count; from the beginning without it.
        last: The last day to count; to the end without it.
        style: Bars, stacked by a column or not, or lines; plain bars without it.
        average: Add the moving average over so many months; 0 draws none.
        currency: What the axis says.
    """
    chosen = style or Bars()
    group = chosen.stacked_by if isinstance(chosen, Bars) else chosen.one_for_each
    monthly = _monthly(source, first, last, group)
    series = [chart.Series(name, [float(value) for value in values]) for name, values in monthly.split.items()]
    series = series or [chart.Series("Revenue", [float(value) for value in monthly.revenue])]
    named = f"{average}-month average" + (" of the total" if group and isinstance(chosen, Lines) else "")
    averages = [chart.Series(named, moving_average(monthly.revenue, average))] if average else []
    period = " to ".join(dict.fromkeys(f"{month:%B %Y}" for month in (monthly.months[0], monthly.months[-1])))
    return Image(
        data=chart.draw(
            chart.Chart(
                title=f"Revenue by {group or 'month'}, {period}",
                unit=currency,
                months=monthly.months,
                bars=series if isinstance(chosen, Bars) else (),
                lines=averages if isinstance(chosen, Bars) else [*series, *averages],
            )
        ),
        format="png",
    )


@resource("sales://sample.csv", mime_type="text/csv")
def sample_csv() -> str:
    """Return the sample sales as CSV."""
    return files("sales_report").joinpath("sample.csv").read_text(encoding="utf-8")


@prompt(title="Review of a quarter")
def quarterly_review(year: str, quarter: Literal["1", "2", "3", "4"]) -> str:
    """Ask for a short review of a quarter's sales.

    Args:
        year: The year in four digits.
        quarter: The quarter of the year.
    """
    return (
        f"Write a review of quarter {quarter} of {year} in five sentences for the managers of the shop. Take the "
        "figures from `monthly_report`, grouped by product, compare them with the quarter before, and show "
        "`monthly_chart` with bars stacked by product."
    )


def _monthly(source: CsvText | Sample, first: date | None, last: date | None, group: Group | None) -> MonthlySales:
    try:
        return by_month(_sales(source).between(first, last), group)
    except SalesError as error:
        raise ToolError(str(error)) from error


def _sales(source: CsvText | Sample) -> Sales:
    match source:
        case CsvText(text=text):
            return parse(text)
        case Sample():
            return parse(sample_csv())


def _month(monthly: MonthlySales, index: int) -> Month:
    before = monthly.revenue[index - 1] if index else Decimal(0)
    return Month(
        month=monthly.months[index],
        orders=monthly.orders[index],
        units=monthly.units[index],
        revenue=monthly.revenue[index],
        change=round(float(monthly.revenue[index] / before - 1), 4) if before > 0 else None,
        split={name: values[index] for name, values in monthly.split.items()},
    )
