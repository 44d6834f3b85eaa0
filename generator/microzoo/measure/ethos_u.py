"""A .tflite on an Arm Ethos-U: SRAM, flash and cycles as Arm's compiler Vela estimates them for a named system."""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from microzoo.catalog.card import Figure
from microzoo.errors import MeasurementError, ToolMissingError
from microzoo.measure.children import run_together
from microzoo.measure.scratch import scratch_folder
from microzoo.measure.tflite_file import read_tflite
from microzoo.spec.models import NpuSpec

PACKAGE = "ethos-u-vela"
INSTALL_REMEDY = "on x86-64 Linux: pip install 'microzoo[ethos]'"
CONFIGURATION = "Arm/vela.ini"
VELA_SECONDS = 300.0
KIB = 1024


@dataclass(frozen=True)
class EthosEstimate:
    """sram_bytes, flash_bytes: of the compiled network. cycles: of the NPU's clock for one inference. cpu_operators: of the
    compiled file, left to the core.
    """

    sram_bytes: int
    flash_bytes: int
    cycles: int
    cpu_operators: int


def missing() -> str | None:
    """Why nothing can be estimated here, with the remedy; None where it can."""
    return None if find_spec("ethosu") is not None else f"the Python package {PACKAGE} is not installed; {INSTALL_REMEDY}"


def tool_name() -> str:
    """For instance "Vela 5.2.0"."""
    try:
        return f"Vela {version(PACKAGE)}"
    except PackageNotFoundError:
        return "Vela (not installed)"


def estimate(tflite: Path, npu: NpuSpec) -> EthosEstimate:
    """Compile `tflite` for `npu` in a child process and read the summary.

    Raises ToolMissingError where `missing()` says why, MeasurementError on a damaged file and where Vela refuses it.
    """
    if reason := missing():
        raise ToolMissingError(reason)
    read_tflite(tflite)
    with scratch_folder() as scratch:
        command: list[str | Path] = [sys.executable, "-m", "ethosu.vela", tflite.absolute(), "--output-dir", scratch]
        command += ["--config", CONFIGURATION, "--accelerator-config", npu.accelerator]
        command += ["--system-config", npu.system, "--memory-mode", npu.memory]
        run_together([command], f"{tflite.name} in {tool_name()}", VELA_SECONDS)
        summaries = sorted(scratch.glob("*_summary_*.csv"))
        compiled = sorted(scratch.glob("*_vela.tflite"))
        if len(summaries) != 1 or len(compiled) != 1:
            raise MeasurementError(f"{tflite.name}: {tool_name()} wrote no summary", "use the version that was tested")
        row = _row(summaries[0])
        on_core = _operators_on_core(compiled[0])
    return EthosEstimate(
        sram_bytes=_kib(row, "sram_memory_used"),
        flash_bytes=_kib(row, "off_chip_flash_memory_used") + _kib(row, "on_chip_flash_memory_used"),
        cycles=round(float(row["cycles_total"])),
        cpu_operators=on_core,
    )


def ethos_figures(tflite: Path, npu: NpuSpec) -> dict[str, Figure]:
    """ethos_sram, ethos_flash, ethos_cycles and ethos_cpu_operators. Without Vela: None, and why."""
    units: dict[str, Literal["bytes", "cycles", "count"]] = {
        "ethos_sram": "bytes",
        "ethos_flash": "bytes",
        "ethos_cycles": "cycles",
        "ethos_cpu_operators": "count",
    }
    if reason := missing():
        method = f"not estimated: {reason}"
        return {name: Figure(value=None, unit=unit, kind="estimated", method=method) for name, unit in units.items()}
    found = estimate(tflite, npu)
    values = (found.sram_bytes, found.flash_bytes, found.cycles, found.cpu_operators)
    system = f"{npu.accelerator}, {npu.system}, {npu.memory}"
    method = f"{tflite.name} compiled by {tool_name()} for {system}; Vela's own estimate, nothing was run"
    return {
        name: Figure(value=value, unit=unit, kind="estimated", method=method)
        for (name, unit), value in zip(units.items(), values, strict=True)
    }


def _row(summary: Path) -> dict[str, str]:
    """The one line of Vela's summary."""
    with summary.open(newline="") as file:
        (row,) = csv.DictReader(file)
    return row


def _kib(row: dict[str, str], column: str) -> int:
    """A column that is given in KiB, as bytes."""
    return round(float(row[column]) * KIB)


def _operators_on_core(compiled: Path) -> int:
    """Operators of Vela's output that are not its own custom operator. The file comes from Vela, not from strangers."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAsModel(compiled.read_bytes(), 0)
    graph = model.Subgraphs(0)
    codes = [model.OperatorCodes(graph.Operators(index).OpcodeIndex()) for index in range(graph.OperatorsLength())]
    return sum((code.CustomCode() or b"") != b"ethos-u" for code in codes)
