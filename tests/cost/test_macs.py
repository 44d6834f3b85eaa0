"""MACs, parameters and shapes against torch's own, on random architectures."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import conv_flop_count, mm_flop

from microzoo.cost.flash import parameters
from microzoo.cost.macs import layer_macs, macs
from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Op, Pad
from microzoo.space.lowering import lower
from microzoo.space.sampling import MICROZOO_SPACE, MUNAS_SPACE, sample


def padded(x: Tensor, padding: tuple[int, int, int, int]) -> Tensor:
    top, bottom, left, right = padding
    return functional.pad(x, (left, right, top, bottom)) if any(padding) else x


@cache
def zeros(*shape: int) -> Tensor:
    return torch.zeros(shape)


def run(op: Op, values: Mapping[str, Tensor]) -> tuple[Tensor, int, int]:
    """`op` by torch on (1, C, H, W): what it writes, how many parameters it has, and twice its MACs by torch's own count."""
    x = values[op.inputs[0]]
    match op:
        case Conv() | Depthwise():
            channels = x.shape[1]
            filters, groups = (op.filters, 1) if isinstance(op, Conv) else (channels, channels)
            weight, bias = zeros(filters, channels // groups, *op.kernel), zeros(filters)
            y = functional.conv2d(padded(x, op.padding), weight, bias, op.stride, groups=groups)
            return y, weight.numel() + bias.numel(), conv_flop_count(list(x.shape), list(weight.shape), list(y.shape))
        case Dense():
            weight, bias = zeros(op.units, x.shape[1]), zeros(op.units)
            y = functional.linear(x, weight, bias)
            return y, weight.numel() + bias.numel(), mm_flop(x.shape, weight.T.shape)
        case MaxPool():
            return functional.max_pool2d(x, op.kernel, op.stride), 0, 0
        case AvgPool():
            return functional.avg_pool2d(x, op.kernel, op.stride), 0, 0
        case Add():
            return x + values[op.right], 0, 0
        case Pad():
            return padded(x, op.padding), 0, 0
        case Flatten():
            return x.flatten(1), 0, 0


@torch.inference_mode()
def torch_figures(graph: Graph) -> tuple[dict[str, tuple[int, ...]], int, int]:
    """Shapes with channels last, parameters, MACs. On the CPU: torch takes longer to get its device without data going."""
    h, w, c = graph.input_shape
    values = {graph.input: zeros(1, c, h, w)}
    count = flops = 0
    for op in graph.ops:
        values[op.output], more, multiplied_and_added = run(op, values)
        count += more
        flops += multiplied_and_added
    return {name: (*x.shape[2:], x.shape[1]) for name, x in values.items()}, count, flops // 2


@pytest.mark.parametrize("rules", [MUNAS_SPACE, MICROZOO_SPACE])
@pytest.mark.parametrize("input_shape", [(28, 28, 1), (32, 32, 3), (49, 10, 1), (100, 1, 6)])
def test_equal_to_torch(rules, input_shape: tuple[int, int, int]) -> None:
    """On 8 x 130 architectures; the shapes that lowering hands on are those that the graph finds for itself."""
    rng = np.random.default_rng(40)
    for case in range(130):
        graph = lower(sample(rng, rules), input_shape, 10)
        assert (graph.shapes, parameters(graph), macs(graph)) == torch_figures(graph), (40, case, graph)
        assert graph.shapes == replace(graph).shapes, (40, case, graph)


def test_hand_worked() -> None:
    # 8x8x2, 3x3 valid to 5 filters: 6*6 positions x 5 filters x 3*3*2 = 3,240; depthwise 3x3 stride 2: 2*2*5 x 9 = 180;
    # flat 2*2*5 = 20 features to 7 units: 140.
    ops = (
        Conv("a", "x", "a", 5, (3, 3)),
        Depthwise("b", "a", "b", (3, 3), (2, 2)),
        Flatten("f", "b", "f"),
        Dense("d", "f", "d", 7),
    )
    graph = Graph("x", (8, 8, 2), ops, "d")
    assert [layer_macs(op, graph.shapes) for op in ops] == [3240, 180, 0, 140]
    assert macs(graph) == 3560
    assert parameters(graph) == (5 * 18 + 5) + (45 + 5) + (140 + 7)


def test_an_unknown_operator_is_an_error() -> None:
    with pytest.raises(AssertionError, match="Expected code to be unreachable"):
        layer_macs(object(), {})  # type: ignore[arg-type]
