"""MACs, parameters and shapes against torch's own, on random architectures."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from microzoo.cost.flash import parameters
from microzoo.cost.macs import layer_macs, macs
from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Op, Pad
from microzoo.space.lowering import lower
from microzoo.space.sampling import MICROZOO_SPACE, MUNAS_SPACE, sample


def padded(x: Tensor, padding: tuple[int, int, int, int]) -> Tensor:
    top, bottom, left, right = padding
    return functional.pad(x, (left, right, top, bottom))


def run(op: Op, values: Mapping[str, Tensor], modules: list[nn.Module]) -> Tensor:
    """`op` by torch on (1, C, H, W) without data; its module, if it has one, goes to `modules`."""
    x = values[op.inputs[0]]
    match op:
        case Conv():
            modules.append(nn.Conv2d(x.shape[1], op.filters, op.kernel, op.stride, device="meta"))
            return modules[-1](padded(x, op.padding))
        case Depthwise():
            modules.append(nn.Conv2d(x.shape[1], x.shape[1], op.kernel, op.stride, groups=x.shape[1], device="meta"))
            return modules[-1](padded(x, op.padding))
        case Dense():
            modules.append(nn.Linear(x.shape[1], op.units, device="meta"))
            return modules[-1](x)
        case MaxPool():
            return functional.max_pool2d(x, op.kernel, op.stride)
        case AvgPool():
            return functional.avg_pool2d(x, op.kernel, op.stride)
        case Add():
            return x + values[op.right]
        case Pad():
            return padded(x, op.padding)
        case Flatten():
            return x.flatten(1)


def torch_figures(graph: Graph) -> tuple[dict[str, tuple[int, ...]], int, int]:
    """Shapes with channels last, parameters, MACs."""
    h, w, c = graph.input_shape
    values = {graph.input: torch.empty(1, c, h, w, device="meta")}
    modules: list[nn.Module] = []
    with FlopCounterMode(display=False) as counter:
        for op in graph.ops:
            values[op.output] = run(op, values, modules)
    shapes = {name: (*x.shape[2:], x.shape[1]) for name, x in values.items()}
    count = sum(parameter.numel() for module in modules for parameter in module.parameters())
    return shapes, count, counter.get_total_flops() // 2


@pytest.mark.parametrize("rules", [MUNAS_SPACE, MICROZOO_SPACE])
@pytest.mark.parametrize("input_shape", [(28, 28, 1), (32, 32, 3), (49, 10, 1), (100, 1, 6)])
def test_equal_to_torch(rules, input_shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(40)
    for _ in range(15):
        graph = lower(sample(rng, rules), input_shape, 10)
        assert (graph.shapes, parameters(graph), macs(graph)) == torch_figures(graph), graph


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
