"""Predicted flash and RAM of the C export against images linked for the target."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from microzoo.cost.predict import predict
from microzoo.errors import ArchitectureError
from microzoo.export.c import c_sources
from microzoo.graph.integer import IntegerModel, IntegerWeights, Quantisation
from microzoo.graph.ops import Conv, Dense, Depthwise, weight_shape
from microzoo.measure.footprint import measure_footprint
from microzoo.space.lowering import lower
from microzoo.space.sampling import MICROZOO_SPACE, sample


@pytest.mark.arm
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m55"])
def test_predicted_flash_and_ram_are_within_two_percent_of_the_linked_image(core, tmp_path: Path) -> None:
    rng = np.random.default_rng(77)
    checked = 0
    while checked < 4:
        try:
            graph, predicted = predict(lower(sample(rng, MICROZOO_SPACE), (16, 16, 1), 10), "c", core)
        except ArchitectureError:
            continue
        if predicted.weight_bytes > 60_000:
            continue
        ops = tuple(replace(op, batch_norm=False) if isinstance(op, Conv | Depthwise) else op for op in graph.ops)
        graph = replace(graph, ops=ops)
        weights = {
            op.name: IntegerWeights(
                rng.integers(-127, 128, weight_shape(op, graph.shapes[op.input])).astype(np.int8),
                rng.integers(-1000, 1000, graph.shapes[op.output][-1]).astype(np.int32),
                np.full(1 if isinstance(op, Dense) else graph.shapes[op.output][-1], 0.01, np.float32),
            )
            for op in graph.ops
            if isinstance(op, Conv | Depthwise | Dense)
        }
        model = IntegerModel(graph, dict.fromkeys(graph.shapes, Quantisation(0.0625, -3)), weights)
        folder = tmp_path / str(checked)
        folder.mkdir()
        for name, text in c_sources(model).items():
            (folder / name).write_text(text, encoding="utf-8")
        measured = measure_footprint(folder, core)
        assert measured.flash_bytes <= predicted.flash_bytes + 16
        assert predicted.flash_bytes - measured.flash_bytes <= max(0.02 * measured.flash_bytes, 80), (core, checked)
        assert measured.static_ram_bytes + measured.stack_bytes <= predicted.ram_bytes
        checked += 1
