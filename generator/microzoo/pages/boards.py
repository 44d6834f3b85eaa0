"""Boards that the home page offers: those that the specs of targets name, and well-known ones from a file of the site."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt, ValidationError

from microzoo.errors import SiteError
from microzoo.spec.cores import Core
from microzoo.spec.models import TargetSpec

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


class BoardRecord(BaseModel):
    """A board as the file lists it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    core: Core
    clock_mhz: PositiveFloat
    ram_bytes: PositiveInt
    """RAM that a program may use."""
    flash_bytes: PositiveInt
    """Flash that a program may use."""
    source: str
    """Address where these figures were read."""


@dataclass(frozen=True)
class Board:
    """What somebody may pick. id stands in addresses; RAM and flash are what model and runtime may take."""

    id: str
    name: str
    core: Core
    clock_mhz: float
    ram_bytes: int
    flash_bytes: int
    source: str
    """Address or file of these figures."""
    cycles_per_instruction: float | None = None
    """Where a target's spec says it; None: what is assumed for the core."""
    npu: bool = False
    is_target: bool = False
    """Whether this is a class of chips of the zoo and not a single board."""


def load_boards(file: Path) -> tuple[Board, ...]:
    """The boards of a TOML file, by RAM. Raises SiteError naming file, board and key where one is wrong."""
    found = []
    for name, values in _read(file).items():
        if not _NAME.fullmatch(name):
            raise SiteError(f"{file}: {name}: a board's key is lower-case letters, digits and -", "rename it")
        try:
            record = BoardRecord.model_validate(values)
        except ValidationError as error:
            raise SiteError(f"{file}: {name}: {_first(error)}", "mend the board") from error
        if not record.source.startswith("https://"):
            raise SiteError(f"{file}: {name}: source: is no https address", "say where the figures were read")
        found.append(Board(id=name, **record.model_dump()))
    return tuple(sorted(found, key=lambda board: (board.ram_bytes, board.flash_bytes, board.name)))


def target_boards(targets: Mapping[str, TargetSpec]) -> tuple[Board, ...]:
    """Each target, followed by the boards that its spec names, which have its budget; the smallest RAM first."""
    found = []
    for name, spec in sorted(targets.items(), key=lambda item: (item[1].ram_limit_bytes, item[0])):
        for index, title in enumerate((spec.title, *spec.boards)):
            board = Board(
                id=f"{name}.{index}" if index else name,
                name=title,
                core=spec.core,
                clock_mhz=spec.clock_mhz,
                ram_bytes=spec.ram_limit_bytes,
                flash_bytes=spec.flash_limit_bytes,
                source=f"specs/targets/{name}.toml",
                cycles_per_instruction=spec.cycles_per_instruction,
                npu=spec.npu is not None,
                is_target=index == 0,
            )
            found.append(board)
    return tuple(found)


def _read(file: Path) -> dict[str, dict[str, object]]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SiteError(f"{file}: the file of boards is missing", "run in the root of the project") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SiteError(f"{file}: is no TOML: {error}", "mend the file") from error


def _first(error: ValidationError) -> str:
    """The first thing that is wrong, on one line."""
    what = error.errors()[0]
    return f"{'.'.join(str(part) for part in what['loc'])}: {what['msg']}"
