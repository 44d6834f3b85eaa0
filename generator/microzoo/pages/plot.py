"""The three charts of the site: accuracy against cost with its Pareto front, memory over time, and the search's history.

Numbers enter, SVG leaves. Marks differ by shape and by colour, and each has its words in a <title>.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from microzoo.catalog.card import LayerRow, SearchPoint
from microzoo.pages.chart import (
    LEFT,
    MARGIN_RIGHT,
    SERIES,
    SHAPES,
    TOP,
    WIDTH,
    byte_ticks,
    share_ticks,
    tick_percent,
    tick_size,
)
from microzoo.pages.rungs import Training, course
from microzoo.pages.svg import Axis, Scale, drawing, element, frame, line, linear_ticks, octaves, path, text, xy
from microzoo.pages.text import grouped, percent, size

RIGHT = WIDTH - MARGIN_RIGHT


@dataclass(frozen=True)
class Mark:
    """One model in a scatter. x: a cost in bytes, > 0; y: accuracy, a share; series: index of its shape and colour."""

    x: float
    y: float
    series: int
    words: str
    href: str


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points that no other beats (less x and at least the y, or more y at no more x), by rising x."""
    front: list[int] = []
    for index in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        if not front or points[index][1] > points[front[-1]][1]:
            front.append(index)
    return front


def symbol(series: int) -> Markup:
    """The shape of a series as a small drawing of its own, for legends."""
    shape = path(SHAPES[series % SERIES], f"mz-mark mz-s{series % SERIES}")
    return element("svg", shape, class_="mz-symbol", viewBox="-8 -8 16 16", aria_hidden="true")


def scatter(marks: Sequence[Mark], *, title: str, x_label: str, width: float = WIDTH, height: float = 360) -> Markup:
    """Accuracy against bytes (logarithmic), the Pareto front as a stepped line, every mark a link to its model."""
    assert marks
    bottom, right = height - 52, width - (WIDTH - RIGHT)
    x_ticks = octaves(min(mark.x for mark in marks) * 0.94, max(mark.x for mark in marks) * 1.06)
    y_ticks = share_ticks(min(mark.y for mark in marks), max(mark.y for mark in marks))
    x = Axis(Scale(x_ticks[0], x_ticks[-1], LEFT, right, log=True), x_ticks, tick_size, x_label)
    y = Axis(Scale(y_ticks[0], y_ticks[-1], bottom, TOP), y_ticks, tick_percent, "accuracy on the test split, int8")
    front = [marks[index] for index in pareto([(mark.x, mark.y) for mark in marks])]
    steps = "M" + xy(x.scale(front[0].x), y.scale(front[0].y))
    for mark in front[1:]:
        steps += f"H{xy(x.scale(mark.x), 0).split()[0]}V{xy(0, y.scale(mark.y)).split()[1]}"
    steps += f"H{xy(right, 0).split()[0]}"
    shown = [_mark(mark, x.scale(mark.x), y.scale(mark.y), mark in front) for mark in marks]
    words = f"{len(marks)} models, {len(front)} of them on the Pareto front. The table beside it holds the same numbers."
    return drawing(width, height, title, words, frame(x, y), path(steps, "mz-front"), *shown, class_="mz-scatter", role="group")


def memory(layers: Sequence[LayerRow], budget_bytes: float, *, title: str, height: float = 260) -> Markup:
    """Live activations of each layer in the order of execution, the peak named, and the RAM that the target leaves."""
    assert layers
    bottom = height - 52
    live = [row.live_bytes for row in layers]
    peak = live.index(max(live))
    inside = budget_bytes <= 2.5 * live[peak]
    ticks = byte_ticks(max(live[peak], budget_bytes if inside else 0) * 1.08)
    x = Scale(0, len(layers), LEFT, RIGHT)
    y = Axis(Scale(0, ticks[-1], bottom, TOP), ticks, tick_size, "live activations")
    order = Axis(x, (), str, "layers in the order of execution")
    d = "M" + xy(LEFT, bottom)
    bars = []
    for index, row in enumerate(layers):
        at = y.scale(row.live_bytes)
        d += f"L{xy(x(index), at)}L{xy(x(index + 1), at)}"
        hover = element("title", f"{index + 1}. {row.name}: {grouped(row.live_bytes)} B live")
        bars.append(
            element("rect", hover, x=x(index), y=TOP, width=x(index + 1) - x(index), height=bottom - TOP, class_="mz-hover")
        )
    d += f"L{xy(RIGHT, bottom)}Z"
    numbers = [
        text((x(index) + x(index + 1)) / 2, bottom + 16, str(index + 1), "mz-tick", "middle") for index in _some(len(layers))
    ]
    centre = (x(peak) + x(peak + 1)) / 2
    anchor = "start" if centre < WIDTH / 3 else "end" if centre > WIDTH * 2 / 3 else "middle"
    at = y.scale(live[peak])
    edge = x(peak) if anchor == "start" else x(peak + 1) if anchor == "end" else centre
    named = text(edge, at - 6, f"peak: {layers[peak].name}, {grouped(live[peak])} B", "mz-note", anchor)
    limit = f"RAM left by the application: {size(budget_bytes)}"
    if inside:
        at = y.scale(budget_bytes)
        marked = element("g", line(LEFT, at, RIGHT, at, "mz-limit"), text(RIGHT, at - 6, limit, "mz-note", "end"))
    else:
        marked = text(RIGHT, TOP - 12, f"{limit} (beyond this scale)", "mz-note", "end")
    words = f"{len(layers)} layers; most bytes are live at layer {peak + 1}, {layers[peak].name}: {live[peak]}."
    parts = (path(d, "mz-area"), frame(order, y), *numbers, *bars, marked, named)
    return drawing(WIDTH, height, title, words, *parts, class_="mz-memory")


def history(points: Sequence[SearchPoint], published: int, *, title: str, height: float = 300) -> Markup:
    """Validation accuracy of every evaluation in its order, the best so far, and the one that was published.

    The axis starts near the lower tenth, so that failures do not flatten the rest; what lies below is drawn on the lower edge
    and counted in the description and beside the axis. Where the trainings are of several lengths, rungs are drawn apart.
    """
    assert points
    if any(point.rung for point in points):
        return _history_by_rung(points, published, title, height)
    bottom = height - 52
    accuracies = sorted(point.validation_accuracy for point in points)
    y_ticks = share_ticks(accuracies[len(accuracies) // 10], accuracies[-1])
    below = sum(value < y_ticks[0] for value in accuracies)
    last = max(point.ordinal for point in points)
    x_ticks = linear_ticks(0, max(last, 5))
    x = Axis(Scale(0, x_ticks[-1], LEFT, RIGHT), x_ticks, grouped, "evaluation")
    y = Axis(Scale(y_ticks[0], y_ticks[-1], bottom, TOP), y_ticks, tick_percent, "validation accuracy, float")
    groups: dict[str, str] = {"reference": "", "random": "", "mutation": ""}
    best, steps = 0.0, ""
    for point in points:
        px, py = x.scale(point.ordinal), y.scale(point.validation_accuracy)
        kind = point.origin if point.origin in groups else "mutation"
        groups[kind] += f"M{xy(px, py)}h0"
        if point.validation_accuracy > best:
            steps += f"V{xy(0, py).split()[1]}" if steps else f"M{xy(px, py)}"
            best = point.validation_accuracy
        if steps:
            steps += f"H{xy(px, 0).split()[0]}"
    dots = [path(d, f"mz-dots mz-{kind}") for kind, d in groups.items() if d]
    chosen = [_chosen(point, x.scale, y.scale) for point in points if point.ordinal == published]
    note = text(RIGHT, TOP - 12, f"{below} below the axis, drawn on its edge", "mz-note", "end") if below else Markup()
    words = f"{len(points)} evaluations, best {percent(best)}; evaluation {published} was published; {below} lie below the axis."
    return drawing(WIDTH, height, title, words, frame(x, y), *dots, path(steps, "mz-best"), *chosen, note, class_="mz-history")


def _mark(mark: Mark, px: float, py: float, on_front: bool) -> Markup:
    kind = f"mz-mark mz-s{mark.series % SERIES}" + (" mz-on-front" if on_front else "")
    shape = element("path", element("title", mark.words), d=SHAPES[mark.series % SERIES], class_=kind)
    moved = element("g", shape, transform=f"translate({xy(px, py)})")
    return element("a", moved, href=mark.href, aria_label=mark.words)


def _history_by_rung(points: Sequence[SearchPoint], published: int, title: str, height: float) -> Markup:
    trainings = [Training(point.ordinal, point.validation_accuracy, point.rung, point.origin) for point in points]
    chosen = next(
        (
            (float(point.ordinal), point.validation_accuracy, f"{_published(point)}, rung {point.rung}")
            for point in points
            if point.ordinal == published
        ),
        None,
    )
    remark = f"evaluation {published} was published; "
    # The legend takes a line or two more.
    chart = course(trainings, title=title, x_label="evaluation", remark=remark, chosen=chosen, height=height + 36)
    return chart.inline()


def _chosen(point: SearchPoint, x: Scale, y: Scale) -> Markup:
    words = _published(point)
    at = {"cx": x(point.ordinal), "cy": y(point.validation_accuracy)}
    return element("circle", element("title", words), **at, r=6, class_="mz-chosen")


def _published(point: SearchPoint) -> str:
    return f"published: evaluation {point.ordinal}, {percent(point.validation_accuracy)} on validation, from {point.origin}"


def _some(count: int) -> range:
    """Which of `count` numbers are written below the layers: at most 30."""
    return range(0, count, -(-count // 30))
