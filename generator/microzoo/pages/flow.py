"""Boxes with lines of text, and arrows between points: for drawings of how something works. Places enter, SVG leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from microzoo.pages.svg import element, path, text, xy

LINE, PADDING = 16.0, 10.0


@dataclass(frozen=True)
class Box:
    """A box with its upper left corner at (x, y). lines: the first is its title; class_: mz-weighted, mz-plain or mz-io."""

    x: float
    y: float
    width: float
    lines: tuple[str, ...]
    class_: str = "mz-plain"

    @property
    def height(self) -> float:
        return 2 * PADDING + LINE * len(self.lines) - 4

    @property
    def centre(self) -> float:
        return self.x + self.width / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def middle(self) -> float:
        return self.y + self.height / 2

    def drawn(self) -> Markup:
        rect = element("rect", x=self.x, y=self.y, width=self.width, height=self.height, rx=4, class_=f"mz-box {self.class_}")
        words = [
            text(self.x + PADDING, self.y + PADDING + 9 + LINE * number, line, "mz-box-title" if number == 0 else "mz-box-line")
            for number, line in enumerate(self.lines)
        ]
        return element("g", rect, *words)


def arrow(points: Sequence[tuple[float, float]], *, head: bool = True) -> Markup:
    """A line along the points, which go straight across or straight down, with a head at its end."""
    assert len(points) > 1
    d = "M" + "L".join(xy(*point) for point in points)
    if head:
        (x1, y1), (x2, y2) = points[-2:]
        across, down = (x2 > x1) - (x2 < x1), (y2 > y1) - (y2 < y1)
        assert bool(across) != bool(down), points
        back = [(x2 - 6 * across + 4 * side * down, y2 - 6 * down + 4 * side * across) for side in (-1, 1)]
        d += f"M{xy(*back[0])}L{xy(x2, y2)}L{xy(*back[1])}"
    return path(d, "mz-edge")
