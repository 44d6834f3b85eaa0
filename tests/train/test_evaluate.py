from __future__ import annotations

import numpy as np
import pytest
import torch

from microzoo.graph.graph import Graph
from microzoo.graph.ops import Conv, Flatten
from microzoo.graph.weights import LayerWeights
from microzoo.train.evaluate import accuracy, all_finite, estimate_statistics
from microzoo.train.module import GraphModule, weights


def copying_network() -> tuple[Graph, dict[str, LayerWeights]]:
    """Three classes; the logits are the input's three channels."""
    graph = Graph("x", (1, 1, 3), (Conv("copy", "x", "a", 3, (1, 1)), Flatten("flatten", "a", "y")), "y")
    return graph, {"copy": LayerWeights(np.eye(3, dtype=np.float32).reshape(3, 1, 1, 3), np.zeros(3, np.float32))}


@pytest.mark.parametrize("batch", [1, 3, 512])
def test_accuracy_by_hand(batch):
    graph, copy = copying_network()
    x = np.array([[5, 1, 0], [0, 2, 1], [0, 2, 3], [9, 0, 1], [1, 0, 2]], np.float32).reshape(5, 1, 1, 3)
    y = np.array([0, 1, 2, 1, 1], np.int64)
    assert accuracy(graph, copy, x, y, batch=batch) == 3 / 5


def test_statistics_are_those_of_the_convolutions_output():
    graph = Graph("x", (4, 4, 2), (Conv("conv", "x", "a", 3, (1, 1), batch_norm=True), Flatten("flatten", "a", "y")), "y")
    generator = np.random.default_rng(0)
    module = GraphModule(graph, generator)
    # 700 samples make two whole batches of 256; the other 188 are left out.
    x = (generator.standard_normal((700, 4, 4, 2)) * 3 + 1).astype(np.float32)
    estimate_statistics(module, torch.from_numpy(x))
    layer = weights(module)["conv"]
    out = x[:512].reshape(2, -1, 2) @ layer.weight.reshape(3, 2).T
    assert layer.batch_norm is not None
    np.testing.assert_allclose(layer.batch_norm.mean, out.mean(axis=(0, 1)), rtol=1e-4)
    np.testing.assert_allclose(layer.batch_norm.variance, out.var(axis=1, ddof=1).mean(axis=0), rtol=1e-4)
    assert not module.training


def test_one_bad_number_is_found():
    _, copy = copying_network()
    assert all_finite(copy)
    copy["copy"].bias[1] = np.nan
    assert not all_finite(copy)
