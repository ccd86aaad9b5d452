"""Reading and adding up."""

from datetime import date
from decimal import Decimal

import pytest

from sales_report.sales import Group, SalesError, by_month, moving_average, parse, trend

CSV = """date,product,region,units,revenue
2025-01-31,Kettle,North,2,0.10
2025-01-01,Toaster,South,1,0.20
2025-03-15,Kettle,North,-1,-0.05
"""


def test_months_without_sales_are_there_and_sums_are_exact() -> None:
    monthly = by_month(parse(CSV))
    assert monthly.months == (date(2025, 1, 1), date(2025, 2, 1), date(2025, 3, 1))
    assert monthly.orders == (2, 0, 1)
    assert monthly.units == (3, 0, -1)
    assert monthly.revenue == (Decimal("0.30"), Decimal("0.00"), Decimal("-0.05"))


def test_ten_thousand_cents_are_a_hundred() -> None:
    rows = "2025-01-01,Kettle,North,1,0.01\n" * 10_000
    assert by_month(parse("date,product,region,units,revenue\n" + rows)).revenue == (Decimal("100.00"),)


def test_the_group_with_the_most_revenue_stands_first() -> None:
    monthly = by_month(parse(CSV), Group.PRODUCT)
    assert list(monthly.split) == ["Toaster", "Kettle"]
    assert monthly.split["Kettle"] == (Decimal("0.10"), Decimal("0.00"), Decimal("-0.05"))


def test_a_period_includes_its_ends() -> None:
    sales = parse(CSV)
    assert by_month(sales.between(date(2025, 1, 31), date(2025, 3, 15))).orders == (1, 0, 1)
    with pytest.raises(SalesError, match="no sales"):
        by_month(sales.between(date(2026, 1, 1), None))


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("2025-02-30,Kettle,North,1,1", "Line 2: date '2025-02-30'"),
        ("2025-01-01,Kettle,North,one,1", "Line 2: units 'one'"),
        ("2025-01-01,Kettle,North,1,1.005", "Line 2: revenue '1.005'"),
        ("2025-01-01,Kettle,North,1,NaN", "Line 2: revenue 'NaN'"),
        ("2025-01-01,Kettle,North,1,1e30", "Line 2: revenue '1e30'"),
        ("2025-01-01,Kettle,North,1", "Line 2: not as many values"),
        ("2025-01-01,Kettle,North,1,1,1", "Line 2: not as many values"),
    ],
)
def test_a_problem_names_its_line(row: str, problem: str) -> None:
    with pytest.raises(SalesError, match=problem):
        parse(f"date,product,region,units,revenue\n{row}\n")


def test_a_missing_column_is_named() -> None:
    with pytest.raises(SalesError, match=r"missing: region, revenue\."):
        parse("date,product,units\n")


def test_columns_may_stand_in_any_order_behind_a_byte_order_mark() -> None:
    swapped = "\ufeffrevenue,units,region,product,date\n9.90,1,North,Kettle,2025-01-01\n"
    assert by_month(parse(swapped)).revenue == (Decimal("9.90"),)


def test_trend_and_moving_average() -> None:
    revenue = [Decimal(10), Decimal(20), Decimal(30), Decimal(40)]
    assert trend(revenue) == Decimal("10.00")
    assert trend(revenue[:1]) == Decimal("0.00")
    assert moving_average(revenue, 3) == [None, None, pytest.approx(20.0), pytest.approx(30.0)]
    assert moving_average(revenue, 9) == [None] * 4
