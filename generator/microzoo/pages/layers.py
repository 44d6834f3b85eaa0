"""The layers of a model as rows of a table, and what fills the memory when most of it is used."""

from __future__ import annotations

from math import prod
from typing import Any

from microzoo.catalog.card import Card
from microzoo.pages.diagram import caption
from microzoo.pages.text import grouped, shape


def layer_rows(card: Card) -> list[dict[str, Any]]:
    """A row a layer, in the order of the file."""
    most = max(layer.live_bytes for layer in card.layers)
    return [
        {
            "number": number,
            "name": layer.name,
            "caption": caption(layer),
            "shape": shape(layer.output_shape),
            "parameters": grouped(layer.parameters),
            "macs": grouped(layer.macs),
            "live": grouped(layer.live_bytes),
            "peak": layer.live_bytes == most,
            "at": f"layers.{number - 1}",
        }
        for number, layer in enumerate(card.layers, 1)
    ]


def peak(card: Card) -> dict[str, Any]:
    """The first layer at which most bytes are live, and the tensors that are read or written then or are needed later.

    Sizes are those of the shapes, a byte an element; in an addition that writes over its operand two of them share their bytes.
    """
    at = max(range(len(card.layers)), key=lambda index: (card.layers[index].live_bytes, -index))
    sizes = {layer.output: prod(layer.output_shape) for layer in card.layers}
    written = {layer.output: index for index, layer in enumerate(card.layers)}
    last = {name: index for index, layer in enumerate(card.layers) for name in layer.inputs}
    needed = [name for name in last if written.get(name, -1) < at <= last[name]]
    names = [*needed, card.layers[at].output]
    tensors = [(name, grouped(sizes.get(name, prod(card.input.shape)))) for name in names]
    layer = card.layers[at]
    return {
        "number": at + 1,
        "name": layer.name,
        "live": grouped(layer.live_bytes),
        "at": f"layers.{at}.live_bytes",
        "tensors": tensors,
    }
