"""What `zoo build` shows while it runs: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from microzoo.build.report import SearchProgress
from microzoo.duration import show_duration
from microzoo.search.types import Row

LINE_SECONDS = 10.0
"""Where output is not a terminal, a progress line at most this often."""


class ConsoleReport:
    """A Report that prints. Use as a context manager."""

    def __init__(self, console: Console) -> None:
        """console: where to print; progress is live if it is a terminal."""
        self._console = console
        self._live = Live(Text(), console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._last_line = 0.0
        self._place = ""

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def note(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def job(self, place: str, number: int, of: int) -> None:
        """A dataset/target begins."""
        self._place = place
        self._last_line = 0.0
        self.note(f"[{number}/{of}] {place}")

    def searching(self, progress: SearchProgress) -> None:
        """Candidates done, best so far, budget left, epochs a second."""
        done = len(progress.rows)
        best = _best(progress.rows)
        parts = [f"  search {done}/{progress.evaluations}"]
        if best is not None:
            need = best.evaluation.resources
            size = f"{need.ram_bytes:,} B RAM, {need.flash_bytes:,} B flash, {need.macs:,} MACs"
            parts.append(f"best {best.evaluation.validation_accuracy:.2%} validation ({size}; {best.candidate.origin})")
        parts.append(f"{progress.epochs_per_second:.2g} epochs/s")
        if progress.seconds_left is not None:
            parts.append(f"{show_duration(progress.seconds_left)} left")
        self._progress(" · ".join(parts), always=done == progress.evaluations)

    def training(self, done: int, of: int, seconds_left: float) -> None:
        """Full trainings of the finalists."""
        left = f" · about {show_duration(seconds_left)} left" if done < of else ""
        self._progress(f"  full training {done}/{of}{left}", always=True)

    def measuring(self, entry: str) -> None:
        """Files of an entry are measured."""
        self._progress(f"  measuring {entry}", always=True)

    def published(self, entry: str, summary: str) -> None:
        """An entry is in the zoo."""
        self.note(f"  published {entry}: {summary}")

    def _progress(self, text: str, *, always: bool) -> None:
        if self._live is not None:
            self._live.update(Text(text, no_wrap=True, overflow="ellipsis"))
        elif always or time.monotonic() - self._last_line >= LINE_SECONDS:
            self._last_line = time.monotonic()
            self.note(text)


def _best(rows: Sequence[Row]) -> Row | None:
    alive = [row for row in rows if row.evaluation.failure is None]
    return max(alive, key=lambda row: (row.evaluation.validation_accuracy, -row.candidate.ordinal), default=None)
