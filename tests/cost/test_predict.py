"""The predicted figures of a network that is published with its figures, and of what surrounds the network."""

from dataclasses import fields, replace

import numpy as np
import pytest

from microzoo.cost.flash import weight_bytes
from microzoo.cost.memory import best_order, peak_bytes
from microzoo.cost.predict import floor, predict, predict_within
from microzoo.cost.resources import Resources
from microzoo.graph.ops import Add, Conv
from microzoo.space.lowering import lower
from microzoo.space.reference import plain
from microzoo.space.sampling import MICROZOO_SPACE, MUNAS_SPACE, sample


def test_the_hand_made_network_has_its_known_figures() -> None:
    # 53.7 K parameters, 19.7 KB without the input, 3.4 M MACs: 26x26x24 + 12x12x24 bytes; see the arithmetic of its layers below.
    _, resources = predict(lower(plain((28, 28, 1), 1.0, 4), (28, 28, 1), 10), "c", "cortex-m4")
    layers = [(26, 9, 24), (12, 216, 24), (10, 216, 32), (8, 288, 48), (6, 432, 48), (6, 48, 112)]
    assert resources.paper_size_bytes == sum((taps + 1) * filters for _, taps, filters in layers) + 113 * 10 == 53_666
    assert resources.macs == sum(side * side * taps * filters for side, taps, filters in layers) + 1120 == 3_409_600
    assert resources.paper_ram_bytes == resources.activation_bytes == 26 * 26 * 24 + 12 * 12 * 24


@pytest.mark.parametrize("runtime", ["c", "tflm"])
def test_the_graph_comes_back_in_the_order_of_the_predicted_peak(runtime) -> None:
    rng = np.random.default_rng(60)
    reordered = 0
    for _ in range(40):
        graph = lower(sample(rng, MICROZOO_SPACE), (28, 28, 1), 10)
        ordered, resources = predict(graph, runtime, "cortex-m4")
        assert sorted(op.name for op in ordered.ops) == sorted(op.name for op in graph.ops)
        assert peak_bytes(ordered) == resources.activation_bytes == best_order(graph)[1]
        assert best_order(graph, count_input=False)[1] == resources.paper_ram_bytes <= resources.activation_bytes
        assert resources.weight_bytes == weight_bytes(graph) < resources.flash_bytes
        assert resources.activation_bytes < resources.ram_bytes
        reordered += ordered is not graph
    assert reordered > 0


def test_c_charges_the_kernels_that_occur_every_call_and_the_stack() -> None:
    """Six convolutions, one average pool, one dense layer that their kernel runs, and a Flatten that is free."""
    graph = lower(plain((28, 28, 1), 1.0, 4), (28, 28, 1), 10)
    resources = predict(graph, "c", "cortex-m4")[1]
    assert resources.flash_bytes == resources.weight_bytes + 995 + 6 * 64 + 253 + 64
    assert resources.ram_bytes == resources.activation_bytes + 240


def test_tflm_charges_its_arena_tail() -> None:
    graph = lower(plain((28, 28, 1), 1.0, 4), (28, 28, 1), 10)
    channels = sum(op.filters for op in graph.ops if isinstance(op, Conv))
    tensors = 1 + len(graph.ops) + 2 * 7
    tail = 12 * tensors + 92 * len(graph.ops) + 8 * channels + 614
    resources = predict(graph, "tflm", "cortex-m4")[1]
    assert resources.activation_bytes == 19_680 == 16 * 1230
    assert resources.ram_bytes == 19_680 + tail
    assert resources.flash_bytes > 48 * 1024 + resources.paper_size_bytes


@pytest.mark.parametrize("runtime", ["c", "tflm"])
@pytest.mark.parametrize("rules", [MUNAS_SPACE, MICROZOO_SPACE])
def test_the_floor_is_below_the_prediction_and_exact_in_all_but_ram(runtime, rules) -> None:
    rng = np.random.default_rng(61)
    below = 0
    for case in range(150):
        graph = lower(sample(rng, rules), (28, 28, 1), 10)
        least, exact = floor(graph, runtime, "cortex-m4"), predict(graph, runtime, "cortex-m4")[1]
        for field in fields(Resources):
            assert getattr(least, field.name) <= getattr(exact, field.name), (61, case, field.name, graph)
        ram = (least.activation_bytes, least.paper_ram_bytes, least.ram_bytes)
        exact_ram = (exact.activation_bytes, exact.paper_ram_bytes, exact.ram_bytes)
        names = ("activation_bytes", "paper_ram_bytes", "ram_bytes")
        assert replace(least, **dict(zip(names, exact_ram, strict=True))) == exact, (61, case, graph)
        assert any(isinstance(op, Add) for op in graph.ops) or ram == exact_ram, (61, case, graph)
        below += ram != exact_ram
    assert below > 0, "seed 61: no graph needs more than its floor"


def test_within_limits_is_the_prediction_or_none() -> None:
    rng = np.random.default_rng(62)
    outcomes = set()
    for case in range(150):
        graph = lower(sample(rng, MICROZOO_SPACE), (28, 28, 1), 10)
        exact = predict(graph, "c", "cortex-m4")
        ram, flash = int(exact[1].ram_bytes * rng.uniform(0.9, 1.1)), int(exact[1].flash_bytes * rng.uniform(0.9, 1.5))

        def fits(resources: Resources, ram: int = ram, flash: int = flash) -> bool:
            return resources.ram_bytes <= ram and resources.flash_bytes <= flash

        assert predict_within(graph, "c", "cortex-m4", fits) == (exact if fits(exact[1]) else None), (62, case, graph)
        outcomes.add((fits(floor(graph, "c", "cortex-m4")), fits(exact[1])))
    assert outcomes == {(False, False), (True, False), (True, True)}
