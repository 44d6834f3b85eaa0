"""A scatter of many points as an SVG document of its own, in light and dark: one path, so that a thousand points stay small."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from microzoo.pages.chart import LEFT, MARGIN_BOTTOM, MARGIN_RIGHT, WIDTH, value_axis
from microzoo.pages.picture import DARK, LIGHT
from microzoo.pages.svg import Axis, element, frame, line, path, text, xy

HEIGHT, TOP, ROOM = 440.0, 92.0, 22.0
STYLE = """
.mz-svg text { font: 12px system-ui, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; fill: var(--mz-soft); }
.mz-svg .mz-title { font-size: 14px; font-weight: 600; fill: var(--mz-ink); }
.mz-svg .mz-label { font-size: 12.5px; fill: var(--mz-ink); }
.mz-paper { fill: var(--mz-paper); }
.mz-grid { stroke: var(--mz-line); }
.mz-axis { stroke: var(--mz-soft); }
.mz-front { stroke: var(--mz-s1); stroke-width: 1.5; }
.mz-dots { fill: none; stroke: var(--mz-s0); stroke-width: 4.5; stroke-linecap: round; stroke-opacity: 0.5; }
"""


def document(
    points: Sequence[tuple[float, float]], *, title: str, words: str, x_label: str, y_label: str, diagonal: bool = False
) -> str:
    """Points (x, y), all > 0, on two logarithmic axes; with the line of equality where `diagonal`, the axes alike then."""
    xs, ys = zip(*points, strict=True)
    if diagonal:
        xs = ys = (*xs, *ys)
    right, bottom, left = WIDTH - MARGIN_RIGHT, HEIGHT - MARGIN_BOTTOM, LEFT + ROOM
    x = value_axis(min(xs), max(xs), "number", left, right, x_label, log=True)
    y = value_axis(min(ys), max(ys), "number", bottom, TOP, y_label, log=True)
    x, y = _short(x), _short(y)
    dots = "".join(f"M{xy(x.scale(a), y.scale(b))}h0" for a, b in points)
    equal = line(left, bottom, right, TOP, "mz-front") if diagonal else Markup()
    drawn = element(
        "svg",
        element("title", title),
        element("desc", words),
        Markup(f"<style>{_style()}</style>"),
        element("rect", width=WIDTH, height=HEIGHT, class_="mz-paper"),
        text(left, 20, title, "mz-title"),
        text(left, 40, words),
        frame(x, y),
        equal,
        path(dots, "mz-dots"),
        xmlns="http://www.w3.org/2000/svg",
        class_="mz-svg",
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
        width=WIDTH,
        height=HEIGHT,
        role="img",
        aria_label=f"{title}. {words}",
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{drawn}\n'


def _short(axis: Axis) -> Axis:
    """Thousands and millions in letters."""
    return Axis(axis.scale, axis.ticks, _number, axis.label)


def _number(value: float) -> str:
    return f"{value / 1e6:g} M" if value >= 1e6 else f"{value / 1e3:g} k" if value >= 1e3 else f"{value:g}"


def _style() -> str:
    light, dark = ("".join(f"--mz-{name}: {colour}; " for name, colour in colours.items()) for colours in (LIGHT, DARK))
    return f"\n.mz-svg {{ {light}}}\n@media (prefers-color-scheme: dark) {{ .mz-svg {{ {dark}}} }}\n{STYLE.lstrip()}"
