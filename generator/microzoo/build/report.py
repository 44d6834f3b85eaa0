"""What a build tells while it runs. The console shows it; tests record it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from microzoo.search.types import Row


@dataclass(frozen=True)
class SearchProgress:
    """After each evaluation. seconds_left: until the budget ends, None without one; epochs_per_second: since this run began."""

    rows: Sequence[Row]
    evaluations: int
    seconds_left: float | None
    epochs_per_second: float


class Report(Protocol):
    """Receives progress. Calls come from one thread, in order."""

    def note(self, text: str) -> None:
        """Something that a person should read."""

    def job(self, place: str, number: int, of: int) -> None:
        """A dataset/target begins."""

    def searching(self, progress: SearchProgress) -> None:
        """An evaluation was committed."""

    def training(self, done: int, of: int, seconds_left: float) -> None:
        """A full training ended, or the first begins. seconds_left: estimated for the rest."""

    def measuring(self, entry: str) -> None:
        """The files of an entry are being measured."""

    def published(self, entry: str, summary: str) -> None:
        """An entry is in the zoo."""
