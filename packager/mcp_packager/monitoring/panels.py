"""Grafana's panels as data: graphs, single figures and rows, laid out on its grid of 24 columns.

The forms are those of ``@grafana/schema``: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS: Final = 24
_ROW_HEIGHT: Final = 1


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and how a series is called; ``{{label}}`` stands for its label. ``at_once``: its last value alone."""

    expr: str
    legend: str
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel before it has its place. ``unit`` is one of Grafana's, ``width`` and ``height`` are of its grid.

    ``figure`` shows the last values as numbers, otherwise they are drawn over time.
    """

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    width: int = 6
    height: int = 8
    figure: bool = False
    stacked: bool = False
    ceiling: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A row with its panels. A folded one asks nothing until it is opened."""

    title: str
    panels: tuple[Panel, ...]
    folded: bool = False


@dataclass(slots=True)
class _Pen:
    """Where the next panel goes, and its number."""

    y: int = 0
    number: int = 0
    drawn: list[dict[str, Any]] = field(default_factory=list)

    def next_number(self) -> int:
        self.number += 1
        return self.number


def shown(text: str) -> str:
    """A text that Grafana shows as it stands: in titles it would put its variables in place of ``$name``."""
    return text.replace("$", "$\u2060").replace("[[", "[\u2060[")


def laid_out(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The dashboard's ``panels``, from top to bottom."""
    pen = _Pen()
    for row in rows:
        number, top = pen.next_number(), pen.y
        inside = _placed(row.panels, top + _ROW_HEIGHT, pen)
        pen.y = top + _ROW_HEIGHT if row.folded else _bottom(inside, top + _ROW_HEIGHT)
        pen.drawn.append(
            {
                "type": "row",
                "id": number,
                "title": shown(row.title),
                "collapsed": row.folded,
                "gridPos": {"h": _ROW_HEIGHT, "w": _COLUMNS, "x": 0, "y": top},
                "panels": inside if row.folded else [],
            }
        )
        pen.drawn.extend([] if row.folded else inside)
    return pen.drawn


def _placed(panels: Sequence[Panel], top: int, pen: _Pen) -> list[dict[str, Any]]:
    """From left to right, a new line where the next one does not fit."""
    placed = []
    x, y, tallest = 0, top, 0
    for panel in panels:
        if x + panel.width > _COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        place = {"h": panel.height, "w": panel.width, "x": x, "y": y}
        placed.append(_panel(panel, pen.next_number(), place))
        x, tallest = x + panel.width, max(tallest, panel.height)
    return placed


def _bottom(placed: Sequence[dict[str, Any]], top: int) -> int:
    return max((panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in placed), default=top)


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    bounds = {"min": 0} if panel.ceiling is None else {"min": 0, "max": panel.ceiling}
    return {
        "type": "stat" if panel.figure else "timeseries",
        "id": number,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": place,
        "targets": [_target(query, index) for index, query in enumerate(panel.queries)],
        "fieldConfig": {
            "defaults": {"unit": panel.unit, **bounds, "custom": {} if panel.figure else _drawn(stacked=panel.stacked)},
            "overrides": [],
        },
        "options": _FIGURE if panel.figure else _GRAPH,
    }


def _target(query: Query, index: int) -> dict[str, Any]:
    return {
        "refId": chr(ord("A") + index),
        "datasource": DATASOURCE,
        "expr": query.expr,
        "legendFormat": query.legend,
        "instant": query.at_once,
        "range": not query.at_once,
        "editorMode": "code",
    }


def _drawn(*, stacked: bool) -> dict[str, Any]:
    return {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 20 if stacked else 5,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
    }


_GRAPH: Final = {
    "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
    "tooltip": {"mode": "multi", "sort": "desc"},
}
_FIGURE: Final = {
    "colorMode": "none",
    "graphMode": "none",
    "justifyMode": "auto",
    "orientation": "auto",
    "percentChangeColorMode": "standard",
    "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    "showPercentChange": False,
    "textMode": "value_and_name",
    "wideLayout": True,
}
