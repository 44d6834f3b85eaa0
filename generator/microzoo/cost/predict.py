"""Prediction: a Graph and a runtime go in; the Graph in its best order and its Resources come out."""

from __future__ import annotations

from dataclasses import dataclass

from microzoo.cost.flash import layer_weight_bytes, weighted
from microzoo.cost.liveness import liveness
from microzoo.cost.macs import macs
from microzoo.cost.memory import minimum
from microzoo.cost.resources import Resources
from microzoo.graph.graph import Graph
from microzoo.graph.ops import Conv, Dense, Depthwise, Flatten, Pad
from microzoo.spec.models import Runtime


@dataclass(frozen=True)
class RuntimeCost:
    """What a runtime needs besides activations and weights, in bytes.

    alignment: of an activation in the arena. code, code_per_op: flash; no code is charged for Flatten where `flatten_is_free`.
    model_per_tensor, model_per_op, model_per_channel: flash of the model's description besides the weights.
    ram: fixed RAM (stack or the interpreter's own). ram_per_tensor (constants are tensors too), ram_per_op, ram_per_op_data (operators
    that keep prepared data: all but Flatten), ram_per_channel (of convolutions): the interpreter's structures.
    """

    alignment: int
    code: int
    code_per_op: int
    flatten_is_free: bool
    model_per_tensor: int
    model_per_op: int
    model_per_channel: int
    ram: int
    ram_per_tensor: int
    ram_per_op: int
    ram_per_op_data: int
    ram_per_channel: int
