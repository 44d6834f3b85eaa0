"""IntegerModel to a file and back: .npz with JSON inside, no pickles."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from typing import Any

import numpy as np

from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel, IntegerWeights, Quantisation
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Op, Pad

_KINDS: dict[str, type[Op]] = {kind.__name__: kind for kind in (Conv, Depthwise, Dense, MaxPool, AvgPool, Add, Pad, Flatten)}


def dump_integer_model(model: IntegerModel) -> bytes:
    """The model as .npz bytes."""
    arrays: dict[str, Any] = {}
    for name, weights in model.weights.items():
        arrays |= {f"{name}/weight": weights.weight, f"{name}/bias": weights.bias, f"{name}/scales": weights.scales}
    description = {
        "input": model.graph.input,
        "input_shape": model.graph.input_shape,
        "output": model.graph.output,
        "ops": [{"kind": type(op).__name__, **asdict(op)} for op in model.graph.ops],
        "tensors": {name: asdict(quantisation) for name, quantisation in model.tensors.items()},
    }
    stream = io.BytesIO()
    np.savez(stream, description=np.frombuffer(json.dumps(description).encode(), np.uint8), **arrays)
    return stream.getvalue()


def parse_integer_model(content: bytes) -> IntegerModel:
    """The inverse of `dump_integer_model`. Raises ValueError, KeyError or TypeError on other bytes."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        raw = json.loads(arrays["description"].tobytes())
        ops = tuple(_op(fields) for fields in raw["ops"])
        weights = {
            op.name: IntegerWeights(*(arrays[f"{op.name}/{part}"] for part in ("weight", "bias", "scales")))
            for op in ops
            if isinstance(op, Conv | Depthwise | Dense)
        }
    graph = Graph(raw["input"], tuple(raw["input_shape"]), ops, raw["output"])
    return IntegerModel(graph, {name: Quantisation(**fields) for name, fields in raw["tensors"].items()}, weights)


def _op(fields: dict[str, Any]) -> Op:
    kind = _KINDS[fields.pop("kind")]
    arguments: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    return kind(**arguments)
