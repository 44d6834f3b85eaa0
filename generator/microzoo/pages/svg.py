"""SVG text from numbers: elements with escaped text, scales with ticks, and the frame of a chart.

Colours, line widths and fonts are the style sheet's (classes `mz-*`): a drawing follows light and dark, and prints.
Coordinates are pixels of the view box, x to the right, y downwards, rounded to 0.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from markupsafe import Markup, escape

Attribute = str | float | int | None


def element(tag: str, *children: str, **attributes: Attribute) -> Markup:
    """One element. Attribute names: `class_` gives class, other underscores become hyphens; None leaves the attribute out.
    Children and values are escaped unless they are Markup.
    """
    written = "".join([f' {_name(name)}="{_attribute(value)}"' for name, value in attributes.items() if value is not None])
    inside = "".join([escape(child) for child in children])
    # The one place where text becomes markup: everything in it was escaped above.
    return Markup(f"<{tag}{written}>{inside}</{tag}>" if inside else f"<{tag}{written}/>")  # noqa: S704


def drawing(
    width: float, height: float, title: str, description: str, *children: str, class_: str = "", role: str = "img"
) -> Markup:
    """A whole drawing that scales with its column. `title` and `description` are what a screen reader says.

    role: "img", or "group" where the drawing holds links.
    """
    return element(
        "svg",
        element("title", title),
        element("desc", description),
        *children,
        class_=f"mz-svg {class_}".strip(),
        viewBox=f"0 0 {_value(width)} {_value(height)}",
        role=role,
        style=f"max-width:{_value(width)}px",
    )


def text(x: float, y: float, content: str, class_: str | None = None, anchor: str | None = None) -> Markup:
    """Text with its baseline at y. anchor: start, middle or end."""
    return element("text", content, x=x, y=y, class_=class_, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(d: str, class_: str) -> Markup:
    """A path."""
    return element("path", d=d, class_=class_)


def xy(x: float, y: float) -> str:
    """A pair of coordinates in a path."""
    return f"{_value(x)} {_value(y)}"


@dataclass(frozen=True)
class Scale:
    """From values to pixels: `low` lies at `start`, `high` at `end`; logarithmic where `log`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __post_init__(self) -> None:
        assert self.low < self.high and not (self.log and self.low <= 0), self

    def __call__(self, value: float) -> float:
        """Pixel of a value; values beyond the ends are drawn on them."""
        clipped = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(clipped / self.low) / math.log(self.high / self.low)
        else:
            share = (clipped - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


@dataclass(frozen=True)
class Axis:
    """A scale, where its ticks are, how they are written, and what it shows."""

    scale: Scale
    ticks: tuple[float, ...]
    written: Callable[[float], str]
    label: str


def linear_ticks(low: float, high: float, most: int = 6) -> tuple[float, ...]:
    """Multiples of 1, 2 or 5 times a power of ten, from the last one at or below `low` to the first at or above `high`."""
    assert low < high
    raw = (high - low) / max(most - 2, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(round(index * step, 12) for index in range(first, last + 1))


def octaves(low: float, high: float) -> tuple[float, ...]:
    """Powers of two from the last one at or below `low` > 0 to the first above it that is at or above `high`."""
    assert 0 < low <= high
    first, last = math.floor(math.log2(low) + 1e-9), math.ceil(math.log2(high) - 1e-9)
    return tuple(float(2**exponent) for exponent in range(first, max(last, first + 1) + 1))


def frame(x: Axis, y: Axis) -> Markup:
    """Grid, axes, ticks and labels of a chart. Ticks of x that would touch are left without their text."""
    left, right, top, bottom = x.scale.start, x.scale.end, y.scale.end, y.scale.start
    parts = []
    for tick in y.ticks:
        at = y.scale(tick)
        parts += [line(left, at, right, at, "mz-grid"), text(left - 8, at + 4, y.written(tick), "mz-tick", "end")]
    free = -math.inf
    for tick in x.ticks:
        at, words = x.scale(tick), x.written(tick)
        parts.append(line(at, bottom, at, bottom + 5, "mz-axis"))
        half = 3.6 * len(words)
        if at - half > free:
            parts.append(text(at, bottom + 19, words, "mz-tick", "middle"))
            free = at + half + 4
    parts += [line(left, bottom, right, bottom, "mz-axis"), text((left + right) / 2, bottom + 38, x.label, "mz-label", "middle")]
    parts.append(text(left - 56, top - 18, y.label, "mz-label", "start"))
    return element("g", *parts)


@cache
def _name(name: str) -> str:
    return "class" if name == "class_" else name if name == "viewBox" else name.replace("_", "-")


def _attribute(value: Attribute) -> str:
    return _value(value) if isinstance(value, float | int) else escape(value)


def _value(value: Attribute) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return str(value)
