"""A .tflite with its operators in another order and a memory plan: enters the file's bytes, leaves the new file's.

Everything else is kept: tensors and their indices, constants, options, names, signatures, other metadata. The flatbuffer is taken
apart and put together in a child process with limits, since the object API believes whatever length a file claims; what comes
back is parsed again and compared with what went in.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace

from microzoo.errors import ImportedModelError
from microzoo.importer.order import best_order, reordered
from microzoo.importer.place import ALIGNMENT, Placement, place
from microzoo.measure.activations import planned_bytes
from microzoo.measure.children import run_together
from microzoo.measure.scratch import scratch_folder, write_scratch
from microzoo.measure.tflite_file import TfliteModel, constants, parse_tflite

SECONDS = 60.0


def planned(model: TfliteModel) -> tuple[tuple[int, ...], Placement]:
    """The order of operators that takes the fewest bytes, and the offsets for it.

    The order with the least peak, unless alignment or gaps make it worse than the file's own.
    """
    own = tuple(range(len(model.ops)))
    choices = [(order, place(reordered(model, order))) for order in dict.fromkeys((best_order(model, in_place=True), own))]
    return min(choices, key=lambda choice: choice[1].total_bytes)


def repack(data: bytes, where: str) -> bytes:
    """The file that `repack_with_plan` makes."""
    return repack_with_plan(data, where)[0]


def repack_with_plan(data: bytes, where: str) -> tuple[bytes, Placement]:
    """The file with its operators in the order that takes the fewest bytes and the plan for it embedded, and that plan.

    Raises MeasurementError as `parse_tflite` does, ImportedModelError where the file cannot be put together again unchanged.
    """
    model = parse_tflite(data, where)
    order, placement = planned(model)
    if any(offset % ALIGNMENT for offset in placement.offsets if offset >= 0):
        raise AssertionError(placement)
    with scratch_folder() as scratch:
        write_scratch(scratch / "in.tflite", data)
        write_scratch(scratch / "plan.json", json.dumps({"order": order, "offsets": placement.offsets}).encode())
        names = [scratch / name for name in ("in.tflite", "plan.json", "out.tflite")]
        run_together([[sys.executable, "-m", "microzoo.importer.repack_child", *names, str(int(SECONDS))]], where, SECONDS)
        written = (scratch / "out.tflite").read_bytes()
    _compare(model, written, data, order, placement, where)
    return written, placement


def _compare(model: TfliteModel, written: bytes, data: bytes, order: tuple[int, ...], placement: Placement, where: str) -> None:
    """The new file states the same graph and constants, in the new order, with the plan, which overlaps nothing that is live."""
    found = parse_tflite(written, where)
    expected = replace(reordered(model, order), offline_offsets=placement.offsets, file_bytes=len(written))
    if found != expected or constants(written, where) != constants(data, where):
        raise ImportedModelError(f"{where}: cannot be put together again unchanged", "convert it with a newer converter")
    planned_bytes(found)
