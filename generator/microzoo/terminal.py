"""Charts as lines of text: a scatter and a climb, numbers in and lines out, nothing coloured; and a count on one line."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from types import TracebackType
from typing import Self, TextIO


@dataclass(frozen=True)
class Strokes:
    """The characters that charts are drawn with. levels: from none to all, the first one is a gap."""

    front: str
    other: str
    upright: str
    flat: str
    corner: str
    levels: str


UNICODE = Strokes("●", "·", "│", "─", "└", " ▁▂▃▄▅▆▇█")
ASCII = Strokes("o", ".", "|", "-", "+", " _.-=+*#@")


def strokes(encoding: str | None) -> Strokes:
    """The best characters that an encoding has."""
    try:
        "".join(astuple(UNICODE)).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


@dataclass(frozen=True)
class Spot:
    """A point of a scatter. x > 0; on_front: drawn over the others."""

    x: float
    y: float
    on_front: bool


def scatter(spots: Sequence[Spot], x_words: str, y_words: str, width: int, height: int, pen: Strokes) -> list[str]:
    """y, a share, upwards; x, bytes, to the right and logarithmic. The axes hold the front, and of others what lies within.

    The lowest tenth of the front, tiny networks that have learnt little, lies on the lower edge, which is then marked "<". width,
    height: columns and rows of all, labels included. At least one spot must be on the front.
    """
    front = [spot for spot in spots if spot.on_front]
    assert front and width >= 24 and height >= 6, (len(front), width, height)
    low_x, high_x = min(spot.x for spot in front), max(spot.x for spot in front)
    shares = sorted(spot.y for spot in front)
    low_y, high_y = shares[len(shares) // 10], shares[-1]
    columns, rows = width - 9, height - 4
    cells = [[" "] * columns for _ in range(rows)]
    for spot in sorted(spots, key=lambda spot: spot.on_front):
        across = math.log(spot.x / low_x) / math.log(high_x / low_x) if high_x > low_x else 0.5
        up = (spot.y - low_y) / (high_y - low_y) if high_y > low_y else 0.5
        up = max(up, 0.0) if spot.on_front else up
        if -1e-9 <= across <= 1 + 1e-9 and -1e-9 <= up <= 1 + 1e-9:
            cells[rows - 1 - round(up * (rows - 1))][round(across * (columns - 1))] = pen.front if spot.on_front else pen.other
    lowest = f"{'<' if low_y > shares[0] else ''}{low_y:.2%}"
    marks = {0: f"{high_y:.2%}", rows - 1: lowest} if high_y > low_y else {rows // 2: f"{high_y:.2%}"}
    left, right = f"{low_x:,.0f} B", f"{high_x:,.0f} B"
    ends = f"{left:<{max(0, columns - len(right))}}{right}" if high_x > low_x else left.center(columns)
    return [
        y_words,
        *(f"{marks.get(index, ''):>7} {pen.upright}{''.join(row)}".rstrip() for index, row in enumerate(cells)),
        f"{'':8}{pen.corner}{pen.flat * columns}",
        f"{'':9}{ends}",
        f"{'':9}{x_words.center(columns).rstrip()}",
    ]


def climb(points: Sequence[tuple[float, float]], until: float, width: int, pen: Strokes) -> str:
    """The best accuracy so far as a row of levels: column k is what was reached by (k + 1) / width of `until`.

    points: (x, accuracy) by rising x. A level is a share of the way from the first error to the least, on a logarithmic scale; no
    level at all before the first point.
    """
    steps = len(pen.levels) - 2
    errors = [max(1 - accuracy, 1e-4) for _, accuracy in points]
    first, least = (errors[0], min(errors)) if errors else (1.0, 1.0)
    line = ""
    for column in range(width):
        edge = until * (column + 1) / width * (1 + 1e-9)
        reached = [error for (at, _), error in zip(points, errors, strict=True) if at <= edge]
        if not reached:
            line += pen.levels[0]
        elif first == least:
            line += pen.levels[-1]
        else:
            line += pen.levels[1 + round(steps * max(0.0, math.log(first / min(reached)) / math.log(first / least)))]
    return line


def bars(rows: Sequence[tuple[str, int]], width: int, pen: Strokes) -> list[str]:
    """A line a row: its words, a bar as long as its share of the greatest number, the number; the greatest are marked "<"."""
    most = max((number for _, number in rows), default=0)
    words = min(max((len(text) for text, _ in rows), default=0), width // 3)
    room = max(width - words - len(f"{most:,}") - 6, 8)
    lines = []
    for text, number in rows:
        bar = pen.levels[-1] * (round(room * number / most) if most else 0)
        lines.append(f"{text[:words]:<{words}} {pen.upright}{bar} {number:,}{' <' if number == most else ''}")
    return lines


class ByteCount:
    """How many bytes are there, on a line that is written over and goes away; nothing where the stream is no terminal."""

    def __init__(self, stream: TextIO, words: str) -> None:
        """words: before the numbers."""
        self._stream = stream
        self._words = words
        self._length = 0
        self._last = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._show("")

    def __call__(self, done: int, of: int) -> None:
        """Shows it, ten times a second at most."""
        now = time.monotonic()
        if self._stream.isatty() and (now - self._last >= 0.1 or done == of):
            self._last = now
            self._show(f"{self._words}: {done:,} of {of:,} bytes")

    def _show(self, line: str) -> None:
        if line or self._length:
            self._stream.write(f"\r{line:<{self._length}}" + ("" if line else "\r"))
            self._stream.flush()
            self._length = len(line)
