"""Predictions against real exports of random networks, and a build that stops where one of them misses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from microzoo.build import predictions
from microzoo.build.predictions import FLASH_SHARE, misses, predicted_arena, predicted_figures, require_predictions
from microzoo.catalog.card import Figure
from microzoo.cost.flash import weight_bytes
from microzoo.cost.predict import predict
from microzoo.cost.tflite_size import tflite_bytes
from microzoo.errors import ArchitectureError, MeasurementError
from microzoo.export.c import c_plan, c_sources
from microzoo.export.metadata import normalisation_text
from microzoo.export.tflite import tflite
from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel, IntegerWeights, Quantisation
from microzoo.graph.ops import Conv, Dense, Depthwise, weight_shape
from microzoo.measure.activations import planned_bytes
from microzoo.measure.arena import measure_arena
from microzoo.measure.footprint import c_arena_figure, measure_footprint
from microzoo.measure.tflite_file import parse_tflite
from microzoo.space.lowering import lower
from microzoo.space.sampling import MICROZOO_SPACE, MUNAS_SPACE, sample
from microzoo.spec.models import TargetBudget, TargetSpec

from ..measure.files import dataset_spec, residual_model  # noqa: TID252  # tests are no package with a name

SEED = 90
SHAPES = ((28, 28, 1), (8, 8, 1), (49, 10, 1), (15, 17, 2))
TARGET = TargetSpec(
    title="part", core="cortex-m4", clock_mhz=80.0, budget=TargetBudget(ram_bytes=1 << 20, flash_bytes=1 << 20, macs=10**6)
)


def networks(count: int) -> Iterator[IntegerModel]:
    """Of both spaces, in the order of least memory, with random weights of at most 40 KB."""
    rng = np.random.default_rng(SEED)
    while count:
        rules = (MICROZOO_SPACE, MUNAS_SPACE)[count % 2]
        try:
            graph = predict(lower(sample(rng, rules), SHAPES[count % len(SHAPES)], int(rng.integers(2, 13))), "c", "cortex-m4")[0]
        except ArchitectureError:
            continue
        if weight_bytes(graph) <= 40_000:
            count -= 1
            yield random_model(graph, rng)


def random_model(graph: Graph, rng: np.random.Generator) -> IntegerModel:
    ops = tuple(replace(op, batch_norm=False) if isinstance(op, Conv | Depthwise) else op for op in graph.ops)
    graph, weights = replace(graph, ops=ops), {}
    for op in graph.ops:
        if isinstance(op, Conv | Depthwise | Dense):
            outputs = graph.shapes[op.output][-1]
            values = rng.integers(-127, 128, weight_shape(op, graph.shapes[op.input])).astype(np.int8)
            biases = rng.integers(-1000, 1000, outputs).astype(np.int32)
            weights[op.name] = IntegerWeights(values, biases, np.full(1 if isinstance(op, Dense) else outputs, 0.01, np.float32))
    return IntegerModel(graph, dict.fromkeys(graph.shapes, Quantisation(0.0625, -3)), weights)


def test_activations_and_file_sizes_of_random_networks_are_predicted_to_the_byte() -> None:
    spec = dataset_spec()
    for case, model in enumerate(networks(40)):
        labels = tuple(f"class {index} é" for index in range(model.graph.shapes[model.graph.output][0])) if case % 2 else ()
        how = spec.preprocess if case % 3 else None
        metadata = [("labels", len("\n".join(labels).encode()))] if labels else []
        metadata += [("input_normalization", len(normalisation_text(how).encode()))] if how else []
        content = tflite(model, labels=labels, normalisation=how)
        assert tflite_bytes(model.graph, metadata) == len(content), (SEED, case, model.graph)
        placed = planned_bytes(parse_tflite(content))
        assert placed is not None
        assert predicted_arena(model.graph, "tflm")[0] == -(-placed // 16) * 16, (SEED, case, model.graph)
        packed, how_packed = predicted_arena(model.graph, "c")
        assert packed == c_plan(model.graph).total_bytes and how_packed.startswith("live tensors"), (SEED, case)
        assert packed == predict(model.graph, "c", "cortex-m4")[1].activation_bytes, "the order of least memory is emitted"


@pytest.mark.arm
@pytest.mark.tflm
def test_linked_flash_linked_arena_and_the_head_in_tflm(tmp_path: Path) -> None:
    for case, model in zip(range(3), networks(3), strict=True):
        folder = tmp_path / str(case)
        folder.mkdir()
        for name, text in c_sources(model).items():
            (folder / name).write_text(text, encoding="utf-8")
        (folder / "model.tflite").write_bytes(tflite(model))
        found, arena = measure_footprint(folder, "cortex-m4"), c_arena_figure(folder)["c_arena"].value
        flash = predict(model.graph, "c", "cortex-m4")[1].flash_bytes
        assert abs(flash - found.flash_bytes) <= FLASH_SHARE * found.flash_bytes, (SEED, case, flash, found)
        assert arena == predicted_arena(model.graph, "c")[0] and -(-arena // 4) * 4 == found.static_ram_bytes, (SEED, case)
        assert measure_arena(folder / "model.tflite").head_bytes == predicted_arena(model.graph, "tflm")[0], (SEED, case)


def test_a_plan_above_the_live_peak_is_what_is_predicted_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    model = next(networks(1))
    peak = predicted_arena(model.graph, "c")[0]
    monkeypatch.setattr(predictions, "c_plan", lambda graph: replace(c_plan(graph), total_bytes=peak + 5))
    arena, how = predicted_arena(model.graph, "c")
    assert arena == peak + 5 and how.startswith("memory plan") and f"{peak} bytes, for which no plan was found" in how


GCC = ".text + .rodata + .data, arm-none-eabi-gcc 12.2.1 -O2 for cortex-m4, linked"
MEASURED = {
    "c_arena": (1001, "MODEL_ARENA_BYTES"),
    "c_static_ram": (1004, GCC),
    "c_flash": (10_000, GCC),
    "arena_head": (1008, "TFLM"),
    "activations": (1001, "plan"),
    "tflite_bytes": (3000, "size"),
}
TRUE = {"predicted_activations": 1001, "predicted_flash": 10_200, "predicted_tflite_bytes": 3030, "predicted_macs": 7}


def figures(changes: dict[str, int | None] | None = None) -> dict[str, Figure]:
    found = {
        name: Figure(value=value, unit="bytes", kind="measured", method=method) for name, (value, method) in MEASURED.items()
    }
    found |= {name: Figure(value=value, unit="bytes", kind="predicted", method="formula") for name, value in TRUE.items()}
    found["macs"] = Figure(value=7, unit="macs", kind="measured", method="file")
    return found | {name: found[name].model_copy(update={"value": value}) for name, value in (changes or {}).items()}


def test_what_is_within_the_allowed_passes() -> None:
    assert misses("c", figures()) == () and require_predictions("a/b/c", "c", figures()) == ()
    assert misses("tflm", figures({"predicted_activations": 1008})) == (), "the flash there is not that of the C"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("predicted_activations", 1000, "predicted_activations = 1,000, c_arena = 1,001: 1 off where 0 are allowed"),
        ("predicted_flash", 10_201, "predicted_flash = 10,201, c_flash = 10,000: 201 off where 200 are allowed"),
        ("predicted_flash", 9_799, "predicted_flash = 9,799, c_flash = 10,000: 201 off where 200 are allowed"),
        ("predicted_tflite_bytes", 3031, "predicted_tflite_bytes = 3,031, tflite_bytes = 3,000: 31 off where 30 are allowed"),
        ("predicted_macs", 8, "predicted_macs = 8, macs = 7: 1 off where 0 are allowed"),
        ("c_static_ram", 1008, "c_arena = 1,001, c_static_ram = 1,008: 7 off where 3 are allowed"),
    ],
)
def test_a_doctored_prediction_stops_the_build_with_the_numbers(name: str, value: int, message: str) -> None:
    with pytest.raises(MeasurementError) as caught:
        require_predictions("digits/cortex-m4-64k", "c", figures({name: value}))
    assert str(caught.value).startswith(f"digits/cortex-m4-64k: {message}; nothing was published")


def test_two_percent_of_a_very_small_image_are_less_than_the_fit_can_tell() -> None:
    small = {"c_flash": 1896, "predicted_flash": 1896 + 80}
    assert misses("c", figures(small)) == ()
    assert [miss.allowed for miss in misses("c", figures(small | {"predicted_flash": 1977}))] == [80]


def test_without_a_tool_nothing_is_compared_with_it() -> None:
    absent: dict[str, int | None] = dict.fromkeys(("c_flash", "c_static_ram", "arena_head"))
    assert misses("c", figures(absent | {"predicted_flash": 1})) == ()
    assert misses("tflm", figures(absent | {"predicted_activations": 1})) == ()
    assert [miss.predicted for miss in misses("c", figures(absent | {"predicted_activations": 1}))] == ["predicted_activations"]


def test_another_compiler_than_the_fitted_one_is_told_and_no_fault() -> None:
    found = figures({"predicted_flash": 20_000})
    found["c_flash"] = found["c_flash"].model_copy(update={"method": GCC.replace("12.2.1", "14.2.0")})
    (sentence,) = require_predictions("a/b", "c", found)
    assert sentence.endswith("where 200 are allowed; the prediction is fitted to arm-none-eabi-gcc 12.2.")


def test_for_tflm_the_flash_of_the_c_is_predicted_too() -> None:
    model = next(networks(1))
    c = predicted_figures(model, TARGET, dataset_spec())
    tflm = predicted_figures(model, TARGET.model_copy(update={"runtime": "tflm"}), dataset_spec())
    assert "predicted_c_flash" not in c and tflm["predicted_c_flash"].value == c["predicted_flash"].value
    assert tflm["predicted_activations"].value % 16 == 0 and "16 bytes" in tflm["predicted_activations"].method


def test_labels_and_normalisation_of_the_dataset_are_counted() -> None:
    model, spec = residual_model(), dataset_spec()
    content = tflite(model, labels=spec.classes, normalisation=spec.preprocess)
    assert predicted_figures(model, TARGET, spec)["predicted_tflite_bytes"].value == len(content)
