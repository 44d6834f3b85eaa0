"""Figures of an entry's files that need no test data: counted from the .tflite, and the arena that TFLM wants for it."""

from __future__ import annotations

from pathlib import Path

from microzoo.catalog.card import Figure
from microzoo.measure.activations import paper_ram_bytes, peak_bytes, planned_bytes
from microzoo.measure.arena import measure_arena, total_32bit_bytes
from microzoo.measure.layers import mac_count, parameter_count
from microzoo.measure.runtimes import TflmRuntime
from microzoo.measure.tflite_file import OFFLINE_PLAN, TfliteModel

PAPER = "µNAS' definition"


def file_figures(model: TfliteModel, tflite: Path, onnx: Path) -> dict[str, Figure]:
    """activations, peak_bytes, paper_ram, paper_size, parameters, macs, tflite_bytes and onnx_bytes, from the files alone."""
    name, parameters, planned = tflite.name, parameter_count(model), planned_bytes(model)
    placed = f"end of the activation arena as the {OFFLINE_PLAN} plan of {name} places it, input included, add in place"
    if planned is None:
        placed = f"{name} carries no {OFFLINE_PLAN} plan that places every tensor"

    def count(value: int, method: str) -> Figure:
        return Figure(value=value, unit="count", kind="measured", method=method)

    return {
        "activations": _bytes(planned, placed),
        "peak_bytes": _bytes(peak_bytes(model), f"live tensors of {name} in file order, input included, nothing in place"),
        "paper_ram": _bytes(paper_ram_bytes(model), f"{PAPER} on {name} in file order: input excluded, add in place"),
        "paper_size": _bytes(parameters, f"{PAPER} on {name}: one byte a parameter"),
        "parameters": count(parameters, f"elements of weights and biases in {name}"),
        "macs": Figure(value=mac_count(model), unit="macs", kind="measured", method=f"convolutions and dense layers of {name}"),
        "tflite_bytes": _bytes(model.file_bytes, f"size of {name}"),
        "onnx_bytes": _bytes(onnx.stat().st_size, f"size of {onnx.name}"),
    }


def arena_figures(model: TfliteModel, tflite: Path) -> dict[str, Figure]:
    """arena_head, arena_tail, arena_total and arena_total_32bit. Without the wheel the first three have no value, and say why."""
    runtime = TflmRuntime()
    reason = runtime.missing()
    arena = None if reason else measure_arena(tflite)
    method = f"not measured: {reason}" if reason else f"allocations recorded by {runtime.name} on x86-64, {tflite.name}"
    head = arena.head_bytes if arena else None
    total = total_32bit_bytes(model, head)
    source = "arena_head" if arena else "activations"
    fitted = "12 B a tensor + 92 B an operator + 8 B a convolution channel + 614 B, fitted to 32-bit builds"
    estimate = f"{source} + {fitted}" if total is not None else f"no head: {method}, and no memory plan in the file"
    return {
        "arena_head": _bytes(head, method),
        "arena_tail": _bytes(arena.tail_bytes if arena else None, f"{method}; 64-bit pointers" if arena else method),
        "arena_total": _bytes(arena.total_bytes if arena else None, f"{method}; 64-bit pointers" if arena else method),
        "arena_total_32bit": Figure(value=total, unit="bytes", kind="estimated", method=estimate),
    }


def _bytes(value: int | None, method: str) -> Figure:
    return Figure(value=value, unit="bytes", kind="measured", method=method)
