"""Networks to bytes and back, integer and float ones: .npz with JSON inside, no pickles."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from typing import Any

import numpy as np

from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel, IntegerWeights, Quantisation
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Op, Pad
from microzoo.graph.weights import BatchNorm, LayerWeights, Weights

_KINDS: dict[str, type[Op]] = {kind.__name__: kind for kind in (Conv, Depthwise, Dense, MaxPool, AvgPool, Add, Pad, Flatten)}
_STATISTICS = ("gamma", "beta", "mean", "variance")


def dump_integer_model(model: IntegerModel) -> bytes:
    """The model as .npz bytes."""
    arrays: dict[str, Any] = {}
    for name, weights in model.weights.items():
        arrays |= {f"{name}/weight": weights.weight, f"{name}/bias": weights.bias, f"{name}/scales": weights.scales}
    tensors = {name: asdict(quantisation) for name, quantisation in model.tensors.items()}
    return _packed({**_description(model.graph), "tensors": tensors}, arrays)


def parse_integer_model(content: bytes) -> IntegerModel:
    """The inverse of `dump_integer_model`. Raises ValueError, KeyError or TypeError on other bytes."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        raw = json.loads(arrays["description"].tobytes())
        graph = _graph(raw)
        weights = {
            op.name: IntegerWeights(*(arrays[f"{op.name}/{part}"] for part in ("weight", "bias", "scales")))
            for op in graph.ops
            if isinstance(op, Conv | Depthwise | Dense)
        }
    return IntegerModel(graph, {name: Quantisation(**fields) for name, fields in raw["tensors"].items()}, weights)


def dump_float_model(graph: Graph, weights: Weights) -> bytes:
    """A graph and its trained parameters as .npz bytes."""
    arrays: dict[str, Any] = {}
    epsilons: dict[str, float] = {}
    for name, layer in weights.items():
        arrays |= {f"{name}/weight": layer.weight, f"{name}/bias": layer.bias}
        if layer.batch_norm is not None:
            arrays |= {f"{name}/{part}": getattr(layer.batch_norm, part) for part in _STATISTICS}
            epsilons[name] = layer.batch_norm.epsilon
    return _packed({**_description(graph), "epsilons": epsilons}, arrays)


def parse_float_model(content: bytes) -> tuple[Graph, Weights]:
    """The inverse of `dump_float_model`. Raises ValueError, KeyError or TypeError on other bytes."""
    weights: Weights = {}
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        raw = json.loads(arrays["description"].tobytes())
        graph = _graph(raw)
        for op in graph.ops:
            if isinstance(op, Conv | Depthwise | Dense):
                epsilon = raw["epsilons"].get(op.name)
                statistics = {part: arrays[f"{op.name}/{part}"] for part in _STATISTICS if epsilon is not None}
                norm = BatchNorm(**statistics, epsilon=epsilon) if statistics else None
                weights[op.name] = LayerWeights(arrays[f"{op.name}/weight"], arrays[f"{op.name}/bias"], norm)
    return graph, weights


def _packed(description: dict[str, Any], arrays: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, description=np.frombuffer(json.dumps(description).encode(), np.uint8), **arrays)
    return stream.getvalue()


def _description(graph: Graph) -> dict[str, Any]:
    return {
        "input": graph.input,
        "input_shape": graph.input_shape,
        "output": graph.output,
        "ops": [{"kind": type(op).__name__, **asdict(op)} for op in graph.ops],
    }


def _graph(raw: dict[str, Any]) -> Graph:
    return Graph(raw["input"], tuple(raw["input_shape"]), tuple(_op(fields) for fields in raw["ops"]), raw["output"])


def _op(fields: dict[str, Any]) -> Op:
    kind = _KINDS[fields.pop("kind")]
    arguments: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    return kind(**arguments)
