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
    MARGIN_BOTTOM,
    MARGIN_RIGHT,
    SERIES,
    SHAPES,
    TOP,
    WIDTH,
    Written,
    byte_ticks,
    share_ticks,
    steps,
    tick_percent,
    tick_size,
    value_axis,
)
from microzoo.pages.rungs import Training, course
from microzoo.pages.svg import Axis, Scale, drawing, element, frame, line, linear_ticks, path, text, xy
from microzoo.pages.text import grouped, percent, size

RIGHT = WIDTH - MARGIN_RIGHT
HOLLOW = "M0-6.5L6.2-2L3.8 5.3h-7.6L-6.2-2z"
"""Shape of other people's results: a pentagon, which none of ours has."""
NAME_LEFT_FROM = 0.75
"""From which share of the width on the name of such a mark stands on its left, so that it does not leave the drawing."""


@dataclass(frozen=True)
class Mark:
    """One model in a scatter. x: a cost, > 0; y: accuracy, a share; series: index of its shape and colour."""

    x: float
    y: float
    series: int
    words: str
    href: str
    id: str = ""
    """Of the row of a table on the same page that holds its other costs; a script moves marks with an id to another axis."""


@dataclass(frozen=True)
class Hollow:
    """Somebody else's published result, drawn hollow with its name beside it."""

    x: float | None
    """The cost on the axis shown, > 0; None: not on this axis."""
    y: float
    name: str
    words: str
    href: str
    costs: str
    """All its costs as JSON, {axis: [value, whether it counts what the axis does]}, for the script."""


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


def scatter(
    marks: Sequence[Mark],
    *,
    title: str,
    x_label: str,
    width: float = WIDTH,
    height: float = 360,
    x_as: Written = "bytes",
    rivals: Sequence[Hollow] = (),
) -> Markup:
    """Accuracy against a cost (logarithmic), the Pareto front as a stepped line, every mark a link to its model.

    The front is that of `marks` alone. x_as: how ticks of the cost are written; "bytes" has octaves, others 1-2-5.
    """
    assert marks
    shown = [(rival, rival.x) for rival in rivals if rival.x is not None]
    costs = [*(mark.x for mark in marks), *(x for _, x in shown)]
    shares = [*(mark.y for mark in marks), *(rival.y for rival, _ in shown)]
    bottom, right = height - MARGIN_BOTTOM, width - MARGIN_RIGHT
    x = value_axis(min(costs) * 0.94, max(costs) * 1.06, x_as, LEFT, right, x_label, log=True)
    y = value_axis(min(shares), max(shares), "share", bottom, TOP, "accuracy on the test split, int8")
    front = [marks[index] for index in pareto([(mark.x, mark.y) for mark in marks])]
    stairs = steps([(x.scale(mark.x), y.scale(mark.y)) for mark in front], right)
    drawn = [_mark(mark, x.scale(mark.x), y.scale(mark.y), mark in front) for mark in marks]
    hollow = [_hollow(rival, x.scale(rival.x or 0), y.scale(rival.y), right) for rival in rivals]
    return drawing(
        width,
        height,
        title,
        scatter_words(len(marks), len(front)),
        element("g", frame(x, y), class_="mz-frame"),
        path(stairs, "mz-front"),
        *drawn,
        *hollow,
        class_="mz-scatter",
        role="group",
    )


def scatter_words(models: int, front: int) -> str:
    """The description of a scatter."""
    return f"{models} models, {front} of them on the Pareto front. The table of models holds the same numbers."


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
    best, climb = 0.0, ""
    for point in points:
        px, py = x.scale(point.ordinal), y.scale(point.validation_accuracy)
        kind = point.origin if point.origin in groups else "mutation"
        groups[kind] += f"M{xy(px, py)}h0"
        if point.validation_accuracy > best:
            climb += f"V{xy(0, py).split()[1]}" if climb else f"M{xy(px, py)}"
            best = point.validation_accuracy
        if climb:
            climb += f"H{xy(px, 0).split()[0]}"
    dots = [path(d, f"mz-dots mz-{kind}") for kind, d in groups.items() if d]
    chosen = [_chosen(point, x.scale, y.scale) for point in points if point.ordinal == published]
    note = text(RIGHT, TOP - 12, f"{below} below the axis, drawn on its edge", "mz-note", "end") if below else Markup()
    words = f"{len(points)} evaluations, best {percent(best)}; evaluation {published} was published; {below} lie below the axis."
    return drawing(WIDTH, height, title, words, frame(x, y), *dots, path(climb, "mz-best"), *chosen, note, class_="mz-history")


def _mark(mark: Mark, px: float, py: float, on_front: bool) -> Markup:
    kind = f"mz-mark mz-s{mark.series % SERIES}" + (" mz-on-front" if on_front else "")
    shape = element("path", element("title", mark.words), d=SHAPES[mark.series % SERIES], class_=kind)
    # The table leads to the same pages: a reader with a keyboard is spared a stop at each mark.
    return element(
        "a",
        shape,
        href=mark.href,
        aria_label=mark.words,
        data_entry=mark.id or None,
        tabindex=-1 if mark.id else None,
        transform=f"translate({xy(px, py)})",
    )


def _hollow(rival: Hollow, px: float, py: float, right: float) -> Markup:
    shape = element("path", element("title", rival.words), d=HOLLOW, class_="mz-rival-mark")
    name = (
        text(-9, 4, rival.name, "mz-note", "end") if px > right * NAME_LEFT_FROM else text(9, 4, rival.name, "mz-note", "start")
    )
    link = element("a", shape, href=rival.href, aria_label=rival.words, tabindex=-1)
    placed = {"data_costs": rival.costs, "data_share": f"{rival.y:.6g}", "data_name": rival.name.removesuffix("*")}
    hidden = "none" if rival.x is None else None
    return element("g", link, name, class_="mz-rival", transform=f"translate({xy(px, py)})", display=hidden, **placed)


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
