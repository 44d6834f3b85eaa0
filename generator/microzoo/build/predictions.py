"""What is predicted of a model before its files exist, and whether the files bear it out.

Enters an integer model, leaves figures `predicted_*`; with the measured figures beside them, leaves what is further off than
allowed. Which figure stands against which depends on the target's runtime, since the files place their tensors differently: the
generated C packs them, so that its arena is the live peak; the .tflite places them at multiples of 16 bytes, as TFLM's head does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from microzoo.catalog.card import Figure
from microzoo.cost.c_runtime import ARENA_ALIGNMENT, FITTED_COMPILER, code_bytes
from microzoo.cost.flash import weight_bytes
from microzoo.cost.front_end import front_end_bytes
from microzoo.cost.liveness import liveness
from microzoo.cost.predict import TFLM_ALIGNMENT, predict
from microzoo.cost.tflite_size import tflite_bytes
from microzoo.errors import MeasurementError
from microzoo.export.c import c_plan
from microzoo.export.metadata import normalisation_text
from microzoo.export.plan import plan
from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel
from microzoo.sound.logmel import front_end_of
from microzoo.spec.dataset import DatasetSpec
from microzoo.spec.models import Runtime, TargetSpec

FLASH_SHARE, FILE_SHARE, INSTRUCTIONS_SHARE = 0.02, 0.01, 0.03
"""Of what is found: how far a prediction of the C's flash, of the size of the .tflite, and of the instructions may be off."""
FLASH_BYTES = 80
"""What the flash may always be off: an upper estimate lies up to twice the fit's residual above, over 2 % of an image of 2 KB."""


@dataclass(frozen=True)
class Miss:
    """A prediction that the files do not bear out. allowed: how many it may be off. excused: why that is no fault of
    the prediction, else empty.
    """

    predicted: str
    measured: str
    expected: float
    found: float
    allowed: float
    excused: str = ""

    def __str__(self) -> str:
        off = f"{abs(self.expected - self.found):,.0f} off where {self.allowed:,.0f} are allowed"
        return f"{self.predicted} = {self.expected:,.0f}, {self.measured} = {self.found:,.0f}: {off}"


def predicted_figures(model: IntegerModel, target: TargetSpec, dataset: DatasetSpec) -> dict[str, Figure]:
    """What the search believed of this network, and what follows for its files from the graph alone."""
    graph, runtime = model.graph, target.runtime
    resources = predict(graph, runtime, target.core)[1]
    arena, how = predicted_arena(graph, runtime)
    metadata = [("labels", len("\n".join(dataset.classes).encode()))] if dataset.classes else []
    metadata.append(("input_normalization", len(normalisation_text(dataset.preprocess).encode())))
    found = {
        "predicted_activations": _bytes(arena, how),
        "predicted_ram": _bytes(resources.ram_bytes, f"activations and the RAM of runtime {runtime}"),
        "predicted_flash": _bytes(resources.flash_bytes, f"weights and the code of runtime {runtime}"),
        "predicted_tflite_bytes": _bytes(tflite_bytes(graph, metadata), "layout of the flatbuffer, counted from the graph"),
        "predicted_instructions": Figure(
            value=resources.instructions,
            unit="instructions",
            kind="predicted",
            method=f"how often the loops of the kernels run, counted from the graph, for {target.core}",
        ),
        "predicted_macs": Figure(value=resources.macs, unit="macs", kind="predicted", method="sum over the graph's operators"),
    }
    if (front_end := front_end_of(dataset)) is not None:
        needs = front_end_bytes(front_end, target.core)
        found["predicted_features_ram"] = _bytes(needs.ram_bytes, "buffers of the front end of sound, counted, with padding")
        found["predicted_features_flash"] = _bytes(needs.flash_bytes, "tables of the front end of sound, counted, and its code")
    if runtime != "c":
        c_flash = weight_bytes(graph) + code_bytes(graph, target.core)
        found["predicted_c_flash"] = _bytes(c_flash, "weights and the code of the generated C")
    return found


def predicted_arena(graph: Graph, runtime: Runtime) -> tuple[int, str]:
    """Bytes of activations as `runtime` places them, in the graph's own order, and how they are counted.

    They are the most bytes live at once; for tflm each tensor filled up to 16 bytes. Where the memory plan finds no offsets
    within that, the plan's bytes, and the text says so.
    """
    live, order = liveness(graph, in_place=True), range(len(graph.ops))
    if runtime == "c":
        peak, planned = max(live.profile(order)), c_plan(graph).total_bytes
        how = "live tensors of the graph in the order that is emitted, as the generated C packs them"
    else:
        peak = max(live.aligned(TFLM_ALIGNMENT).profile(order))
        planned = _filled_up(plan(graph, TFLM_ALIGNMENT).total_bytes, TFLM_ALIGNMENT)
        how = f"live tensors of the graph in the order that is emitted, each filled up to {TFLM_ALIGNMENT} bytes as in TFLM"
    return (peak, how) if planned <= peak else (planned, f"memory plan; {how}: {peak} bytes, for which no plan was found")


def misses(runtime: Runtime, figures: Mapping[str, Figure]) -> tuple[Miss, ...]:
    """All predictions among `figures` that are further off than allowed. A measured figure without value is not compared."""
    found = []
    flash = "predicted_flash" if runtime == "c" else "predicted_c_flash"
    arena = "c_arena" if runtime == "c" else "arena_head"
    for predicted, measured, share in (
        ("predicted_activations", arena, 0.0),
        ("predicted_macs", "macs", 0.0),
        ("predicted_tflite_bytes", "tflite_bytes", FILE_SHARE),
        (flash, "c_flash", FLASH_SHARE),
        ("predicted_instructions", "instructions", INSTRUCTIONS_SHARE),
    ):
        expected, actual = _value(figures, predicted), _value(figures, measured)
        if expected is None or actual is None:
            continue
        allowed = max(share * actual, FLASH_BYTES if measured == "c_flash" else 0)
        if abs(expected - actual) > allowed:
            compiled = measured in ("c_flash", "instructions")
            other = compiled and FITTED_COMPILER not in figures[measured].method
            excused = f"the prediction is fitted to {FITTED_COMPILER}" if other else ""
            found.append(Miss(predicted, measured, expected, actual, allowed, excused))
    declared, linked = _value(figures, "c_arena"), _value(figures, "c_static_ram")
    if declared is not None and linked is not None and _filled_up(int(declared), ARENA_ALIGNMENT) != linked:
        found.append(Miss("c_arena", "c_static_ram", declared, linked, ARENA_ALIGNMENT - 1))
    return tuple(found)


def require_predictions(name: str, runtime: Runtime, figures: Mapping[str, Figure]) -> tuple[str, ...]:
    """Sentences for the card about what is off and excused. name: of the entry.

    Raises MeasurementError with the numbers where something is off that is not.
    """
    found = misses(runtime, figures)
    faults = [str(miss) for miss in found if not miss.excused]
    if faults:
        remedy = "nothing was published: a formula in microzoo.cost and the export disagree, report it with this line"
        raise MeasurementError(f"{name}: {'; '.join(faults)}", remedy)
    return tuple(f"{miss}; {miss.excused}." for miss in found)


def _value(figures: Mapping[str, Figure], name: str) -> float | None:
    figure = figures.get(name)
    return None if figure is None else figure.value


def _filled_up(count: int, alignment: int) -> int:
    return -(-count // alignment) * alignment


def _bytes(value: int, method: str) -> Figure:
    return Figure(value=value, unit="bytes", kind="predicted", method=method)
