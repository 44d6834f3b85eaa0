"""The target's budgets against an entry's figures: what it needs, what there is, and how sure the need is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from microzoo.catalog.card import Figure, Kind, Limit
from microzoo.errors import MeasurementError
from microzoo.spec.cores import milliseconds
from microzoo.spec.models import TargetSpec

TFLM_CODE_BYTES = 48 * 1024
"""Flash of TensorFlow Lite Micro itself with the kernels of these models: 41-48 KB were measured on Cortex-M builds at -Os."""

CERTAINTY: tuple[Kind, ...] = ("measured", "emulated", "estimated", "predicted")
"""From the surest kind of figure to the weakest."""


def limits(target: TargetSpec, figures: Mapping[str, Figure], counted_from: str = ".tflite") -> tuple[Limit, ...]:
    """RAM and flash of `target` against `figures`, then compute (MACs) and latency where it limits them.

    counted_from: the kind of file whose MACs the figures have.

    Runtime c: c_ram (static RAM and stack) and c_flash; where those have no value, predicted_ram and predicted_flash, and the
    limit's kind says "predicted". Runtime tflm: the arena (its 32-bit estimate, else the 64-bit total as an upper bound, else
    predicted_ram) and the file's bytes + TFLM's own code. Where the model hears, RAM and flash of its front end are added.
    Latency: instructions of the generated C, emulated, else predicted.
    Raises MeasurementError where a budget can be judged by no figure.
    """
    ram, flash = (_c_ram, _c_flash) if target.runtime == "c" else (_tflm_ram, _tflm_flash)
    found = [
        Limit(name="ram", have=target.ram_limit_bytes, unit="bytes", **_with_front_end(ram(figures), figures, "ram")),
        Limit(name="flash", have=target.flash_limit_bytes, unit="bytes", **_with_front_end(flash(figures), figures, "flash")),
    ]
    if (most := target.budget.macs) is not None:
        need, kind = _value(figures, "macs"), figures["macs"].kind
        found.append(Limit(name="compute", need=need, have=most, unit="macs", kind=kind, method=f"macs of the {counted_from}"))
    if (longest := target.budget.latency_ms) is not None:
        found.append(Limit(name="latency", have=longest, unit="ms", **_latency(figures, target)))
    return tuple(found)


def _with_front_end(network: dict[str, Any], figures: Mapping[str, Figure], what: Literal["ram", "flash"]) -> dict[str, Any]:
    """`network` and what the front end of sound adds, if there is one. Of the two stacks the deeper one counts."""
    measured, predicted = f"c_features_{what}", f"predicted_features_{what}"
    if measured not in figures and predicted not in figures:
        return network
    own = _first(figures, (measured, "the front end of sound"), (predicted, "the front end of sound, no cross-compiler"))
    need, kinds = network["need"] + own["need"], [network["kind"], own["kind"]]
    if what == "ram":
        mine, other = (figures[name].value if name in figures else None for name in ("c_features_stack", "c_stack"))
        need += max(0, (mine or 0) - (other or 0))
    method = f"{network['method']}; + {own['method']}"
    return {"need": need, "kind": max(kinds, key=CERTAINTY.index), "method": method}


def _latency(figures: Mapping[str, Figure], target: TargetSpec) -> dict[str, Any]:
    found = _first(
        figures,
        ("instructions", "counted on an emulated core"),
        ("predicted_instructions", "no emulated core"),
    )
    need = milliseconds(found["need"], target.clock_mhz, target.assumed_cycles)
    method = f"{found['method']}; {target.assumed_cycles:g} cycles each on average assumed, at {target.clock_mhz:g} MHz"
    return {"need": need, "kind": "predicted" if found["kind"] == "predicted" else "estimated", "method": method}


def _c_ram(figures: Mapping[str, Figure]) -> dict[str, Any]:
    return _first(figures, ("c_ram", "static RAM with the arena, and the deepest stack"), ("predicted_ram", "no cross-compiler"))


def _c_flash(figures: Mapping[str, Figure]) -> dict[str, Any]:
    return _first(figures, ("c_flash", "linked code and constants"), ("predicted_flash", "no cross-compiler"))


def _tflm_ram(figures: Mapping[str, Figure]) -> dict[str, Any]:
    return _first(
        figures,
        ("arena_total_32bit", "arena on a 32-bit part; without TFLM's stack and the interpreter object"),
        ("arena_total", "arena of a 64-bit build: an upper bound, its pointers are twice as long"),
        ("predicted_ram", "no TFLM here and no memory plan in the file"),
    )


def _tflm_flash(figures: Mapping[str, Figure]) -> dict[str, Any]:
    size = _value(figures, "tflite_bytes")
    method = f"tflite_bytes + {TFLM_CODE_BYTES:,} bytes of TFLM's own code (41-48 KB measured on Cortex-M builds)"
    return {"need": size + TFLM_CODE_BYTES, "kind": "estimated", "method": method}


def _first(figures: Mapping[str, Figure], *choices: tuple[str, str]) -> dict[str, Any]:
    """Need, kind and method of the first figure of `choices` (name, explanation) that has a value."""
    for name, explanation in choices:
        figure = figures.get(name)
        if figure is not None and figure.value is not None:
            return {"need": figure.value, "kind": figure.kind, "method": f"{name}: {explanation}"}
    names = ", ".join(name for name, _ in choices)
    raise MeasurementError(f"no figure to judge a budget by: {names} all have no value", "install what they need: `zoo doctor`")


def _value(figures: Mapping[str, Figure], name: str) -> float:
    figure = figures.get(name)
    if figure is None or figure.value is None:
        raise MeasurementError(f"no figure to judge a budget by: {name} has no value")
    return figure.value
