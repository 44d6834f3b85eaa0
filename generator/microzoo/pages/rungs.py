"""Trainings of several lengths in one chart: accuracies of different rungs lie side by side and are never joined.

Marks tell rungs apart by shape and size, origins by colour; each rung has a line of its own for the best so far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from microzoo.pages.chart import (
    LEFT,
    MARGIN_BOTTOM,
    MARGIN_RIGHT,
    TOP,
    WIDTH,
    Chart,
    Key,
    legend,
    share_ticks,
    steps,
    tick_percent,
)
from microzoo.pages.svg import Axis, Scale, element, frame, linear_ticks, text, xy
from microzoo.pages.text import grouped, percent

ORIGINS = ("reference", "random", "mutation")
"""Kinds of origin; the name of a morphism counts as the last one."""

# By rung, around a point: from where a mark is drawn, and how. A small hollow circle, then filled ones: circle, square, triangle,
# diamond, triangle down, plus, bar.
_MARKS = (
    ((-2.0, 0.0), "a2 2 0 1 0 4 0a2 2 0 1 0 -4 0z"),
    ((-3.2, 0.0), "a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0 -6.4 0z"),
    ((-3.4, -3.4), "h6.8v6.8h-6.8z"),
    ((0.0, -4.6), "l4.3 8h-8.6z"),
    ((0.0, -5.0), "l4.6 5l-4.6 5l-4.6 -5z"),
    ((0.0, 4.6), "l4.3 -8h-8.6z"),
    ((-1.5, -4.5), "h3v3h3v3h-3v3h-3v-3h-3v-3h3z"),
    ((-2.0, -5.0), "h4v10h-4z"),
)
_DASHES = ("2 3", "6 3", "9 3 2 3", "12 4")


@dataclass(frozen=True)
class Training:
    """One evaluation. x: its ordinal, or the epochs spent until then; accuracy: a share; rung: 0 is the shortest training."""

    x: float
    accuracy: float
    rung: int
    origin: str


@dataclass(frozen=True)
class _Band:
    """The trainings of one rung."""

    rung: int
    trainings: tuple[Training, ...]

    @property
    def best(self) -> float:
        return max(training.accuracy for training in self.trainings)

    def climb(self) -> list[tuple[float, float]]:
        """(x, accuracy) of every training that was the best of its rung so far; what failed never is."""
        best, found = 0.0, []
        for training in self.trainings:
            if training.accuracy > best:
                best = training.accuracy
                found.append((training.x, best))
        return found


def course(
    trainings: Sequence[Training],
    *,
    title: str,
    x_label: str,
    remark: str = "",
    chosen: tuple[float, float, str] | None = None,
    names: Mapping[int, str] | None = None,
    width: float = WIDTH,
    height: float = 318,
    class_: str = "mz-history",
) -> Chart:
    """Validation accuracy of every training in their order, by rung.

    remark: further words of the description. chosen: (x, accuracy, words) of the one to be ringed. names: words for each rung.
    The axis starts near the lower tenth; what lies below is drawn on the lower edge and counted.
    """
    assert trainings
    bands = [
        _Band(rung, tuple(training for training in trainings if training.rung == rung))
        for rung in sorted({training.rung for training in trainings})
    ]
    right, bottom = width - MARGIN_RIGHT, height - MARGIN_BOTTOM
    keys, last_line = legend(_keys(bands, names or {}), LEFT, right, 12)
    top = last_line + TOP + 6
    accuracies = sorted(training.accuracy for training in trainings)
    y_ticks = share_ticks(accuracies[len(accuracies) // 10], accuracies[-1])
    until = max(training.x for training in trainings)
    x_ticks = linear_ticks(0, max(until, 5))
    x = Axis(Scale(0, x_ticks[-1], LEFT, right), x_ticks, grouped, x_label)
    y = Axis(Scale(y_ticks[0], y_ticks[-1], bottom, top), y_ticks, tick_percent, "validation accuracy, float")
    below = sum(value < y_ticks[0] for value in accuracies)
    dots = [dot for band in bands for dot in _dots(band, x.scale, y.scale)]
    lines = [_line(band, bands[-1].rung, until, x.scale, y.scale) for band in bands]
    ring = _ring(*chosen, x.scale, y.scale) if chosen is not None else Markup()
    note = text(right, top - 18, f"{below} below the axis, drawn on its edge", "mz-note", "end") if below else Markup()
    found = ", ".join(f"{percent(band.best)} at rung {band.rung}" for band in bands)
    words = f"{len(trainings)} evaluations, best {found}; {remark}{below} lie below the axis."
    return Chart(width, height, title, words, (keys, frame(x, y), *dots, *lines, ring, note), class_)


def _keys(bands: Sequence[_Band], names: Mapping[int, str]) -> list[Key]:
    keys = []
    for band in bands:
        (dx, dy), shape = _MARKS[min(band.rung, len(_MARKS) - 1)]
        sample = element("path", d=f"M{xy(dx, dy)}{shape}", class_=f"{_fill(band.rung)} mz-neutral")
        keys.append(Key(sample, names.get(band.rung, f"rung {band.rung}")))
    for band in bands:
        line = element("path", d="M-11 0H11", **_look(band.rung, bands[-1].rung))
        keys.append(Key(line, f"best at rung {band.rung}"))
    return keys


def _dots(band: _Band, x: Scale, y: Scale) -> list[Markup]:
    (dx, dy), shape = _MARKS[min(band.rung, len(_MARKS) - 1)]
    groups: dict[str, list[str]] = {origin: [] for origin in ORIGINS}
    for training in band.trainings:
        origin = training.origin if training.origin in groups else ORIGINS[-1]
        groups[origin].append(f"M{xy(x(training.x) + dx, y(training.accuracy) + dy)}{shape}")
    return [
        element(
            "path",
            element("title", f"rung {band.rung}, {origin}: {len(marks)} trainings"),
            d="".join(marks),
            class_=f"{_fill(band.rung)} mz-{origin}",
        )
        for origin, marks in groups.items()
        if marks
    ]


def _fill(rung: int) -> str:
    return "mz-hollow" if rung == 0 else "mz-solid"


def _line(band: _Band, top: int, until: float, x: Scale, y: Scale) -> Markup:
    climb = [(x(at), y(accuracy)) for at, accuracy in band.climb()]
    if not climb:
        return Markup()
    words = element("title", f"best at rung {band.rung}: {percent(band.best)}")
    return element("path", words, d=steps(climb, x(until)), **_look(band.rung, top))


def _look(rung: int, top: int) -> dict[str, str | None]:
    """The highest rung's line is solid, those below are thin and dashed."""
    if rung == top:
        return {"class_": "mz-best"}
    return {"class_": "mz-best mz-lower", "stroke_dasharray": _DASHES[rung % len(_DASHES)]}


def _ring(at: float, accuracy: float, words: str, x: Scale, y: Scale) -> Markup:
    return element("circle", element("title", words), cx=x(at), cy=y(accuracy), r=6, class_="mz-chosen")
