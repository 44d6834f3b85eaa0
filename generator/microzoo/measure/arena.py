"""TensorFlow Lite Micro's arena for a .tflite, as its wheel reports it after one inference: head, tail and total in bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from microzoo.errors import MeasurementError, ToolMissingError
from microzoo.measure.activations import peak_bytes, planned_bytes
from microzoo.measure.ahead import Ahead, run_ahead
from microzoo.measure.layers import weighted_channels
from microzoo.measure.runtimes import TflmRuntime, arena_budget, child_command
from microzoo.measure.tflite_file import TfliteModel, read_tflite

ARENA_SECONDS = 120.0


@dataclass(frozen=True)
class Arena:
    """head_bytes: activations; tail_bytes: TFLM's own structures; total_bytes: what the application must provide."""

    head_bytes: int
    tail_bytes: int
    total_bytes: int


def measure_arena(path: Path, model: TfliteModel | None = None, ahead: Ahead | None = None) -> Arena:
    """Run one inference of zeros in TFLM's wheel, in a child process, and read its record of allocations.

    model: the file as it was read, if it was; ahead: a `runtime_child` that waits already.

    The tail is that of a 64-bit build: its pointers are twice as long as a microcontroller's. Raises ToolMissingError without the
    wheel, MeasurementError where TFLM refuses the file or crashes on it.
    """
    runtime = TflmRuntime()
    if reason := runtime.missing():
        raise ToolMissingError(reason)
    model = model or read_tflite(path)
    budget = arena_budget(peak_bytes(model), model.file_bytes)
    command = child_command("tflm", path, str(len(model.inputs)), "-", ARENA_SECONDS, budget)
    report = run_ahead(ahead, command, f"{path.name} in {runtime.name}", ARENA_SECONDS)
    return Arena(*(_reported(report, part, path) for part in ("head", "tail", "total")))


def _reported(report: str, part: str, path: Path) -> int:
    found = re.search(rf"Arena allocation {part} (\d+) bytes", report)
    if found is None:
        raise MeasurementError(f"{path.name}: TensorFlow Lite Micro reported no arena {part}", "use the version that was tested")
    return int(found[1])


def tail_32bit_bytes(model: TfliteModel) -> int:
    """Estimated tail of the arena on a 32-bit microcontroller, in bytes.

    12 B a tensor (TfLiteEvalTensor) + 32 B an operator (its node and registration) + 60 B an operator (its kernel's data) + 8 B a
    convolution channel (multiplier and shift) + 0.6 KB: fitted to builds for Cortex-M, hence an estimate.
    """
    return 12 * len(model.tensors) + (32 + 60) * len(model.ops) + 8 * weighted_channels(model) + 614


def total_32bit_bytes(model: TfliteModel, head_bytes: int | None) -> int | None:
    """Estimated arena on a 32-bit microcontroller: `head_bytes` as measured, or as the file's memory plan gives it, + the tail.

    None where neither is known.
    """
    head = planned_bytes(model) if head_bytes is None else head_bytes
    return None if head is None else head + tail_32bit_bytes(model)
