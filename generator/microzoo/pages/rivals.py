"""What others have published on our datasets: read from a file of the site, each figure with what it counts and its source."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError

from microzoo.errors import SiteError

RivalAxis = Literal["ram", "flash", "macs", "instructions", "paper_ram", "paper_size", "weights", "parameters"]

STAND_INS: dict[str, tuple[RivalAxis, ...]] = {
    "ram": ("paper_ram",),
    "flash": ("paper_size", "weights"),
    "paper_size": ("parameters",),
}
"""An axis of ours -> figures by another definition that are drawn on it, with an asterisk, where a rival has none by ours."""


class Model(BaseModel):
    """Frozen and strict."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RivalFigure(Model):
    """One published figure."""

    on: RivalAxis
    """What it may be compared with; `weights` and `parameters` are no axes of ours."""
    value: PositiveFloat
    """In bytes where it is a size (1 KB = 1,024 B), else a count."""
    printed: str
    """As it stands in the source."""
    counts: str
    """What the source counts."""


class Rival(Model):
    """One published result on one dataset."""

    dataset: str
    name: str
    short: str
    """Beside its mark."""
    accuracy: Annotated[float, Field(ge=0, le=1)]
    accuracy_of: str
    """Of which inputs and which arithmetic."""
    source: str
    """Paper or page, and the table in it."""
    url: str
    figures: Annotated[tuple[RivalFigure, ...], Field(min_length=1)]

    def on(self, axis: str) -> tuple[RivalFigure, bool] | None:
        """The figure to draw on an axis, and whether it counts what the axis does; None where there is none."""
        for name in (axis, *STAND_INS.get(axis, ())):
            for figure in self.figures:
                if figure.on == name:
                    return figure, name == axis
        return None

    @property
    def words(self) -> str:
        """All of it on one line."""
        figures = "; ".join(f"{figure.printed} ({figure.counts})" for figure in self.figures)
        return f"{self.name}: {100 * self.accuracy:.4g} % ({self.accuracy_of}); {figures}. {self.source}"


class _File(Model):
    rivals: tuple[Rival, ...]


def load_rivals(file: Path) -> tuple[Rival, ...]:
    """The rivals of a TOML file, by dataset and name. Raises SiteError naming file, rival and key where one is wrong."""
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SiteError(f"{file}: the file of rivals is missing", "run in the root of the project") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SiteError(f"{file}: is no TOML: {error}", "mend the file") from error
    try:
        found = _File.model_validate(values).rivals
    except ValidationError as error:
        what = error.errors()[0]
        raise SiteError(f"{file}: {'.'.join(str(part) for part in what['loc'])}: {what['msg']}", "mend the rival") from error
    for rival in found:
        if not rival.url.startswith("https://"):
            raise SiteError(f"{file}: {rival.name}: url is no https address", "say where its figures stand")
    return tuple(sorted(found, key=lambda rival: (rival.dataset, rival.name)))


def of_dataset(rivals: Sequence[Rival], dataset: str) -> tuple[Rival, ...]:
    """Those of one dataset."""
    return tuple(rival for rival in rivals if rival.dataset == dataset)
