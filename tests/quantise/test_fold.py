"""BatchNorm folding against torch's own BatchNorm."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from microzoo.errors import QuantisationError
from microzoo.graph.graph import Graph
from microzoo.graph.ops import Conv, Dense, Depthwise, Flatten
from microzoo.graph.weights import BatchNorm, LayerWeights
from microzoo.quantise.fold import fold
from microzoo.quantise.forward import logits

GRAPH = Graph(
    "input",
    (8, 7, 3),
    (
        Conv("stem", "input", "a", 6, (3, 3), padding=(1, 1, 1, 1), batch_norm=True, relu=True),
        Depthwise("spread", "a", "b", (3, 3), (2, 2), batch_norm=True),
        Conv("mix", "b", "c", 5, (1, 1), relu=True),
        Flatten("flat", "c", "d"),
        Dense("head", "d", "logits", 4),
    ),
    "logits",
)


def _norm(rng: np.random.Generator, channels: int) -> BatchNorm:
    gamma, beta, mean = (rng.normal(0, 1, channels).astype(np.float32) for _ in range(3))
    return BatchNorm(gamma, beta, mean, rng.uniform(0.1, 3.0, channels).astype(np.float32), 1e-3)


def _weights(seed: int) -> dict[str, LayerWeights]:
    rng = np.random.default_rng(seed)

    def layer(shape: tuple[int, ...], channels: int, norm: bool) -> LayerWeights:
        weight = rng.normal(0, 0.4, shape).astype(np.float32)
        return LayerWeights(weight, rng.normal(0, 0.4, channels).astype(np.float32), _norm(rng, channels) if norm else None)

    features = 3 * 3 * 5
    return {
        "stem": layer((6, 3, 3, 3), 6, True),
        "spread": layer((3, 3, 6), 6, True),
        "mix": layer((5, 1, 1, 6), 5, False),
        "head": layer((4, features), 4, False),
    }


def _unfolded(weights: dict[str, LayerWeights], images: np.ndarray) -> np.ndarray:
    """The network in torch with its BatchNorm layers, written out."""

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values))

    def norm(x: torch.Tensor, n: BatchNorm) -> torch.Tensor:
        return F.batch_norm(x, tensor(n.mean), tensor(n.variance), tensor(n.gamma), tensor(n.beta), eps=n.epsilon)

    stem, spread, mix, head = (weights[name] for name in ("stem", "spread", "mix", "head"))
    x = tensor(images.transpose(0, 3, 1, 2))
    x = F.relu(norm(F.conv2d(x, tensor(stem.weight.transpose(0, 3, 1, 2)), tensor(stem.bias), padding=1), stem.batch_norm))
    kernel = tensor(spread.weight.transpose(2, 0, 1)[:, None])
    x = norm(F.conv2d(x, kernel, tensor(spread.bias), stride=2, groups=6), spread.batch_norm)
    x = F.relu(F.conv2d(x, tensor(mix.weight.transpose(0, 3, 1, 2)), tensor(mix.bias)))
    flat = x.permute(0, 2, 3, 1).reshape(len(images), -1)
    return F.linear(flat, tensor(head.weight), tensor(head.bias)).numpy()


def test_the_folded_network_computes_the_same():
    images = np.random.default_rng(1).normal(0, 1, (16, 8, 7, 3)).astype(np.float32)
    for seed in range(5):
        weights = _weights(seed)
        graph, folded = fold(GRAPH, weights)
        assert not any(op.batch_norm for op in graph.ops if isinstance(op, Conv | Depthwise))
        assert all(layer.batch_norm is None for layer in folded.values())
        expected = _unfolded(weights, images)
        np.testing.assert_allclose(logits(graph, folded, images), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_logits_do_not_depend_on_the_batch(monkeypatch):
    images = np.random.default_rng(1).normal(0, 1, (7, 8, 7, 3)).astype(np.float32)
    graph, folded = fold(GRAPH, _weights(0))
    at_once = logits(graph, folded, images)
    monkeypatch.setattr("microzoo.quantise.forward.BATCH_BYTES", 1)
    np.testing.assert_allclose(logits(graph, folded, images), at_once, rtol=1e-5, atol=1e-5)
    assert logits(graph, folded, images[:0]).shape == (0, 4)


@pytest.mark.parametrize(("layer", "field"), [("stem", "gamma"), ("spread", "variance")])
def test_broken_batch_norm_is_named(layer, field):
    weights = _weights(0)
    getattr(weights[layer].batch_norm, field)[2] = np.nan
    with pytest.raises(QuantisationError, match=rf"layer {layer}: \d+ of \d+ weights are NaN or infinite"):
        fold(GRAPH, weights)


def test_a_negative_variance_is_not_passed_over():
    weights = _weights(0)
    weights["stem"].batch_norm.variance[0] = -1.0
    with pytest.raises(QuantisationError, match="layer stem"):
        fold(GRAPH, weights)
