"""The generated C in a folder: which files belong to the model, and under which names it is called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from microzoo.errors import MeasurementError

KERNELS = "microzoo_nn"
FUNCTIONS = ("input", "output", "invoke")
SIZES = ("INPUT_BYTES", "OUTPUT_BYTES", "ARENA_BYTES")


@dataclass(frozen=True)
class CSources:
    """header: declares the model's functions and sizes; units: what is compiled; prefix: of the model's names in C."""

    header: Path
    units: tuple[Path, ...]
    prefix: str

    def flags(self) -> tuple[str, ...]:
        """Compiler flags under which a program may include no header and call the model `model_*` and `MODEL_*`."""
        names = [f"-Dmodel_{name}={self.prefix}_{name}" for name in FUNCTIONS if self.prefix != "model"]
        sizes = [f"-DMODEL_{size}={self.prefix.upper()}_{size}" for size in SIZES if self.prefix != "model"]
        return ("-include", str(self.header), *names, *sizes)


def c_sources(folder: Path) -> CSources:
    """Find the model's sources: the one header with PREFIX_INPUT_BYTES, the .c of its name, and the kernel library.

    Raises MeasurementError where one of them is missing or there are several models.
    """
    found = [
        (header, match[1])
        for header in sorted(folder.glob("*.h"))
        if (match := re.search(r"^\s*#define\s+(\w+)_INPUT_BYTES\b", header.read_text(errors="replace"), re.MULTILINE))
    ]
    if len(found) != 1:
        names = ", ".join(header.name for header, _ in found) or "none"
        raise MeasurementError(f"{folder}: needs exactly one header that defines ..._INPUT_BYTES, has {names}")
    header, prefix = found[0]
    units = (header.with_suffix(".c"), *sorted(folder.glob(f"{KERNELS}*.c")))
    missing = [name for name in (header.stem + ".c", f"{KERNELS}.c") if not (folder / name).is_file()]
    if missing:
        raise MeasurementError(f"{folder}: {' and '.join(missing)} missing", "export the model again")
    return CSources(header, units, prefix.lower())
