"""Morphisms: the small changes through which evolution moves. An Architecture goes in, a neighbour comes out.

Those of µNAS (Liberis, Dudziak, Lane 2021, section 4.1) and, where the rules allow, padding, global pooling, shortcuts and
filters by a quarter. Children are listed as light moves, and only the one that is chosen is built. A choice that the lowering
never reads (the kernel of a pointwise layer, the filters of a depthwise one or of the last layer of a branch) is no move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from microzoo.space.architecture import (
    KERNELS,
    MAX_BLOCKS,
    MAX_DENSE,
    MAX_FILTERS,
    MAX_LAYERS,
    MAX_UNITS,
    MIN_FILTERS,
    MIN_UNITS,
    POOL_SIZES,
    Architecture,
    Block,
    Layer,
    Pool,
)
from microzoo.space.lowering import normalised
from microzoo.space.sampling import LAYER_KINDS, POOL_KINDS, SpaceRules, choose, sample_layer, sample_units

STEPS = (-5, -3, -1, 1, 3, 5)

Move = tuple[str, Callable[..., Architecture], tuple[Any, ...]]
"""Name, builder, arguments of the builder after (rng, rules, architecture)."""


def morph(rng: np.random.Generator, architecture: Architecture, rules: SpaceRules) -> tuple[str, Architecture]:
    """A child that differs from `architecture`, all legal moves equally likely, with the name of the move.

    What a move adds (a layer, a block, a dense layer) is drawn from `rng` too. The architecture is brought to normal form first.
    """
    parent = normalised(architecture)
    name, build, arguments = choose(rng, _moves(parent, rules))
    return name, build(rng, rules, parent, *arguments)


def morphisms(rng: np.random.Generator, architecture: Architecture, rules: SpaceRules) -> list[tuple[str, Architecture]]:
    """Every legal move with its child; `morph` draws uniformly from the same list."""
    parent = normalised(architecture)
    return [(name, build(rng, rules, parent, *arguments)) for name, build, arguments in _moves(parent, rules)]


def _moves(architecture: Architecture, rules: SpaceRules) -> list[Move]:
    moves: list[Move] = []
    moves += _block_moves(architecture, rules)
    for b, block in enumerate(architecture.blocks):
        last = len(block.layers) - 1
        for i, layer in enumerate(block.layers):
            moves += _layer_moves(b, i, layer, rules, own_width=not (block.parallel and i == last))
    moves += _pool_moves(architecture, rules)
    moves += _dense_moves(architecture, rules)
    return moves


def _block_moves(architecture: Architecture, rules: SpaceRules) -> Iterator[Move]:
    blocks = architecture.blocks
    count = len(blocks)
    for index, block in enumerate(blocks):
        heir = blocks[1] if index == 0 and count > 1 else None
        if count > 1 and (heir is None or heir.layers):
            yield "remove block" if block.layers else "remove shortcut", _remove_block, (index,)
        if index > 0 and block.layers:
            yield "make serial" if block.parallel else "make parallel", _toggle_parallel, (index,)
        if block.layers and len(block.layers) < MAX_LAYERS:
            for position in range(len(block.layers) + 1):
                yield "add layer", _add_layer, (index, position)
        if len(block.layers) > 1:
            for position in range(len(block.layers)):
                yield "remove layer", _remove_layer, (index, position)
        if rules.shortcuts and count < MAX_BLOCKS and not block.parallel and not _shortcut_follows(blocks, index):
            yield "add shortcut", _add_shortcut, (index + 1,)
    if count < MAX_BLOCKS:
        for position in range(count + 1):
            yield "add block", _add_block, (position, False)
            if position > 0:
                yield "add branch", _add_block, (position, True)


def _layer_moves(b: int, i: int, layer: Layer, rules: SpaceRules, *, own_width: bool) -> Iterator[Move]:
    yield "toggle batch norm", _set_layer, (b, i, "batch_norm", not layer.batch_norm)
    yield "toggle relu", _set_layer, (b, i, "relu", not layer.relu)
    yield "toggle pre-pool", _set_layer, (b, i, "pre_pool", not layer.pre_pool)
    for kind in LAYER_KINDS:
        if kind != layer.kind:
            yield "change type", _set_layer, (b, i, "kind", kind)
    if layer.kind != "pointwise":
        yield "toggle stride", _set_layer, (b, i, "stride", 3 - layer.stride)
        for kernel in (layer.kernel - 2, layer.kernel + 2):
            if kernel in KERNELS:
                yield "change kernel", _set_layer, (b, i, "kernel", kernel)
        if rules.same_padding:
            yield "toggle padding", _set_layer, (b, i, "padding", "valid" if layer.padding == "same" else "same")
    if layer.kind != "depthwise" and own_width:
        for filters in _neighbours(layer.filters, MIN_FILTERS, MAX_FILTERS):
            yield "change filters", _set_layer, (b, i, "filters", filters)
        if rules.scaled_widths:
            for name, filters in _quarters(layer.filters):
                yield name, _set_layer, (b, i, "filters", filters)


def _neighbours(value: int, low: int, high: int) -> list[int]:
    return [value + step for step in STEPS if low <= value + step <= high]


def _quarters(filters: int) -> Iterator[tuple[str, int]]:
    """Filters narrowed and widened by a quarter, clipped to the range, where a plain step does not give the same."""
    quarter = round(filters / 4)
    for name, scaled in (("narrow", max(MIN_FILTERS, filters - quarter)), ("widen", min(MAX_FILTERS, filters + quarter))):
        if scaled != filters and scaled - filters not in STEPS:
            yield name, scaled


def _pool_moves(architecture: Architecture, rules: SpaceRules) -> Iterator[Move]:
    if rules.global_pool:
        yield "toggle global pool", _set, ("global_pool", not architecture.global_pool)
    if architecture.global_pool:
        return
    pool = architecture.pool
    if pool is None:
        for kind in POOL_KINDS:
            for size in POOL_SIZES:
                yield "add pool", _set, ("pool", Pool(kind, size))
        return
    yield "remove pool", _set, ("pool", None)
    yield "change pool type", _set, ("pool", Pool("max" if pool.kind == "avg" else "avg", pool.size))
    for size in POOL_SIZES:
        if size != pool.size:
            yield "change pool size", _set, ("pool", Pool(pool.kind, size))


def _dense_moves(architecture: Architecture, rules: SpaceRules) -> Iterator[Move]:
    dense = architecture.dense
    if len(dense) < MAX_DENSE:
        for position in range(len(dense) + 1):
            yield "add dense", _add_dense, (position,)
    for index, units in enumerate(dense):
        rest = dense[:index], dense[index + 1 :]
        if len(dense) > rules.min_dense:
            yield "remove dense", _set, ("dense", rest[0] + rest[1])
        for changed in _neighbours(units, MIN_UNITS, MAX_UNITS):
            yield "change units", _set, ("dense", (*rest[0], changed, *rest[1]))


def _shortcut_follows(blocks: tuple[Block, ...], index: int) -> bool:
    """Whether one of the parallel blocks beside serial block `index` is a shortcut."""
    for block in blocks[index + 1 :]:
        if not block.parallel:
            return False
        if not block.layers:
            return True
    return False


def _set(_: np.random.Generator, __: SpaceRules, architecture: Architecture, field: str, value: Any) -> Architecture:
    return replace(architecture, **{field: value})


def _with_blocks(architecture: Architecture, blocks: tuple[Block, ...]) -> Architecture:
    return normalised(Architecture(blocks, architecture.pool, architecture.global_pool, architecture.dense))


def _set_block(architecture: Architecture, index: int, block: Block) -> Architecture:
    return _with_blocks(architecture, (*architecture.blocks[:index], block, *architecture.blocks[index + 1 :]))


def _set_layer(
    _: np.random.Generator, __: SpaceRules, architecture: Architecture, b: int, i: int, field: str, value: Any
) -> Architecture:
    block = architecture.blocks[b]
    changed = replace(block.layers[i], **{field: value})
    return _set_block(architecture, b, Block((*block.layers[:i], changed, *block.layers[i + 1 :]), block.parallel))


def _add_layer(rng: np.random.Generator, rules: SpaceRules, architecture: Architecture, b: int, position: int) -> Architecture:
    block = architecture.blocks[b]
    layers = (*block.layers[:position], sample_layer(rng, rules), *block.layers[position:])
    return _set_block(architecture, b, Block(layers, block.parallel))


def _remove_layer(_: np.random.Generator, __: SpaceRules, architecture: Architecture, b: int, i: int) -> Architecture:
    block = architecture.blocks[b]
    return _set_block(architecture, b, Block(block.layers[:i] + block.layers[i + 1 :], block.parallel))


def _toggle_parallel(_: np.random.Generator, __: SpaceRules, architecture: Architecture, index: int) -> Architecture:
    block = architecture.blocks[index]
    return _set_block(architecture, index, Block(block.layers, not block.parallel))


def _remove_block(_: np.random.Generator, __: SpaceRules, architecture: Architecture, index: int) -> Architecture:
    return _with_blocks(architecture, architecture.blocks[:index] + architecture.blocks[index + 1 :])


def _insert_block(architecture: Architecture, position: int, block: Block) -> Architecture:
    return _with_blocks(architecture, (*architecture.blocks[:position], block, *architecture.blocks[position:]))


def _add_block(
    rng: np.random.Generator, rules: SpaceRules, architecture: Architecture, position: int, parallel: bool
) -> Architecture:
    return _insert_block(architecture, position, Block((sample_layer(rng, rules),), parallel))


def _add_shortcut(_: np.random.Generator, __: SpaceRules, architecture: Architecture, position: int) -> Architecture:
    return _insert_block(architecture, position, Block((), parallel=True))


def _add_dense(rng: np.random.Generator, _: SpaceRules, architecture: Architecture, position: int) -> Architecture:
    dense = architecture.dense
    return replace(architecture, dense=(*dense[:position], sample_units(rng), *dense[position:]))
