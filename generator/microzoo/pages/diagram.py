"""A network as boxes in the order of execution, branches drawn as branches. From the layers of a card; SVG leaves.

One row a layer, top to bottom. A tensor holds the lane of the layer that writes it until its last reader, so that no line
crosses a box: a shortcut runs straight down beside the layers that it passes by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from microzoo.catalog.card import LayerRow
from microzoo.pages.svg import drawing, element, path, text, xy
from microzoo.pages.text import grouped, shape, short, size

BOX_WIDTH, BOX_HEIGHT, ROW, GAP, MARGIN = 252.0, 36.0, 54.0, 28.0, 8.0

TITLES = {
    "CONV_2D": "convolution",
    "DEPTHWISE_CONV_2D": "depthwise convolution",
    "FULLY_CONNECTED": "dense",
    "MAX_POOL_2D": "max pooling",
    "AVERAGE_POOL_2D": "average pooling",
    "ADD": "add",
    "PAD": "zero padding",
    "RESHAPE": "flatten",
}
"""TFLite's builtin names in words; one that is not here is shown as it is."""


@dataclass(frozen=True)
class Place:
    """Where a layer is drawn: row 0 is the network's input, layer i stands in row i + 1."""

    row: int
    lane: int


def places(layers: Sequence[LayerRow]) -> tuple[dict[str, Place], dict[str, int]]:
    """Tensor name -> place of the layer that writes it, and -> row of its last reader (its own row if nothing reads it)."""
    last: dict[str, int] = {}
    for row, layer in enumerate(layers, 1):
        last[layer.output] = row
        for name in layer.inputs:
            last[name] = row
    written = {layer.output for layer in layers}
    placed = {name: Place(0, lane) for lane, name in enumerate(name for name in last if name not in written)}
    for row, layer in enumerate(layers, 1):
        ending = [placed[name].lane for name in layer.inputs if last[name] == row]
        held = {place.lane for name, place in placed.items() if last[name] > row}
        free = next(lane for lane in range(len(placed) + 1) if lane not in held)
        placed[layer.output] = Place(row, min(ending) if ending else free)
    return placed, last


def architecture(layers: Sequence[LayerRow], input_shape: tuple[int, ...], *, title: str, linked: bool = True) -> Markup:
    """The network's layers and the tensors between them, as a group of links.

    Each box leads to the row `#layer-N` of a table. While it is pointed at or has the focus, its parameters, MACs and live bytes
    stand in place of its shape. linked: False for a network without such a table, whose boxes then say their shape only.
    """
    placed, _ = places(layers)
    lanes = 1 + max(place.lane for place in placed.values())
    width = 2 * MARGIN + lanes * BOX_WIDTH + (lanes - 1) * GAP
    height = 2 * MARGIN + len(layers) * ROW + BOX_HEIGHT
    edges = [_edge(placed[name], placed[layer.output]) for layer in layers for name in layer.inputs]
    sources = [name for name, place in placed.items() if place.row == 0]
    boxes = [
        element("g", element("title", f"{name}, int8"), *_box(placed[name], "input", shape(input_shape), "mz-box mz-io"))
        for name in sources
    ]
    boxes += [_layer(placed[layer.output], layer, linked=linked) for layer in layers]
    words = f"{len(layers)} layers in {lanes} column{'s' if lanes > 1 else ''}, first to last from the top."
    return drawing(
        width,
        height,
        title,
        words,
        *edges,
        *boxes,
        class_="mz-architecture mz-wide" if lanes > 1 else "mz-architecture",
        role="group" if linked else "img",
    )


def caption(layer: LayerRow) -> str:
    """For instance "convolution 3×3 /2, ReLU"."""
    words = TITLES.get(layer.kind, layer.kind)
    if layer.kernel is not None:
        words += f" {shape(layer.kernel)}"
    if layer.stride is not None and layer.stride != (1, 1):
        words += f" /{layer.stride[0]}" if layer.stride[0] == layer.stride[1] else f" /{shape(layer.stride)}"
    return f"{words}, ReLU" if layer.relu else words


def _layer(place: Place, layer: LayerRow, *, linked: bool) -> Markup:
    hover = (
        f"{layer.name}: {grouped(layer.parameters)} parameters, {grouped(layer.macs)} MACs, {grouped(layer.live_bytes)} B live"
    )
    family = "weighted" if layer.parameters else "plain"
    title = f"{place.row}. {caption(layer)}"
    parts = _box(place, title, shape(layer.output_shape), f"mz-box mz-{family}")
    if not linked:
        return element("g", element("title", layer.name), *parts)
    x, y = _corner(place)
    counts = f"{short(layer.parameters)} parameters, {short(layer.macs)} MACs, {size(layer.live_bytes)} live"
    detail = text(x + 10, y + 29, counts, "mz-box-shape mz-box-detail")
    # It begins as what is seen, which is what people say who steer by voice.
    words = f"{title} {shape(layer.output_shape)}: {hover}"
    rect, first, second = parts
    return element("a", rect, first, Markup(" "), second, detail, href=f"#layer-{place.row}", aria_label=words, class_="mz-layer")


def _box(place: Place, words: str, below: str, class_: str) -> tuple[Markup, ...]:
    x, y = _corner(place)
    rect = element("rect", x=x, y=y, width=BOX_WIDTH, height=BOX_HEIGHT, rx=4, class_=class_)
    return rect, text(x + 10, y + 15, words, "mz-box-title"), text(x + 10, y + 29, below, "mz-box-shape")


def _edge(source: Place, sink: Place) -> Markup:
    """Straight down in the source's lane to just above the sink, then across where the lanes differ."""
    (x1, y1), (x2, y2) = _corner(source), _corner(sink)
    x1, x2 = x1 + BOX_WIDTH / 2, x2 + BOX_WIDTH / 2
    y1 += BOX_HEIGHT
    bend = y2 - (ROW - BOX_HEIGHT) / 2
    across = f"L{xy(x1, bend)}L{xy(x2, bend)}" if x1 != x2 else ""
    arrow = f"M{xy(x2 - 4, y2 - 6)}L{xy(x2, y2)}L{xy(x2 + 4, y2 - 6)}"
    return path(f"M{xy(x1, y1)}{across}L{xy(x2, y2)}{arrow}", "mz-edge")


def _corner(place: Place) -> tuple[float, float]:
    return MARGIN + place.lane * (BOX_WIDTH + GAP), MARGIN + place.row * ROW
