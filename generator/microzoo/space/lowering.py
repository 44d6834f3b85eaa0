"""Lowering: an Architecture and an input shape go in, a Graph comes out.

Semantics of µNAS (Liberis, Dudziak, Lane 2021, section 3.1), with the extensions named in `space.architecture`. Unreachable
choices vanish here: kernels are clipped to what can touch the map, pools with a 1x1 window are left out.

Legend: H, W height and width of a map; C its channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from microzoo.errors import ArchitectureError
from microzoo.graph.graph import Graph
from microzoo.graph.ops import (
    Add,
    AvgPool,
    Conv,
    Dense,
    Depthwise,
    Flatten,
    MaxPool,
    Op,
    Pad,
    Pads,
    Shape,
    output_shape,
    same_padding,
    windows,
)
from microzoo.space.architecture import Architecture, Block, Layer, Pool

INPUT = "input"
LOGITS = "logits"
NO_PADDING: Pads = (0, 0, 0, 0)


def normalised(architecture: Architecture) -> Architecture:
    """The same network with a serial block with layers in front: nothing lies before the first block to branch from or to
    shorten.

    Raises ArchitectureError where no block has layers.
    """
    first = next((index for index, block in enumerate(architecture.blocks) if block.layers), None)
    if first is None:
        raise ArchitectureError("blocks: no block with layers", "an architecture starts with a block of 1 to 3 layers")
    head = architecture.blocks[first]
    if first == 0 and not head.parallel:
        return architecture
    return replace(architecture, blocks=(Block(head.layers), *architecture.blocks[first + 1 :]))


def lower(architecture: Architecture, input_shape: tuple[int, int, int], classes: int) -> Graph:
    """The Graph of `architecture` for inputs of `input_shape` (H, W, C) and `classes` logits.

    A parallel block reads what the last serial block read. All open branches are joined by Add before the next serial block and
    before the head: each is max-pooled by round(H / H_min), zero-padded at the bottom and the right where maps still differ, and
    its last layer takes the width of what it joins (a branch that ends in another width, being depthwise or a shortcut, is
    followed by a pointwise convolution without BatchNorm and ReLU). A parallel first block counts as serial. Each operator is
    named after its place ("block2.layer1.conv"), its output tensor likewise; the input tensor is "input", the output "logits".

    Raises ArchitectureError on values without meaning.
    """
    _check(input_shape, classes, architecture)
    lowering = _Lowering(input_shape)
    source, open_branches = INPUT, [INPUT]
    for index, block in enumerate(normalised(architecture).blocks, start=1):
        name = f"block{index}"
        if block.parallel:
            width = lowering.shapes[open_branches[0]][2]
            open_branches.append(lowering.branch(source, block, width, name))
        else:
            if not block.layers:
                raise ArchitectureError(f"blocks[{index - 1}].layers: empty", "only a parallel block may have no layers")
            source = lowering.join(open_branches, f"{name}.join")
            open_branches = [lowering.layers(source, block.layers, name)]
    features = lowering.pool(lowering.join(open_branches, "join"), architecture)
    lowering.head(features, architecture.dense, classes)
    return Graph(INPUT, input_shape, tuple(lowering.ops), LOGITS).with_shapes(lowering.shapes)


def _check(input_shape: tuple[int, int, int], classes: int, architecture: Architecture) -> None:
    if min(input_shape) < 1:
        raise ArchitectureError(f"input_shape = {input_shape}: not three positive sizes", "give height, width and channels")
    if classes < 2:
        raise ArchitectureError(f"classes = {classes}: nothing to tell apart", "give at least 2")
    for b, block in enumerate(architecture.blocks):
        for i, layer in enumerate(block.layers):
            if layer.kernel < 1 or layer.filters < 1 or layer.stride < 1:
                raise ArchitectureError(f"blocks[{b}].layers[{i}] = {layer}", "kernel, filters and stride are positive")
    if any(units < 1 for units in architecture.dense):
        raise ArchitectureError(f"dense = {architecture.dense}", "units are positive")
    if architecture.pool is not None and architecture.pool.size < 1:
        raise ArchitectureError(f"pool.size = {architecture.pool.size}", "a size is positive")


class _Lowering:
    """The operators so far and the shapes of all tensors so far."""

    def __init__(self, input_shape: Shape) -> None:
        self.ops: list[Op] = []
        self.shapes: dict[str, Shape] = {INPUT: input_shape}

    def write(self, op: Op) -> str:
        """Appends `op`; gives the name of the tensor that it writes."""
        shapes = self.shapes
        read = (shapes[op.left], shapes[op.right]) if isinstance(op, Add) else (shapes[op.input],)
        shapes[op.output] = output_shape(op, read)
        self.ops.append(op)
        return op.output

    def max_pool(self, x: str, window: tuple[int, int], name: str) -> str:
        """Max pooling whose stride is its window; nothing for a 1x1 window."""
        return x if window == (1, 1) else self.write(MaxPool(name, x, name, window, window))

    def layers(self, x: str, layers: Sequence[Layer], name: str, width: int | None = None) -> str:
        """Layers in a row. width: filters of the last one in place of its own."""
        last = len(layers)
        for index, layer in enumerate(layers, start=1):
            filters = layer.filters if width is None or index < last else width
            x = self.layer(x, layer, filters, f"{name}.layer{index}")
        return x

    def layer(self, x: str, layer: Layer, filters: int, name: str) -> str:
        """Pre-pool, then the convolution with its BatchNorm and ReLU. A pointwise layer has no kernel, stride or padding."""
        if layer.pre_pool:
            h, w, _ = self.shapes[x]
            x = self.max_pool(x, (min(2, h), min(2, w)), f"{name}.prepool")
        if layer.kind == "pointwise":
            name = f"{name}.pointwise"
            return self.write(Conv(name, x, name, filters, (1, 1), (1, 1), NO_PADDING, layer.batch_norm, layer.relu))
        h, w, _ = self.shapes[x]
        kernel, stride, padding = _window(h, w, layer)
        if layer.kind == "depthwise":
            name = f"{name}.depthwise"
            return self.write(Depthwise(name, x, name, kernel, stride, padding, layer.batch_norm, layer.relu))
        name = f"{name}.conv"
        return self.write(Conv(name, x, name, filters, kernel, stride, padding, layer.batch_norm, layer.relu))

    def branch(self, x: str, block: Block, width: int, name: str) -> str:
        """A parallel block that reads `x` and ends in `width` channels."""
        x = self.layers(x, block.layers, name, width)
        if self.shapes[x][2] == width:
            return x
        return self.write(Conv(f"{name}.width", x, f"{name}.width", width, (1, 1)))

    def join(self, branches: Sequence[str], name: str) -> str:
        """The sum of the open branches, after pooling to the smallest map and padding."""
        if len(branches) == 1:
            return branches[0]
        least_h = min(self.shapes[x][0] for x in branches)
        least_w = min(self.shapes[x][1] for x in branches)
        pooled = []
        for index, x in enumerate(branches, start=1):
            h, w, _ = self.shapes[x]
            pooled.append(self.max_pool(x, (round(h / least_h), round(w / least_w)), f"{name}.pool{index}"))
        most_h = max(self.shapes[x][0] for x in pooled)
        most_w = max(self.shapes[x][1] for x in pooled)
        total = ""
        for index, x in enumerate(pooled, start=1):
            h, w, _ = self.shapes[x]
            if (h, w) != (most_h, most_w):
                padding = (0, most_h - h, 0, most_w - w)
                x = self.write(Pad(f"{name}.pad{index}", x, f"{name}.pad{index}", padding))
            total = x if index == 1 else self.write(Add(f"{name}.add{index - 1}", total, x, f"{name}.add{index - 1}"))
        return total

    def pool(self, x: str, architecture: Architecture) -> str:
        """Global average pooling, or pooling with a window clipped to the map, or nothing."""
        h, w, _ = self.shapes[x]
        pool = Pool("avg", max(h, w)) if architecture.global_pool else architecture.pool
        if pool is None or (h, w) == (1, 1):
            return x
        window = (min(pool.size, h), min(pool.size, w))
        if pool.kind == "max":
            return self.max_pool(x, window, "pool")
        return x if window == (1, 1) else self.write(AvgPool("pool", x, "pool", window, window))

    def head(self, x: str, dense: Sequence[int], classes: int) -> None:
        """Flatten, dense layers with ReLU, the classifier without."""
        x = self.write(Flatten("flatten", x, "flatten"))
        for index, units in enumerate(dense, start=1):
            x = self.write(Dense(f"dense{index}", x, f"dense{index}", units, relu=True))
        self.write(Dense("classifier", x, LOGITS, classes))


def _window(h: int, w: int, layer: Layer) -> tuple[tuple[int, int], tuple[int, int], Pads]:
    """Kernel, stride and padding of a layer on an H x W map.

    A 'valid' kernel is clipped to the map; a 'same' one to 2 * size - 1, beyond which every weight only ever meets padding. The
    stride of an unpadded convolution with a 1x1 output is 1.
    """
    stride = (layer.stride, layer.stride)
    if layer.padding == "valid":
        kernel, padding = (min(layer.kernel, h), min(layer.kernel, w)), NO_PADDING
    else:
        kernel = (min(layer.kernel, 2 * h - 1), min(layer.kernel, 2 * w - 1))
        padding = same_padding(h, w, kernel, stride)
    if padding == NO_PADDING and windows(h, kernel[0], stride[0]) == windows(w, kernel[1], stride[1]) == 1:
        stride = (1, 1)
    return kernel, stride, padding
