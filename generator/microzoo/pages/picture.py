"""A search as an SVG document of its own: its front against flash and RAM, and how accuracy grew. It needs no style sheet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from microzoo.pages.chart import (
    LEFT,
    MARGIN_BOTTOM,
    MARGIN_RIGHT,
    SERIES,
    Chart,
    Key,
    heading,
    legend,
    mark,
    share_ticks,
    steps,
    swatch,
    tick_percent,
    value_axis,
)
from microzoo.pages.plot import pareto
from microzoo.pages.rungs import ORIGINS, Training, course
from microzoo.pages.svg import Axis, Scale, element, frame, path, text
from microzoo.pages.text import grouped, percent

WIDTH, EDGE, GUTTER, FRONT_HEIGHT, COURSE_HEIGHT = 1120.0, 24.0, 24.0, 360.0, 360.0

# The colours and rules of microzoo.css that these charts need; a test holds the two together.
LIGHT = {
    "ink": "#1c2329",
    "soft": "#56616b",
    "line": "#d3d9de",
    "paper": "#ffffff",
    "bad": "#b3330b",
    "s0": "#0066a6",
    "s1": "#b84a00",
    "s2": "#00785a",
    "s3": "#a34479",
    "s4": "#7a6a00",
    "s5": "#1f7fae",
    "s6": "#5b5b5b",
    "s7": "#6a3fb0",
}
DARK = {
    "ink": "#e3e7ea",
    "soft": "#a5afb8",
    "line": "#3b434b",
    "paper": "#171b1f",
    "bad": "#ff9066",
    "s0": "#5cb0ea",
    "s1": "#f08a45",
    "s2": "#3fc49d",
    "s3": "#e59ac4",
    "s4": "#d9c64a",
    "s5": "#8fd0f2",
    "s6": "#b4b4b4",
    "s7": "#b79df0",
}
RULES = """
.mz-svg text { font-size: 12px; fill: var(--mz-soft); }
.mz-svg .mz-label { font-size: 12.5px; fill: var(--mz-ink); }
.mz-svg .mz-note { font-size: 12px; fill: var(--mz-ink); }
.mz-svg .mz-title { font-size: 14px; font-weight: 600; fill: var(--mz-ink); }
.mz-svg .mz-head { font-size: 20px; font-weight: 600; fill: var(--mz-ink); }
.mz-svg { font-family: system-ui, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; }
.mz-paper { fill: var(--mz-paper); }
.mz-grid { stroke: var(--mz-line); stroke-width: 1; }
.mz-axis { stroke: var(--mz-soft); stroke-width: 1; }
.mz-front { fill: none; stroke: var(--mz-soft); stroke-width: 1.5; stroke-dasharray: 5 3; }
.mz-mark { stroke: var(--mz-paper); stroke-width: 1; }
.mz-pale { opacity: 0.4; }
.mz-reference { stroke: var(--mz-s1); }
.mz-random { stroke: var(--mz-s6); }
.mz-mutation { stroke: var(--mz-s0); }
.mz-best { stroke: var(--mz-ink); stroke-width: 1.5; fill: none; }
.mz-best.mz-lower { stroke-width: 1.2; stroke: var(--mz-soft); }
.mz-hollow { fill: var(--mz-paper); stroke-width: 1.1; }
.mz-solid { stroke: var(--mz-paper); stroke-width: 0.6; }
.mz-solid.mz-reference { fill: var(--mz-s1); stroke: var(--mz-paper); }
.mz-solid.mz-random { fill: var(--mz-s6); stroke: var(--mz-paper); }
.mz-solid.mz-mutation { fill: var(--mz-s0); stroke: var(--mz-paper); }
.mz-neutral { stroke: var(--mz-ink); }
.mz-solid.mz-neutral { fill: var(--mz-ink); }
.mz-chosen { fill: none; stroke: var(--mz-bad); stroke-width: 2.5; }
"""


@dataclass(frozen=True)
class Held:
    """A candidate that fits. accuracy: expected at the top rung, a share; rung: of its highest training."""

    flash_bytes: int
    ram_bytes: int
    accuracy: float
    rung: int
    on_front: bool


def picture(
    *,
    title: str,
    lines: Sequence[str],
    held: Sequence[Held],
    trainings: Sequence[Training],
    rung_epochs: Mapping[int, float],
) -> str:
    """The document, from its XML declaration on; light or dark as the reader's system wants it.

    lines: words below the title. held, trainings: may be empty; the trainings of what fits, their x the epochs spent until then.
    rung_epochs: of one training.
    """
    top = 52 + 20.0 * len(lines)
    half = (WIDTH - 2 * EDGE - GUTTER) / 2
    label = "validation accuracy" if len(rung_epochs) == 1 else "accuracy expected at the top rung"
    charts = []
    if held:
        for index, resource in enumerate(("flash", "RAM")):
            left = EDGE + index * (half + GUTTER)
            charts.append(_front(held, resource, label, half).placed(left, top))
    below = top + (FRONT_HEIGHT + 24 if held else 0)
    height = below
    if trainings:
        charts += _growth(trainings, rung_epochs, below)
        height += 26 + COURSE_HEIGHT + 32
    words = [text(EDGE + LEFT, 60 + 20.0 * index, line) for index, line in enumerate(lines)]
    document = element(
        "svg",
        element("title", f"Search: {title}"),
        element("desc", "; ".join(lines)),
        # No character of the rules is special in XML.
        Markup(f"<style>{_style()}</style>"),  # noqa: S704
        element("rect", width=WIDTH, height=height, class_="mz-paper"),
        text(EDGE + LEFT, 36, title, "mz-head"),
        *words,
        *charts,
        xmlns="http://www.w3.org/2000/svg",
        class_="mz-svg",
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        width=WIDTH,
        height=height,
        role="img",
        aria_label=f"Search: {title}",
    )
    # Control characters in words would make the document ill-formed.
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", " ", str(document)) + "\n"


def _growth(trainings: Sequence[Training], rung_epochs: Mapping[int, float], top: float) -> list[Markup]:
    growth = course(
        trainings,
        title="Accuracy over the epochs spent",
        x_label="epochs spent by the search",
        names={rung: f"rung {rung}: {epochs:g} epochs each" for rung, epochs in rung_epochs.items()},
        width=WIDTH - 2 * EDGE,
        height=COURSE_HEIGHT,
    )
    origins = [Key(path("M-5-5h10v10h-10z", f"mz-solid mz-{kind}"), kind) for kind in ORIGINS]
    return [
        text(EDGE + LEFT, top + 14, "Every training of what fits, and the best so far", "mz-title"),
        growth.placed(EDGE, top + 26),
        legend(origins, EDGE + LEFT, WIDTH - EDGE, top + 26 + COURSE_HEIGHT + 8)[0],
    ]


def _front(held: Sequence[Held], resource: str, label: str, width: float) -> Chart:
    """Accuracy against one resource: all that fits, the search's front in full colour, and the staircase of this pair alone."""
    needs = [each.flash_bytes if resource == "flash" else each.ram_bytes for each in held]
    rungs = sorted({each.rung for each in held})
    keys = [Key(swatch(rung, dashed=False), f"rung {rung}") for rung in rungs] if len(rungs) > 1 else []
    title = f"Accuracy against {resource} (pale: not on the front)"
    head, top = heading(title, keys, LEFT, width - MARGIN_RIGHT)
    x = value_axis(min(needs), max(needs), "bytes", LEFT, width - MARGIN_RIGHT, f"{resource} on the target, predicted", log=True)
    # Tiny networks that have learnt nothing are members of every front; the axis is not for them.
    members = sorted(each.accuracy for each in held if each.on_front)
    ticks = share_ticks(members[len(members) // 10], max(each.accuracy for each in held))
    y = Axis(Scale(ticks[0], ticks[-1], FRONT_HEIGHT - MARGIN_BOTTOM, top), ticks, tick_percent, label)
    stairs = [
        (x.scale(needs[index]), y.scale(held[index].accuracy))
        for index in pareto([(need, each.accuracy) for need, each in zip(needs, held, strict=True)])
    ]
    below = sum(each.accuracy < ticks[0] for each in held)
    note = text(width - MARGIN_RIGHT, top - 18, f"{below} below the axis, drawn on its edge", "mz-note", "end")
    marks = []
    for each, need in sorted(zip(held, needs, strict=True), key=lambda pair: pair[0].on_front):
        words = f"{percent(each.accuracy)} expected, trained at rung {each.rung}; {grouped(need)} B {resource}"
        pale, grow = ("", 0.85) if each.on_front else ("mz-pale", 0.6)
        marks.append(mark(each.rung, x.scale(need), y.scale(each.accuracy), words, class_=pale, grow=grow))
    words = f"{len(held)} candidates fit, {len(members)} of them on the front; {below} lie below the axis."
    parts = (head, frame(x, y), path(steps(stairs, x.scale.end), "mz-front"), *marks, note if below else Markup())
    return Chart(width, FRONT_HEIGHT, title, words, parts, "")


def _style() -> str:
    def variables(colours: Mapping[str, str]) -> str:
        return "".join(f"--mz-{name}: {value}; " for name, value in colours.items())

    series = "".join(f".mz-s{index} {{ fill: var(--mz-s{index}); }}\n" for index in range(SERIES))
    dark = f"@media (prefers-color-scheme: dark) {{ .mz-svg {{ {variables(DARK)}}} }}\n"
    return f"\n.mz-svg {{ color-scheme: light dark; {variables(LIGHT)}}}\n{dark}{RULES.lstrip()}{series}"
