"""Charts that compare: lines of several runs each, and clouds of points each with its Pareto front. For pages on benchmarks.

Numbers enter, one line of SVG leaves, styled by microzoo.css; in Markdown it belongs within <figure class="mz-figure">.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from markupsafe import Markup

from microzoo.pages.chart import (
    LEFT,
    MARGIN_BOTTOM,
    MARGIN_RIGHT,
    WIDTH,
    Chart,
    Key,
    Written,
    heading,
    mark,
    steps,
    stroke,
    swatch,
    tick_number,
    tick_percent,
    value_axis,
)
from microzoo.pages.plot import pareto
from microzoo.pages.svg import Axis, element, frame, line, text
from microzoo.pages.text import size

Point = tuple[float, float]
MIN_RUNS = 3
"""From how many runs on their median is drawn."""
_NOTE_HEIGHT = 15.0


@dataclass(frozen=True)
class Curve:
    """A named series. runs: each (x, y) by rising x, at least one; a value holds until the next x."""

    name: str
    runs: tuple[tuple[Point, ...], ...]


@dataclass(frozen=True)
class Reference:
    """A level to compare with, drawn as a dashed line across."""

    y: float
    words: str


@dataclass(frozen=True)
class Dot:
    """One point of a cloud. x: > 0 where the axis is logarithmic; words: its title, the numbers are added."""

    x: float
    y: float
    words: str = ""


@dataclass(frozen=True)
class Cloud:
    """A named series of points."""

    name: str
    dots: tuple[Dot, ...]


def curves(
    series: Sequence[Curve],
    *,
    title: str,
    x_label: str,
    y_label: str,
    references: Sequence[Reference] = (),
    log_x: bool = False,
    x_as: Written = "number",
    y_as: Written = "number",
    width: float = WIDTH,
    height: float = 400,
) -> Markup:
    """Step-wise lines over x, thin ones for each run and from three runs on a thick one for their median.

    Runs end in the shape of their series, and lines have its dash. A logarithmic x axis takes only x > 0.
    """
    points = [point for curve in series for run in curve.runs for point in run]
    assert points and all(run for curve in series for run in curve.runs), "a series without points"
    several = any(len(curve.runs) >= MIN_RUNS for curve in series)
    keys = [Key(swatch(index, dashed=True), curve.name) for index, curve in enumerate(series)]
    if several:
        both = element("g", line(-11, -3, 11, -3, "mz-run mz-plain"), line(-11, 3, 11, 3, "mz-middle mz-plain"))
        keys.append(Key(both, "one run, median of the runs"))
    head, top = heading(title, keys, LEFT, width - MARGIN_RIGHT)
    xs, ys = zip(*points, strict=True)
    levels = [*ys, *(reference.y for reference in references)]
    x = value_axis(min(xs), max(xs), x_as, LEFT, width - MARGIN_RIGHT, x_label, log=log_x)
    y = value_axis(min(levels), max(levels), y_as, height - MARGIN_BOTTOM, top, y_label)
    thin, thick, ends = [], [], []
    for index, curve in enumerate(series):
        for number, run in enumerate(curve.runs):
            at, value = run[-1]
            words = f"{_run_name(curve, number)}: {_said(value, y_as)} at {_said(at, x_as)}"
            thin.append(stroke(_stepped(run, x, y), index, "mz-run", element("title", words)))
            ends.append(mark(index, x.scale(at), y.scale(value), words, grow=0.75))
        if len(curve.runs) >= MIN_RUNS and (middle := median_run(curve.runs)):
            thick.append(stroke(_stepped(middle, x, y), index, "mz-middle", element("title", f"{curve.name}: median")))
    words = "; ".join(
        f"{curve.name} ends at {_said(median(run[-1][1] for run in curve.runs), y_as)}"
        + (f" (median of {len(curve.runs)} runs)" if len(curve.runs) > 1 else "")
        for curve in series
    )
    parts = (head, frame(x, y), *_levels(references, x, y), *thin, *thick, *ends)
    return Chart(width, height, title, words, parts, "mz-chart").inline()


def fronts(
    clouds: Sequence[Cloud],
    *,
    title: str,
    x_label: str,
    y_label: str,
    less_is_better: bool = True,
    log_x: bool = True,
    x_as: Written = "bytes",
    y_as: Written = "share",
    width: float = WIDTH,
    height: float = 400,
) -> Markup:
    """Points of several series, each with the staircase of its Pareto front: less x, and less y (an error) or more (an accuracy).

    Steps go to the right: a model serves every size from its own upwards. Points beaten within their series are drawn pale.
    """
    dots = [dot for cloud in clouds for dot in cloud.dots]
    assert dots and all(cloud.dots for cloud in clouds), "a series without points"
    keys = [Key(swatch(index, dashed=True), cloud.name) for index, cloud in enumerate(clouds)]
    head, top = heading(title, keys, LEFT, width - MARGIN_RIGHT)
    xs, ys = [dot.x for dot in dots], [dot.y for dot in dots]
    x = value_axis(min(xs), max(xs), x_as, LEFT, width - MARGIN_RIGHT, x_label, log=log_x)
    y = value_axis(min(ys), max(ys), y_as, height - MARGIN_BOTTOM, top, y_label)
    stairs, shown, said = [], [], []
    for index, cloud in enumerate(clouds):
        members = pareto([(dot.x, -dot.y if less_is_better else dot.y) for dot in cloud.dots])
        line_to = [(x.scale(cloud.dots[member].x), y.scale(cloud.dots[member].y)) for member in members]
        said.append(f"{cloud.name}: {len(cloud.dots)} points, {len(members)} on their front")
        stairs.append(stroke(steps(line_to, x.scale.end), index, "mz-stairs", element("title", said[-1])))
        for number, dot in enumerate(cloud.dots):
            name = f"{cloud.name}, {dot.words}" if dot.words else cloud.name
            words = f"{name}: {_said(dot.y, y_as)} at {_said(dot.x, x_as)}"
            pale = "" if number in members else "mz-pale"
            shown.append(mark(index, x.scale(dot.x), y.scale(dot.y), words, class_=pale, grow=0.85))
    parts = (head, frame(x, y), *stairs, *shown)
    return Chart(width, height, title, "; ".join(said), parts, "mz-chart").inline()


def median_run(runs: Sequence[Sequence[Point]]) -> list[Point]:
    """The median of step functions, from where all have begun to where the first one ends; empty where they do not overlap."""
    first, last = max(run[0][0] for run in runs), min(run[-1][0] for run in runs)
    places = sorted({at for run in runs for at, _ in run if first <= at <= last})
    return [(place, median(next(y for at, y in reversed(run) if at <= place) for run in runs)) for place in places]


def _stepped(run: Sequence[Point], x: Axis, y: Axis) -> str:
    return steps([(x.scale(at), y.scale(value)) for at, value in run])


def _levels(references: Sequence[Reference], x: Axis, y: Axis) -> list[Markup]:
    """Dashed lines with their words above them, or below where the next one is too near."""
    parts = []
    ordered = sorted(references, key=lambda reference: -reference.y)
    places = [y.scale(reference.y) for reference in ordered]
    for reference, place, before in zip(ordered, places, [-math.inf, *places], strict=False):
        words = f"{reference.words}: {tick_number(reference.y)}"
        drawn = element("line", element("title", words), x1=x.scale.start, x2=x.scale.end, y1=place, y2=place, class_="mz-level")
        at = place - 5 if place - before > _NOTE_HEIGHT else place + 14
        parts += [drawn, text(x.scale.end, at, reference.words, "mz-note mz-halo", "end")]
    return parts


def _run_name(curve: Curve, number: int) -> str:
    return curve.name if len(curve.runs) == 1 else f"{curve.name}, run {number + 1} of {len(curve.runs)}"


def _said(value: float, written: Written) -> str:
    if written == "share":
        return tick_percent(round(value, 4))
    return size(value) if written == "bytes" else f"{value:,.6g}"
