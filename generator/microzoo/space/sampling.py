"""Random architectures. Rules and a random generator go in, an Architecture comes out.

Probabilities of µNAS (Liberis, Dudziak, Lane 2021, section 3 and table 1); every value of every range can be drawn, the upper
ends included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

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
    LayerKind,
    Pool,
    PoolKind,
)

LAYER_KINDS: tuple[LayerKind, ...] = ("conv", "pointwise", "depthwise")
POOL_KINDS: tuple[PoolKind, ...] = ("avg", "max")
PRE_POOL = 0.25
RELU = 0.9
POOLING = 0.9

Choice = TypeVar("Choice")


@dataclass(frozen=True)
class SpaceRules:
    """Which points belong to the space. The first four: what µNAS' space lacks.

    same_padding: 'same' is a choice beside 'valid'. global_pool: the head may average over the whole map.
    shortcuts: a parallel block may have no layers. scaled_widths: morphisms may change filters by a quarter.
    min_dense: least number of dense layers before the classifier, 0 or 1. batch_norm: probability of BatchNorm at random.
    """

    same_padding: bool
    global_pool: bool
    shortcuts: bool
    scaled_widths: bool
    min_dense: int
    batch_norm: float


MUNAS_SPACE = SpaceRules(same_padding=False, global_pool=False, shortcuts=False, scaled_widths=False, min_dense=1, batch_norm=0.5)
MICROZOO_SPACE = SpaceRules(same_padding=True, global_pool=True, shortcuts=True, scaled_widths=True, min_dense=0, batch_norm=0.9)


def sample(rng: np.random.Generator, rules: SpaceRules) -> Architecture:
    """A random architecture in normal form: its first block is serial. Same state of the generator, same architecture."""
    blocks = [Block(sample_layers(rng, rules))]
    for _ in range(uniform(rng, 1, MAX_BLOCKS) - 1):
        blocks.append(_sample_block(rng, rules, shortcut_allowed=not _has_shortcut(blocks)))
    pool = sample_pool(rng) if rng.random() < POOLING else None
    global_pool = rules.global_pool and bool(rng.random() < 0.5)
    dense = tuple([sample_units(rng) for _ in range(uniform(rng, rules.min_dense, MAX_DENSE))])
    return Architecture(tuple(blocks), pool, global_pool, dense)


def uniform(rng: np.random.Generator, low: int, high: int) -> int:
    """An integer in [low, high], both ends included, all equally likely (to 2**-53)."""
    return low + int(rng.random() * (high - low + 1))


def choose(rng: np.random.Generator, options: Sequence[Choice]) -> Choice:
    """One of `options`, all equally likely."""
    return options[int(rng.random() * len(options))]


def sample_layers(rng: np.random.Generator, rules: SpaceRules) -> tuple[Layer, ...]:
    """One to three random layers."""
    return _layers(rng, rules, uniform(rng, 1, MAX_LAYERS))


def sample_layer(rng: np.random.Generator, rules: SpaceRules) -> Layer:
    """A random layer."""
    return _layers(rng, rules, 1)[0]


def _layers(rng: np.random.Generator, rules: SpaceRules, count: int) -> tuple[Layer, ...]:
    """Random layers. All numbers are drawn at once, which gives the same ones as one by one and takes half the time."""
    each = 8 if rules.same_padding else 7
    draws = rng.random(count * each).tolist()
    return tuple([_layer(draws[start : start + each], rules.batch_norm) for start in range(0, count * each, each)])


def _layer(draws: Sequence[float], batch_norm_probability: float) -> Layer:
    """A layer from numbers in [0, 1): its fields in their order, the padding left out where there is one number less."""
    kind, kernel, filters, stride, *padding, pre_pool, batch_norm, relu = draws
    return Layer(
        LAYER_KINDS[int(kind * len(LAYER_KINDS))],
        KERNELS[int(kernel * len(KERNELS))],
        MIN_FILTERS + int(filters * (MAX_FILTERS - MIN_FILTERS + 1)),
        1 + int(stride * 2),
        "same" if padding and padding[0] < 0.5 else "valid",
        pre_pool < PRE_POOL,
        batch_norm < batch_norm_probability,
        relu < RELU,
    )


def sample_pool(rng: np.random.Generator) -> Pool:
    """A random pooling before the head."""
    return Pool(choose(rng, POOL_KINDS), choose(rng, POOL_SIZES))


def sample_units(rng: np.random.Generator) -> int:
    """Random units of a dense layer."""
    return uniform(rng, MIN_UNITS, MAX_UNITS)


def _sample_block(rng: np.random.Generator, rules: SpaceRules, *, shortcut_allowed: bool) -> Block:
    """Serial or parallel, equally likely; where shortcuts are allowed every second parallel block is one."""
    parallel = bool(rng.random() < 0.5)
    if parallel and rules.shortcuts and shortcut_allowed and rng.random() < 0.5:
        return Block((), parallel=True)
    return Block(sample_layers(rng, rules), parallel)


def _has_shortcut(blocks: Sequence[Block]) -> bool:
    """Whether a shortcut already lies beside the last serial block."""
    for block in reversed(blocks):
        if not block.parallel:
            return False
        if not block.layers:
            return True
    return False
