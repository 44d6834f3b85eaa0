"""Live bytes over the operators of a model as an SVG document of its own: a bar each, the greatest in another colour."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from microzoo.pages.chart import tick_number, value_axis
from microzoo.pages.picture import DARK, LIGHT
from microzoo.pages.svg import Axis, Scale, element, frame, text
from microzoo.pages.text import grouped

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 960.0, 420.0, 76.0, 24.0, 96.0, 60.0
RULES = """
.mz-svg text { font: 12px system-ui, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; fill: var(--mz-soft); }
.mz-svg .mz-head { font-size: 20px; font-weight: 600; fill: var(--mz-ink); }
.mz-svg .mz-label { font-size: 12.5px; fill: var(--mz-ink); }
.mz-paper { fill: var(--mz-paper); }
.mz-grid { stroke: var(--mz-line); stroke-width: 1; }
.mz-axis { stroke: var(--mz-soft); stroke-width: 1; }
.mz-bar { fill: var(--mz-s0); }
.mz-peak { fill: var(--mz-s1); }
"""


def memory_picture(title: str, lines: Sequence[str], bars: Sequence[tuple[str, int]]) -> str:
    """The document, from its XML declaration on. lines: at most two, below the title; bars: operator and bytes, at least one."""
    peak = max(size for _, size in bars)
    y = value_axis(0, max(peak, 1), "bytes", HEIGHT - BOTTOM, TOP, "live activations")
    ticks = tuple(range(0, len(bars) + 1, max(len(bars) // 12, 1)))
    x = Axis(Scale(0, len(bars), LEFT, WIDTH - RIGHT), ticks, tick_number, "operator, in the order of execution")
    step = (WIDTH - RIGHT - LEFT) / len(bars)
    gap = min(step * 0.15, 2.0)
    drawn = [
        element(
            "rect",
            element("title", f"{index}: {name}, {grouped(size)} B"),
            x=LEFT + index * step + gap / 2,
            y=y.scale(size),
            width=step - gap,
            height=max(HEIGHT - BOTTOM - y.scale(size), 0.1),
            class_="mz-peak" if size == peak else "mz-bar",
        )
        for index, (name, size) in enumerate(bars)
    ]
    document = element(
        "svg",
        element("title", f"Live activations: {title}"),
        element("desc", "; ".join(lines)),
        Markup(f"<style>{_style()}</style>"),  # noqa: S704 - no character of the rules is special in XML
        element("rect", width=WIDTH, height=HEIGHT, class_="mz-paper"),
        text(LEFT, 32, title, "mz-head"),
        *(text(LEFT, 54 + 18 * index, line) for index, line in enumerate(lines)),
        frame(x, y),
        *drawn,
        xmlns="http://www.w3.org/2000/svg",
        class_="mz-svg",
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
        width=WIDTH,
        height=HEIGHT,
        role="img",
        aria_label=f"Live activations: {title}",
    )
    # Control characters in names would make the document ill-formed.
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", " ", str(document)) + "\n"


def _style() -> str:
    def variables(colours: Mapping[str, str]) -> str:
        return "".join(f"--mz-{name}: {value}; " for name, value in colours.items())

    dark = f"@media (prefers-color-scheme: dark) {{ .mz-svg {{ {variables(DARK)}}} }}\n"
    return f"\n.mz-svg {{ color-scheme: light dark; {variables(LIGHT)}}}\n{dark}{RULES.lstrip()}"
