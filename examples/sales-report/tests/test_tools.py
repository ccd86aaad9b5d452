"""The tools, called in-process through everything that a client's call goes through."""

import base64
import io
from typing import Any

import pytest
from mcp_tool import ToolError
from mcp_tool.testing import call
from PIL import Image as Picture

from sales_report.chart import HEIGHT, WIDTH
from sales_report.tools import monthly_chart, monthly_report, quarterly_review, sample_csv

CSV = """date,product,region,units,revenue
2025-01-05,Kettle,North,2,80.00
2025-02-07,Kettle,South,1,40.00
2025-02-09,Toaster,North,2,109.00
"""


def csv(text: str = CSV) -> dict[str, str]:
    return {"kind": "csv", "text": text}


def picture(answer: list[dict[str, Any]]) -> Picture.Image:
    (block,) = answer
    assert (block["type"], block["mimeType"]) == ("image", "image/png")
    return Picture.open(io.BytesIO(base64.b64decode(block["data"])))


def test_a_report() -> None:
    assert call(monthly_report, source=csv(), group="product") == {
        "months": [
            {
                "month": "2025-01-01",
                "orders": 1,
                "units": 2,
                "revenue": "80.00",
                "change": None,
                "split": {"Toaster": "0.00", "Kettle": "80.00"},
            },
            {
                "month": "2025-02-01",
                "orders": 2,
                "units": 3,
                "revenue": "149.00",
                "change": 0.8625,
                "split": {"Toaster": "109.00", "Kettle": "40.00"},
            },
        ],
        "revenue": "229.00",
        "best_month": "2025-02-01",
        "trend": "69.00",
    }


def test_a_part_of_the_sample() -> None:
    answer = call(monthly_report, source={"kind": "sample"}, first="2025-01-15", last="2025-03-31")
    assert [month["month"] for month in answer["months"]] == ["2025-01-01", "2025-02-01", "2025-03-01"]
    whole = call(monthly_report, source={"kind": "sample"})
    assert len(whole["months"]) == 18
    assert sum(month["orders"] for month in whole["months"]) == sample_csv().count("\n") - 1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"source": csv("date\n")}, "missing: product"),
        ({"source": csv(CSV + "soon,Kettle,North,1,1\n")}, "Line 5: date 'soon'"),
        ({"source": csv(), "first": "2026-01-01"}, "no sales in this period"),
        ({"source": csv(), "first": "January"}, "first"),
        ({"source": {"kind": "excel"}}, "source"),
        ({"source": {"kind": "csv"}}, "text"),
        ({}, "source"),
    ],
)
def test_what_the_caller_can_mend_is_said(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(ToolError, match=problem):
        call(monthly_report, **arguments)


@pytest.mark.parametrize(
    "style",
    [
        None,
        {"kind": "bars"},
        {"kind": "bars", "stacked_by": "region"},
        {"kind": "lines"},
        {"kind": "lines", "one_for_each": "product"},
    ],
)
def test_every_style_draws_a_picture_of_its_own(style: dict[str, str] | None) -> None:
    drawn = picture(call(monthly_chart, source={"kind": "sample"}, style=style, average=3, currency="€"))
    assert (drawn.format, drawn.size) == ("PNG", (WIDTH, HEIGHT))
    plain = picture(call(monthly_chart, source={"kind": "sample"}))
    assert drawn.convert("RGB").tobytes() != plain.convert("RGB").tobytes()


def test_a_style_takes_only_what_belongs_to_it() -> None:
    with pytest.raises(ToolError, match="style"):
        call(monthly_chart, source=csv(), style={"kind": "pie"})


def test_the_prompt() -> None:
    assert "quarter 2 of 2025" in quarterly_review("2025", "2")
