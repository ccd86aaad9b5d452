"""The picture: what it shows is read back from its pixels."""

import io
from collections import Counter
from datetime import date

import numpy as np
import pytest
from PIL import Image as Picture

from sales_report.chart import HEIGHT, WIDTH, Chart, Series, draw, short, ticks

BLUE, ORANGE = (0x00, 0x72, 0xB2), (0xE6, 0x9F, 0x00)
MONTHS = [date(2025, month, 1) for month in (1, 2, 3, 4)]


def picture(**parts: list[Series]) -> Picture.Image:
    png = draw(Chart(title="Title", unit="EUR", months=MONTHS, **parts))
    assert png.startswith(b"\x89PNG\r\n")
    return Picture.open(io.BytesIO(png)).convert("RGB")


def pixels_of(image: Picture.Image, colour: tuple[int, int, int], top: int = 80) -> dict[int, int]:
    """Count the pixels near a colour in each column that has some, below the legend."""
    near = (np.abs(np.asarray(image, dtype=int)[top:] - colour) < 16).all(axis=2).sum(axis=0)
    return {int(column): int(near[column]) for column in np.nonzero(near)[0]}


def test_a_bar_is_as_high_as_its_value() -> None:
    heights = [count for _, count in sorted(pixels_of(picture(bars=[Series("a", [1, 2, 3, 4])]), BLUE).items())]
    levels = sorted(level for level, columns in Counter(heights).items() if columns > 20)
    assert len(levels) == 4
    assert levels == pytest.approx([levels[0] * factor for factor in (1, 2, 3, 4)], abs=3)


def test_stacked_bars_stand_on_each_other() -> None:
    image = picture(bars=[Series("a", [1, 1, 1, 1]), Series("b", [2, 2, 2, 2])])
    blue, orange = pixels_of(image, BLUE), pixels_of(image, ORANGE)
    column = max(blue, key=lambda x: blue[x])
    assert orange[column] == pytest.approx(2 * blue[column], abs=3)


def test_no_value_no_bar() -> None:
    assert sum(pixels_of(picture(bars=[Series("a", [None, 0, None, 0])]), BLUE).values()) == 0


@pytest.mark.parametrize("values", [[], [0.0], [5.0], [-5.0, 5.0], [None, None]])
def test_any_values_can_be_drawn(values: list[float | None]) -> None:
    months = MONTHS[:2][: len(values)]
    chart = Chart("T", "EUR", months, bars=[Series("a", values)], lines=[Series("b", values)])
    assert Picture.open(io.BytesIO(draw(chart))).size == (WIDTH, HEIGHT)


def test_a_long_legend_is_cut_off_within_the_picture() -> None:
    many = [Series(f"A rather long name {index}", [1.0] * 4) for index in range(20)]
    assert picture(bars=many).size == (WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0, 16474, [0, 5000, 10000, 15000, 20000]),
        (-30, 70, [-40, -20, 0, 20, 40, 60, 80]),
        (3, 4, [0, 1, 2, 3, 4]),
    ],
)
def test_ticks_are_round_and_span_everything(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (950, "950"), (1500, "1.5k"), (2_000_000, "2M"), (-2500, "−2.5k"), (3e9, "3G")]
)
def test_short_numbers(value: float, text: str) -> None:
    assert short(value) == text
