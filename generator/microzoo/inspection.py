"""What `zoo inspect` and `zoo pack` print: tables, the picture of memory over time, and plain lines."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

from microzoo.tables import CHART_WIDTH, print_lines, print_table
from microzoo.terminal import bars, strokes

if TYPE_CHECKING:
    from microzoo.build.inspect import Inspection
    from microzoo.build.pack import Packed

MOST_LAYERS = 200
"""Rows of the table and the chart; a longer model is cut, --json has all."""


def print_inspection(found: Inspection) -> None:
    """The whole report."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in found.ops.items())
    print_lines([f"{found.file}: {found.file_bytes:,} bytes, sha256 {found.sha256}", f"  {kinds}"])
    for end, tensors in (("input", found.inputs), ("output", found.outputs)):
        for each in tensors:
            scale = "" if each["scale"] is None else f", scale {each['scale']:.6g}, zero point {each['zero_point']}"
            print_lines([f'  {end} "{each["name"]}" {_shape(each["shape"])} {each["dtype"].lower()}{scale}'])
    rows = [_layer(layer) for layer in found.layers[:MOST_LAYERS]]
    cut = f", the first {MOST_LAYERS}" if len(found.layers) > MOST_LAYERS else ""
    print_table(f"{len(found.layers)} operators{cut}", rows)
    pen, width = strokes(sys.stdout.encoding), min(CHART_WIDTH, shutil.get_terminal_size((CHART_WIDTH, 24)).columns)
    print_lines(["live activations, bytes, in file order (nothing in place)"])
    print_lines(bars([(f"{x.index} {x.kind}", x.live_bytes) for x in found.layers[:MOST_LAYERS]], max(width, 48), pen))
    print_lines([""])
    print_table("figures", [{"figure": name, "value": value, "remark": remark} for name, value, remark in _figures(found)])
    if found.uncounted:
        listed = ", ".join(f"{count} {kind}" for kind, count in found.uncounted.items())
        print_lines([f"not counted, since no rule says what they cost: {listed}"])
    print_lines(found.notes)
    if found.verdicts:
        print_table("targets", [_verdict(name, verdict) for name, verdict in found.verdicts.items()])


def print_packed(packed: Packed) -> None:
    """Files, savings, notes."""
    print_lines([f"wrote {file}" for file in packed.files])
    rows = [
        {"figure": each.figure, "before": each.before, "after": each.after, "saved": each.saved, "remark": each.note}
        for each in packed.savings
    ]
    print_table("savings", rows)
    print_lines([f"note: {note}" for note in packed.notes])


def _layer(layer: Any) -> dict[str, Any]:
    return {
        "#": layer.index,
        "operator": layer.kind,
        "writes": layer.name,
        "shape": _shape(layer.shape),
        "type": layer.dtype.lower(),
        "kernel": _shape(layer.kernel),
        "stride": _shape(layer.stride),
        "parameters": layer.parameters,
        "macs": "not counted" if layer.macs is None else f"{layer.macs:,}",
        "other": "-" if layer.other is None else f"{layer.other:,}",
        "live_bytes": layer.live_bytes,
    }


def _figures(found: Inspection) -> list[tuple[str, int | None, str]]:
    best = found.peak_bytes - found.best_peak_bytes
    return [
        ("parameters", found.parameters, f"{found.weight_bytes:,} bytes of constants"),
        ("macs", found.macs, "multiply-accumulates" + (" of what is counted" if found.uncounted else "")),
        ("other operations", found.other_operations, "of pooling, sums and the like"),
        ("peak bytes", found.peak_bytes, "live activations in file order, inputs included, nothing in place"),
        ("best peak bytes", found.best_peak_bytes, f"in the best order of operators: {best:,} less"),
        ("planned bytes", found.planned_bytes, "end of the file's memory plan" if found.planned_bytes else "there is none"),
        ("arena head bytes", found.arena_head_bytes, found.arena_note or "activations in TensorFlow Lite Micro"),
        ("arena tail bytes", found.arena_tail_bytes, "" if found.arena_note else "its own structures, on 64 bits"),
        ("arena total bytes", found.arena_total_bytes, "" if found.arena_note else "both, as the application must give them"),
    ]  # fmt: skip


def _verdict(name: str, verdict: Any) -> dict[str, Any]:
    row = {"target": name, "fits": {True: "yes", False: "no", None: "not known"}[verdict.fits], "runtime": verdict.runtime}
    found = {limit["name"]: limit for limit in verdict.limits}
    for kind in ("ram", "flash", "compute", "latency"):
        limit = found.get(kind)
        row[kind] = f"{_amount(limit, 'need')} of {_amount(limit, 'have')}{'' if limit['fits'] else ' (!)'}" if limit else "-"
    return row | {"remark": verdict.note}


def _amount(limit: dict[str, Any], side: str) -> str:
    value = limit[side]
    if limit["unit"] != "ms":
        return f"{value:,.0f}"
    return f"{value:.3g} ms" if value < 999.5 else f"{value:,.0f} ms"  # three digits of more would have an exponent


def _shape(shape: Any) -> str:
    return "x".join(map(str, shape)) if shape else "-"
