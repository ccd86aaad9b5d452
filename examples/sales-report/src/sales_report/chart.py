"""Draw a chart of monthly values as a PNG, with Pillow alone.

Everything is drawn at twice the size and scaled down, which makes the edges smooth.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

WIDTH, HEIGHT = 960, 540
_SCALE = 2
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 28, 92, 56
_INK, _SOFT, _GRID, _PAPER = "#1f2933", "#616e7c", "#e4e7eb", "#ffffff"
# Distinct for readers who do not tell red from green, and dark enough on white (after Okabe and Ito, 2008).
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6d31", "#7f7f7f")
_LINE_COLOURS = (_INK, "#d55e00", "#009e73", "#cc79a7")


@dataclass(frozen=True)
class Series:
    """One value for each month; None leaves a gap."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Chart:
    """What to draw: bars stacked on each other, and lines over them."""

    title: str
    unit: str
    months: Sequence[date]
    bars: Sequence[Series] = field(default=())
    lines: Sequence[Series] = field(default=())


def draw(chart: Chart) -> bytes:
    """Return `chart` as the bytes of a PNG of 960 by 540 pixels."""
    picture = Picture.new("RGB", (WIDTH * _SCALE, HEIGHT * _SCALE), _PAPER)
    _Canvas(ImageDraw.Draw(picture), chart).draw()
    small = picture.resize((WIDTH, HEIGHT), Picture.Resampling.LANCZOS)
    out = io.BytesIO()
    # A palette of 128 colours is enough for a chart and makes the file a third as large.
    small.quantize(128, dither=Picture.Dither.NONE).save(out, format="PNG", optimize=True)
    return out.getvalue()


def ticks(lowest: float, highest: float, about: int = 5) -> list[float]:
    """Return round values that span `lowest` to `highest`, zero among them."""
    low, high = min(lowest, 0.0), max(highest, 0.0)
    rough = (high - low) / about or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    return [index * step for index in range(math.floor(low / step), math.ceil(high / step) + 1)]


def short(value: float) -> str:
    """Write a number for an axis: 1500 is `1.5k`, 2000000 is `2M`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}".replace("-", "−")
    return f"{value:g}".replace("-", "−")


class _Canvas:
    """Draws one chart; positions are in pixels of the finished picture."""

    def __init__(self, pen: ImageDraw.ImageDraw, chart: Chart) -> None:
        self._pen = pen
        self._chart = chart
        values = [value for series in chart.lines for value in series.values if value is not None]
        stacked = [_stack(chart.bars, index) for index in range(len(chart.months))]
        self._ticks = ticks(
            min([*values, *(low for low, _ in stacked)], default=0.0),
            max([*values, *(high for _, high in stacked)], default=0.0),
        )
        if len(self._ticks) < 2:
            self._ticks.append(self._ticks[-1] + 1)

    def draw(self) -> None:
        self._text(_LEFT, 30, self._chart.title, size=22, colour=_INK, anchor="lm")
        self._legend()
        self._grid()
        for index in range(len(self._chart.months)):
            self._bar(index)
        for position, series in enumerate(self._chart.lines):
            self._line(series, _LINE_COLOURS[position % len(_LINE_COLOURS)])
        self._month_labels()

    def _grid(self) -> None:
        self._text(_LEFT - 12, _TOP - 18, self._chart.unit, size=13, colour=_SOFT, anchor="rm")
        for value in self._ticks:
            y = self._y(value)
            self._stroke([(_LEFT, y), (WIDTH - _RIGHT, y)], _SOFT if value == 0 else _GRID, 1.5 if value == 0 else 1)
            self._text(_LEFT - 12, y, short(value), size=13, colour=_SOFT, anchor="rm")

    def _legend(self) -> None:
        bars = [(series, 12, _COLOURS[position % len(_COLOURS)]) for position, series in enumerate(self._chart.bars)]
        lines = [
            (series, 3, _LINE_COLOURS[position % len(_LINE_COLOURS)])
            for position, series in enumerate(self._chart.lines)
        ]
        x = float(_LEFT)
        for series, height, colour in [*bars, *lines]:
            width = self._font(14).getlength(series.name) / _SCALE
            if x + 18 + width > WIDTH - _RIGHT:
                self._text(x, 62, "…", size=14, colour=_SOFT, anchor="lm")
                return
            self._box(x, 62 - height / 2, x + 12, 62 + height / 2, colour)
            self._text(x + 18, 62, series.name, size=14, colour=_INK, anchor="lm")
            x += 18 + width + 22

    def _bar(self, index: int) -> None:
        room = self._step()
        left = _LEFT + index * room + room * 0.18
        up = down = 0.0
        for position, series in enumerate(self._chart.bars):
            value = series.values[index] or 0.0
            start = up if value >= 0 else down
            y = sorted((self._y(start), self._y(start + value)))
            if value:
                self._box(left, y[0], left + room * 0.64, y[1], _COLOURS[position % len(_COLOURS)])
            if value >= 0:
                up += value
            else:
                down += value

    def _line(self, series: Series, colour: str) -> None:
        points = [
            (_LEFT + (index + 0.5) * self._step(), self._y(value))
            for index, value in enumerate(series.values)
            if value is not None
        ]
        if len(points) > 1:
            self._stroke(points, colour, 3)
        for x, y in points:
            self._pen.ellipse([(x - 4) * _SCALE, (y - 4) * _SCALE, (x + 4) * _SCALE, (y + 4) * _SCALE], fill=colour)

    def _month_labels(self) -> None:
        room = self._step()
        every = max(math.ceil(44 / room), 1)
        for index, month in enumerate(self._chart.months):
            x = _LEFT + (index + 0.5) * room
            if index % every == 0:
                self._text(x, HEIGHT - _BOTTOM + 18, f"{month:%b}", size=13, colour=_SOFT, anchor="mm")
            if index == 0 or month.month == 1:
                self._text(x, HEIGHT - _BOTTOM + 38, f"{month:%Y}", size=13, colour=_INK, anchor="mm")

    def _step(self) -> float:
        return (WIDTH - _LEFT - _RIGHT) / max(len(self._chart.months), 1)

    def _y(self, value: float) -> float:
        low, high = self._ticks[0], self._ticks[-1]
        return HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)

    def _text(self, x: float, y: float, text: str, *, size: int, colour: str, anchor: str) -> None:
        self._pen.text((x * _SCALE, y * _SCALE), text, fill=colour, font=self._font(size), anchor=anchor)

    def _font(self, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
        return ImageFont.load_default(size * _SCALE)

    def _stroke(self, points: Sequence[tuple[float, float]], colour: str, width: float) -> None:
        scaled = [(x * _SCALE, y * _SCALE) for x, y in points]
        self._pen.line(scaled, fill=colour, width=round(width * _SCALE), joint="curve")

    def _box(self, left: float, top: float, right: float, bottom: float, colour: str) -> None:
        corners = [left * _SCALE, top * _SCALE, right * _SCALE - 1, max(bottom * _SCALE - 1, top * _SCALE)]
        self._pen.rectangle(corners, fill=colour)


def _stack(bars: Sequence[Series], index: int) -> tuple[float, float]:
    """Return how far down and up the bars of one month reach."""
    values = [series.values[index] or 0.0 for series in bars]
    return sum(value for value in values if value < 0), sum(value for value in values if value > 0)
