"""What every chart is made of: marks by shape, ticks with their words, a legend, and a chart that is not yet placed anywhere.

Numbers enter, SVG leaves. Whatever tells series apart by colour tells them apart by shape or dash too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from microzoo.pages.svg import Axis, Scale, drawing, element, linear_ticks, octaves, path, text, xy
from microzoo.pages.text import grouped

WIDTH, LEFT, TOP, MARGIN_RIGHT, MARGIN_BOTTOM = 720.0, 64.0, 34.0, 20.0, 52.0
SERIES = 8
"""How many series have a shape and a colour of their own; further ones start again."""

# Unit shapes around (0, 0): circle, square, triangle, diamond, triangle down, plus, cross, bar.
SHAPES = (
    "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z",
    "M-4.5-4.5h9v9h-9z",
    "M0-6L5.5 4.5h-11z",
    "M0-6.5L6 0L0 6.5L-6 0z",
    "M0 6L5.5-4.5h-11z",
    "M-2-6h4v4h4v4h-4v4h-4v-4h-4v-4h4z",
    "M-6-3.5L-3.5-6L0-2.5L3.5-6L6-3.5L2.5 0L6 3.5L3.5 6L0 2.5L-3.5 6L-6 3.5L-2.5 0z",
    "M-3-6.5h6v13h-6z",
)
DASHES: tuple[str | None, ...] = (None, "7 3", "2 3", "9 3 2 3", "12 4", "5 2 1 2 1 2", "1 2", "15 3 3 3")
"""Of the lines of a series, by its index like SHAPES."""

Written = Literal["number", "bytes", "share", "count"]
"""How the ticks of an axis are written."""
LEGEND_LINE, _LETTER, _SWATCH, _GAP = 18.0, 8.4, 24.0, 16.0  # a letter's width leaves room for the larger text of narrow screens


@dataclass(frozen=True)
class Chart:
    """A chart by itself. title and words are what a screen reader says; parts: everything drawn, from (0, 0) to width, height."""

    width: float
    height: float
    title: str
    words: str
    parts: tuple[Markup, ...]
    class_: str

    def inline(self) -> Markup:
        """As an element of a page, styled by its style sheet; one line, so that Markdown leaves it as it is."""
        made = drawing(self.width, self.height, self.title, self.words, *self.parts, class_=self.class_)
        # Text and attributes are escaped already; a line break in them is a space to every reader.
        return Markup(" ".join(made.splitlines()))  # noqa: S704

    def placed(self, x: float, y: float) -> Markup:
        """As a group within a larger drawing, its upper left corner at (x, y)."""
        labelled = {"role": "img", "aria_label": f"{self.title}. {self.words}"}
        return element("g", *self.parts, transform=f"translate({xy(x, y)})", **labelled)


@dataclass(frozen=True)
class Key:
    """An entry of a legend: a drawing around (0, 0), at most 22 wide, and its words."""

    swatch: Markup
    words: str


def legend(keys: Sequence[Key], left: float, right: float, first: float) -> tuple[Markup, float]:
    """Entries in lines from `first` (the baseline of the first one) downwards; the drawing and the baseline of the last line."""
    parts, x, y = [], left, first
    for key in keys:
        width = _SWATCH + _LETTER * len(key.words)
        if x > left and x + width > right:
            x, y = left, y + LEGEND_LINE
        parts.append(element("g", key.swatch, transform=f"translate({xy(x + 11, y - 4)})"))
        parts.append(text(x + _SWATCH + 3, y, key.words, "mz-note"))
        x += width + _GAP
    return element("g", *parts), y


def heading(title: str, keys: Sequence[Key], left: float, right: float) -> tuple[Markup, float]:
    """Title and legend at the top of a chart; the drawing and the y at which the frame may begin."""
    shown, last = legend(keys, left, right, 38)
    return element("g", text(left, 14, title, "mz-title"), shown), (last if keys else 14) + 38


def mark(series: int, x: float, y: float, words: str, *, class_: str = "", grow: float = 1.0) -> Markup:
    """The shape of a series at a place, with its words."""
    kind = f"mz-mark mz-s{series % SERIES} {class_}".strip()
    shape = element("path", element("title", words), d=SHAPES[series % SERIES], class_=kind)
    scaled = "" if grow == 1.0 else f" scale({grow:g})"
    return element("g", shape, transform=f"translate({xy(x, y)}){scaled}")


def swatch(series: int, *, dashed: bool) -> Markup:
    """For a legend: the shape of a series, on a piece of its line where it has one."""
    shape = path(SHAPES[series % SERIES], f"mz-mark mz-s{series % SERIES}")
    return element("g", stroke("M-11 0H11", series, "mz-middle"), shape) if dashed else shape


def stroke(d: str, series: int, class_: str, *children: Markup) -> Markup:
    """A line in colour and dash of a series. class_: mz-run (thin), mz-middle (thick) or mz-stairs."""
    return element(
        "path", *children, d=d, class_=f"mz-line {class_} mz-c{series % SERIES}", stroke_dasharray=DASHES[series % SERIES]
    )


def steps(points: Sequence[tuple[float, float]], to: float | None = None) -> str:
    """A path along pixels (x, y) that keeps its y until the next x; to: how far the last one is drawn."""
    (x, y), *rest = points
    d = "M" + xy(x, y)
    for x, y in rest:
        d += f"H{xy(x, 0).split()[0]}V{xy(0, y).split()[1]}"
    return d if to is None else f"{d}H{xy(to, 0).split()[0]}"


def value_axis(low: float, high: float, written: Written, start: float, end: float, label: str, *, log: bool = False) -> Axis:
    """An axis that holds low to high, with its ticks. log: octaves of bytes, 1-2-5 of everything else; low must be > 0 then."""
    words: dict[Written, Callable[[float], str]] = {
        "number": tick_number,
        "bytes": tick_size,
        "share": tick_percent,
        "count": tick_count,
    }
    if log:
        ticks = octaves(low, high) if written == "bytes" else log_ticks(low, high)
    elif written == "share":
        ticks = share_ticks(low, high)
    elif written == "bytes":
        ticks = byte_ticks(high)
    else:
        reach = high if high > low else low + (abs(low) or 1.0)
        ticks = linear_ticks(low, reach, most=8)
    return Axis(Scale(ticks[0], ticks[-1], start, end, log=log), ticks, words[written], label)


def log_ticks(low: float, high: float) -> tuple[float, ...]:
    """1, 2 or 5 times a power of ten from the last one at or below `low` > 0 to the first above it that is at or above `high`."""
    assert 0 < low <= high, (low, high)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 2)
    ticks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    first = max(index for index, tick in enumerate(ticks) if tick <= low * (1 + 1e-9))
    last = next(index for index, tick in enumerate(ticks) if index > first and tick >= high * (1 - 1e-9))
    return tuple(float(f"{tick:.9g}") for tick in ticks[first : last + 1])


def share_ticks(low: float, high: float) -> tuple[float, ...]:
    """Ticks around shares, never beyond 0 and 1."""
    room = max(0.06 * (high - low), 0.004)
    ticks = linear_ticks(max(low - room, 0.0), min(high + room, 1.0))
    return tuple(tick for tick in ticks if 0 <= tick <= 1) if len(ticks) > 2 else ticks


def byte_ticks(high: float) -> tuple[float, ...]:
    """Zero and multiples of a power of two that reach `high`."""
    step = 1.0
    while step * 5 < high:
        step *= 2
    return tuple(step * index for index in range(int(-(-high // step)) + 1))


def tick_size(value: float) -> str:
    """0, "512 B", "64 KB", "1.5 MB"."""
    if value < 1024:
        return f"{value:g} B" if value else "0"
    return f"{value / 1024:g} KB" if value < 1024**2 else f"{value / 1024**2:g} MB"


def tick_percent(share: float) -> str:
    """0.925 -> "92.5 %"."""
    return f"{round(100 * share, 3):g} %"


def tick_number(value: float) -> str:
    """12000.0 -> "12,000"; 0.25 -> "0.25"."""
    return grouped(value) if value == round(value) else f"{value:g}"


def tick_count(value: float) -> str:
    """500.0 -> "500"; 200000.0 -> "200 K"; 5e6 -> "5 M"."""
    for factor, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if value >= factor:
            return f"{value / factor:g} {suffix}"
    return tick_number(value)
