"""Lowering, by hand: every rule of the space on a small map."""

from dataclasses import replace

import numpy as np
import pytest

from microzoo.errors import ArchitectureError
from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Pad, same_padding
from microzoo.space.architecture import Architecture, Block, Layer, Pool
from microzoo.space.lowering import lower, normalised
from microzoo.space.sampling import MICROZOO_SPACE, MUNAS_SPACE, sample

CONV = Layer("conv", 3, 8)
SHORTCUT = Block((), parallel=True)


def serial(*layers: Layer) -> Block:
    return Block(layers)


def parallel(*layers: Layer) -> Block:
    return Block(layers, parallel=True)


def kinds(graph: Graph) -> list[str]:
    return [type(op).__name__ for op in graph.ops]


def op_named(graph: Graph, name: str):
    return next(op for op in graph.ops if op.name == name)


def test_a_chain_by_hand() -> None:
    architecture = Architecture((serial(Layer("conv", 5, 8, 2, pre_pool=True)),), Pool("avg", 2), dense=(20,))
    graph = lower(architecture, (28, 28, 1), 10)
    assert graph.ops == (
        MaxPool("block1.layer1.prepool", "input", "block1.layer1.prepool", (2, 2), (2, 2)),
        Conv("block1.layer1.conv", "block1.layer1.prepool", "block1.layer1.conv", 8, (5, 5), (2, 2), (0, 0, 0, 0), True, True),
        AvgPool("pool", "block1.layer1.conv", "pool", (2, 2), (2, 2)),
        Flatten("flatten", "pool", "flatten"),
        Dense("dense1", "flatten", "dense1", 20, relu=True),
        Dense("classifier", "dense1", "logits", 10, relu=False),
    )
    assert list(graph.shapes.values()) == [(28, 28, 1), (14, 14, 1), (5, 5, 8), (2, 2, 8), (32,), (20,), (10,)]


def test_kernels_are_clipped_to_the_map() -> None:
    graph = lower(Architecture((serial(Layer("conv", 7, 4, 2)),)), (5, 3, 2), 2)
    assert op_named(graph, "block1.layer1.conv").kernel == (5, 3)
    assert op_named(graph, "block1.layer1.conv").stride == (1, 1)
    assert graph.shapes["block1.layer1.conv"] == (1, 1, 4)


def test_same_padding_keeps_the_map_and_clips_weights_that_only_meet_padding() -> None:
    layer = Layer("depthwise", 7, padding="same")
    graph = lower(Architecture((serial(layer, replace(layer, stride=2)),)), (9, 2, 3), 2)
    first, second = graph.ops[:2]
    assert (first.kernel, first.padding) == ((7, 3), (3, 3, 1, 1))
    assert graph.shapes[first.output] == (9, 2, 3)
    assert second.padding == same_padding(9, 2, (7, 3), (2, 2))
    assert graph.shapes[second.output] == (5, 1, 3)


def test_same_padding_on_a_single_pixel_is_a_pointwise_convolution() -> None:
    same = lower(Architecture((serial(Layer("conv", 7, 4, 2, "same")),)), (1, 1, 3), 2).ops[0]
    assert (same.kernel, same.stride, same.padding) == ((1, 1), (1, 1), (0, 0, 0, 0))


def test_a_pointwise_layer_has_neither_kernel_nor_stride_nor_padding() -> None:
    op = lower(Architecture((serial(Layer("pointwise", 7, 4, 2, "same")),)), (6, 6, 3), 2).ops[0]
    assert (op.kernel, op.stride, op.padding, op.filters) == ((1, 1), (1, 1), (0, 0, 0, 0), 4)


def test_pools_of_one_pixel_vanish_and_others_are_clipped() -> None:
    layer = Layer("pointwise", filters=4, pre_pool=True)
    assert kinds(lower(Architecture((serial(layer),), Pool("max", 6)), (1, 1, 3), 2)) == ["Conv", "Flatten", "Dense"]
    graph = lower(Architecture((serial(layer),), Pool("max", 6)), (1, 9, 3), 2)
    assert op_named(graph, "block1.layer1.prepool").kernel == (1, 2)
    assert op_named(graph, "pool").kernel == (1, 4)


def test_global_pool_overrules_the_pool() -> None:
    graph = lower(Architecture((serial(CONV),), Pool("max", 2), global_pool=True), (9, 7, 1), 2)
    assert op_named(graph, "pool") == AvgPool("pool", "block1.layer1.conv", "pool", (7, 5), (7, 5))


def test_a_branch_reads_what_the_last_serial_block_read_and_takes_its_width() -> None:
    architecture = Architecture((serial(CONV), serial(Layer("conv", 3, 12)), parallel(Layer("conv", 3, 99))))
    graph = lower(architecture, (12, 12, 1), 2)
    branch = op_named(graph, "block3.layer1.conv")
    assert (branch.input, branch.filters) == ("block1.layer1.conv", 12)
    assert op_named(graph, "join.add1").inputs == ("block2.layer1.conv", "block3.layer1.conv")


def test_only_the_last_layer_of_a_branch_takes_the_width() -> None:
    architecture = Architecture((serial(CONV), parallel(Layer("pointwise", filters=5), Layer("conv", 3, 9))))
    graph = lower(architecture, (12, 12, 1), 2)
    assert [op_named(graph, f"block2.layer{i}").filters for i in ("1.pointwise", "2.conv")] == [5, 8]


def test_a_branch_that_ends_depthwise_is_followed_by_a_bare_pointwise_convolution_where_widths_differ() -> None:
    graph = lower(Architecture((serial(CONV), parallel(Layer("depthwise", 3)))), (12, 12, 1), 2)
    assert op_named(graph, "block2.width") == Conv("block2.width", "block2.layer1.depthwise", "block2.width", 8, (1, 1))
    graph = lower(Architecture((serial(CONV), parallel(Layer("depthwise", 3)))), (12, 12, 8), 2)
    assert "block2.width" not in [op.name for op in graph.ops]


def test_a_shortcut_is_the_input_itself_or_widened() -> None:
    same = Layer("conv", 3, 8, padding="same")
    graph = lower(Architecture((serial(same), serial(same), SHORTCUT)), (6, 6, 1), 2)
    assert op_named(graph, "join.add1") == Add("join.add1", "block2.layer1.conv", "block1.layer1.conv", "join.add1")
    graph = lower(Architecture((serial(same), SHORTCUT)), (6, 6, 1), 2)
    assert op_named(graph, "block2.width") == Conv("block2.width", "input", "block2.width", 8, (1, 1))


def test_join_pools_to_the_smallest_map_and_pads_what_is_off_by_one() -> None:
    # 13x13 -> 11x11 (3x3), 7x7 (7x7), 6x6 (3x3 stride 2). Smallest 6: windows round(11/6) = 2 and round(7/6) = 1, round(6/6) = 1.
    # After pooling 5, 7 and 6: the first is padded by 2, the last by 1.
    architecture = Architecture((serial(CONV), parallel(Layer("conv", 7, 8)), parallel(Layer("conv", 3, 8, 2))))
    graph = lower(architecture, (13, 13, 1), 2)
    assert [op for op in graph.ops if isinstance(op, MaxPool | Pad)] == [
        MaxPool("join.pool1", "block1.layer1.conv", "join.pool1", (2, 2), (2, 2)),
        Pad("join.pad1", "join.pool1", "join.pad1", (0, 2, 0, 2)),
        Pad("join.pad3", "block3.layer1.conv", "join.pad3", (0, 1, 0, 1)),
    ]
    assert [op.inputs for op in graph.ops if isinstance(op, Add)] == [
        ("join.pad1", "block2.layer1.conv"),
        ("join.add1", "join.pad3"),
    ]
    assert graph.shapes["join.add2"] == (7, 7, 8)


def test_a_parallel_first_block_is_serial() -> None:
    expected = Architecture((serial(CONV), parallel(CONV)))
    assert normalised(Architecture((parallel(CONV), parallel(CONV)))) == expected
    assert normalised(Architecture((SHORTCUT, parallel(CONV), parallel(CONV)))) == expected
    assert normalised(expected) is expected
    assert lower(Architecture((parallel(CONV), parallel(CONV))), (9, 9, 1), 2) == lower(expected, (9, 9, 1), 2)


@pytest.mark.parametrize(
    ("architecture", "shape", "classes", "message"),
    [
        (Architecture(()), (8, 8, 1), 2, "no block with layers"),
        (Architecture((SHORTCUT,)), (8, 8, 1), 2, "no block with layers"),
        (Architecture((serial(CONV), Block(()))), (8, 8, 1), 2, r"blocks\[1\]\.layers: empty"),
        (Architecture((serial(CONV),)), (8, 0, 1), 2, r"input_shape = \(8, 0, 1\)"),
        (Architecture((serial(CONV),)), (8, 8, 1), 1, "classes = 1"),
        (Architecture((serial(replace(CONV, filters=0)),)), (8, 8, 1), 2, r"blocks\[0\]\.layers\[0\]"),
        (Architecture((serial(CONV),), Pool("avg", 0)), (8, 8, 1), 2, "pool.size = 0"),
        (Architecture((serial(CONV),), dense=(0,)), (8, 8, 1), 2, "dense"),
    ],
)
def test_what_has_no_meaning_is_refused(architecture, shape, classes, message) -> None:
    with pytest.raises(ArchitectureError, match=message):
        lower(architecture, shape, classes)


@pytest.mark.parametrize("rules", [MUNAS_SPACE, MICROZOO_SPACE])
@pytest.mark.parametrize("shape", [(28, 28, 1), (8, 8, 1), (49, 10, 1), (100, 1, 6), (1, 1, 5)])
def test_every_random_architecture_has_a_graph(rules, shape) -> None:
    rng = np.random.default_rng(70)
    for _ in range(60):
        graph = lower(sample(rng, rules), shape, 10)
        assert graph.shapes[graph.output] == (10,)
        assert len({op.name for op in graph.ops}) == len(graph.ops)
        read = {name for op in graph.ops for name in op.inputs}
        assert set(graph.shapes) - read == {graph.output}
        for op in graph.ops:
            if isinstance(op, MaxPool | AvgPool):
                assert op.kernel != (1, 1)
            if isinstance(op, Conv | Depthwise) and any(op.padding):
                h, w, _ = graph.shapes[op.input]
                assert op.padding == same_padding(h, w, op.kernel, op.stride)
        assert graph.ops[-1].relu is False
