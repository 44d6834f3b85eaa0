"""Reference designs: networks that people drew, as points of the space, scaled to a budget.

They seed the search's first generation and are the baseline that a search has to beat. Each is a function of the input shape, a
width multiplier and a depth; strides follow the size of the input, so that 8x8 images, 28x28 and 1-D signals (one side 1) all
work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log2

from microzoo.space.architecture import MAX_FILTERS, Architecture, Block, Layer, LayerKind, Padding

InputShape = tuple[int, int, int]
"""Height, width, channels."""

WIDEST = 8.0
"""Largest width multiplier tried; every design reaches the space's 128 filters before."""
NARROWEST = 1 / 32
NARROW = 0.5
"""Below this width a shallower network is tried first."""
BISECTIONS = 10
"""Halvings of the interval of log2(width), 8 wide: ends within 0.6 % of the widest multiplier."""

FINAL_SIDE = 10
PLAIN_FINAL_SIDE = 16
"""Maps are halved while their longer side is greater, as far as the design has places for strides. Unpadded ones shrink
besides.
"""
LARGE_SIDE = 20
"""From this shorter side on the plain design is unpadded."""


@dataclass(frozen=True)
class Design:
    """A family of architectures. `draw(input_shape, width, depth)`, depth from `depths` (full) down to 1."""

    name: str
    depths: int
    draw: Callable[[InputShape, float, int], Architecture]


def reference_designs(
    input_shape: InputShape, classes: int, fits: Callable[[Architecture], bool], widths: Sequence[float] = (1.0,)
) -> tuple[tuple[str, Architecture], ...]:
    """The designs that fit, each as wide as `fits` allows, deepest first: (name, architecture).

    widths: shares of the greatest width, the designs at all of them one after the other: half the width takes a quarter of the
    weights and multiply-accumulates of its inner layers. So the first generation holds small networks too.
    Width is found by bisection over its logarithm; a design that fits at less than half its width is tried with fewer layers, and
    the widest of the depths is taken where none reaches half. Designs that fit at no scale are left out, and so are repetitions.
    `classes` does not change the drawing; it is part of what `fits` decides upon.
    """
    assert classes >= 2, classes
    found: dict[Architecture, str] = {}
    scaled = [(design, _scaled(design, input_shape, fits)) for design in DESIGNS]
    for share in widths:
        for design, scale in scaled:
            if scale is not None:
                width, depth = scale
                architecture = design.draw(input_shape, width * share, depth)
                if share == 1.0 or fits(architecture):
                    found.setdefault(architecture, design.name)
    return tuple((name, architecture) for architecture, name in found.items())


def _scaled(design: Design, input_shape: InputShape, fits: Callable[[Architecture], bool]) -> tuple[float, int] | None:
    """The width and the depth that `reference_designs` describes, None where nothing fits."""
    best: tuple[float, int] | None = None
    for depth in range(design.depths, 0, -1):
        width = _widest(lambda width, depth=depth: fits(design.draw(input_shape, width, depth)))  # type: ignore[misc]
        if width is not None and (best is None or width > best[0]):
            best = width, depth
        if best is not None and best[0] >= NARROW:
            break
    return best


def _widest(fits: Callable[[float], bool]) -> float | None:
    """The greatest multiplier that fits, taking for granted that narrower ones fit too; None where the narrowest does not."""
    if fits(WIDEST):
        return WIDEST
    if not fits(NARROWEST):
        return None
    low, high = log2(NARROWEST), log2(WIDEST)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if fits(2.0**middle):
            low = middle
        else:
            high = middle
    return float(2.0**low)


def plain(input_shape: InputShape, width: float, depth: int) -> Architecture:
    """VGG-like: 3x3 convolutions 24, 24, 32, 48, 48, then 1x1 112 and the average over the map.

    At 28x28x1 unpadded and of width 1: 53.7 K parameters, 19.7 KB without the input, 3.4 M MACs. Small inputs are padded.
    depth: the number of 3x3 convolutions after the first, 4 to 1.
    """
    return _plain(input_shape, width, depth, stride_order=(1, 3, 0, 2, 4))


def plain_early(input_shape: InputShape, width: float, depth: int) -> Architecture:
    """The plain design that halves its map in the first convolution: less memory, fewer MACs."""
    return _plain(input_shape, width, depth, stride_order=(0, 2, 1, 3, 4))


def _plain(input_shape: InputShape, width: float, depth: int, stride_order: tuple[int, ...]) -> Architecture:
    padding: Padding = "valid" if min(input_shape[:2]) >= LARGE_SIDE else "same"
    filters = (24, 24, 32, 48, 48)[: depth + 1]
    strides = _strides(input_shape, len(filters), [p for p in stride_order if p < len(filters)], PLAIN_FINAL_SIDE)
    layers = [_layer("conv", _scale(f, width), s, padding) for f, s in zip(filters, strides, strict=True)]
    return _headless([*_stacked(layers), Block((_layer("pointwise", _scale(112, width)),))])


def depthwise_separable(input_shape: InputShape, width: float, depth: int) -> Architecture:
    """DS-CNN (Zhang et al. 2017, "Hello Edge"; MLPerf Tiny's keyword spotting): a convolution of 64 with stride 2, then `depth`
    (4 to 1) times depthwise 3x3 and pointwise 64. The first kernel is 5x5, the nearest in the space to 10x4.
    """
    strides = _strides(input_shape, depth + 1, list(range(depth + 1)), PLAIN_FINAL_SIDE)
    blocks = [Block((_layer("conv", _scale(64, width), strides[0], kernel=5),))]
    blocks += [_separable(_scale(64, width), stride) for stride in strides[1:]]
    return _headless(blocks)


def mobilenet(input_shape: InputShape, width: float, depth: int) -> Architecture:
    """MobileNet-like (Howard et al. 2017): 8 filters, then depthwise and pointwise 16, 32, 32, 64, 64, 128, 128 in pairs of one
    map size. depth: 7 down to 1, the deepest left out first.
    """
    filters = (16, 32, 32, 64, 64, 128, 128)[:depth]
    strides = _strides(input_shape, depth + 1, [place for place in (1, 3, 5, 0) if place <= depth])
    blocks = [Block((_layer("conv", _scale(8, width), strides[0]),))]
    blocks += [_separable(_scale(f, width), stride) for f, stride in zip(filters, strides[1:], strict=True)]
    return _headless(blocks)


def resnet(input_shape: InputShape, width: float, depth: int) -> Architecture:
    """ResNet8-like (MLPerf Tiny's image classification): 16 filters, then `depth` (3 to 1) residual blocks of two 3x3
    convolutions with 16, 32 and 64 filters and a shortcut, which the join pools and widens.
    """
    strides = _strides(input_shape, depth + 1, [place for place in (2, 3, 0, 1) if place <= depth])
    blocks = [Block((_layer("conv", _scale(16, width), strides[0]),))]
    for filters, stride in zip((16, 32, 64)[:depth], strides[1:], strict=True):
        scaled = _scale(filters, width)
        blocks += [Block((_layer("conv", scaled, stride), _layer("conv", scaled))), Block((), parallel=True)]
    return _headless(blocks)


def minimal(input_shape: InputShape, width: float, depth: int) -> Architecture:
    """For chips with a few KB of RAM: a strided 3x3 convolution of 8 behind a 2x2 pool, then `depth` (2 to 1) times depthwise
    and pointwise.

    The pool is left out on inputs whose longer side is at most 10.
    """
    small = max(input_shape[:2]) <= FINAL_SIDE
    first = Layer("conv", 3, _scale(8, width), 1 if small else 2, "same", pre_pool=not small)
    blocks = [_separable(_scale(16, width), 2 if index == 0 and small else 1) for index in range(depth)]
    return _headless([Block((first,)), *blocks])


DESIGNS = (
    Design("plain", 4, plain),
    Design("plain-early", 4, plain_early),
    Design("depthwise-separable", 4, depthwise_separable),
    Design("mobilenet", 7, mobilenet),
    Design("resnet", 3, resnet),
    Design("minimal", 2, minimal),
)


def _scale(filters: int, width: float) -> int:
    return min(MAX_FILTERS, max(1, round(filters * width)))


def _layer(kind: LayerKind, filters: int, stride: int = 1, padding: Padding = "same", kernel: int = 3) -> Layer:
    return Layer(kind, kernel, filters, stride, padding)


def _separable(filters: int, stride: int) -> Block:
    return Block((_layer("depthwise", filters, stride), _layer("pointwise", filters)))


def _stacked(layers: list[Layer]) -> list[Block]:
    """Layers in serial blocks of up to three."""
    return [Block(tuple(layers[start : start + 3])) for start in range(0, len(layers), 3)]


def _headless(blocks: list[Block]) -> Architecture:
    """An architecture whose head is the average over the map and the classifier."""
    return Architecture(tuple(blocks), global_pool=True)


def _strides(input_shape: InputShape, layers: int, order: list[int], final_side: int = FINAL_SIDE) -> list[int]:
    """A stride of 1 or 2 for each layer: the map is halved until its longer side is at most `final_side`, and once at least.

    order: places for strides, the first to be used first.
    """
    side, halvings = max(input_shape[:2]), 0
    while side > final_side or halvings == 0:
        side, halvings = -(-side // 2), halvings + 1
    chosen = order[:halvings]
    return [2 if place in chosen else 1 for place in range(layers)]
