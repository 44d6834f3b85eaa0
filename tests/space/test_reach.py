"""Morphisms connect the space: every value is reached by them, children have children of their own, and every move is undone."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

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
)
from microzoo.space.canonical import canonical
from microzoo.space.lowering import lower, normalised
from microzoo.space.morphisms import morph, morphisms
from microzoo.space.sampling import MICROZOO_SPACE, MUNAS_SPACE, SpaceRules, sample

RULES = [MUNAS_SPACE, MICROZOO_SPACE]
SHAPE, CLASSES = (96, 96, 3), 10
"""A map so large that few choices vanish in the lowering."""


def belongs(architecture: Architecture, rules: SpaceRules) -> bool:
    """Whether every value lies in the ranges of the space, in normal form."""
    layers = [layer for block in architecture.blocks for layer in block.layers]
    return (
        normalised(architecture) is architecture
        and 1 <= len(architecture.blocks) <= MAX_BLOCKS
        and all(len(block.layers) <= MAX_LAYERS for block in architecture.blocks)
        and all(block.layers or (block.parallel and rules.shortcuts) for block in architecture.blocks)
        and all(layer.kernel in KERNELS and layer.stride in (1, 2) for layer in layers)
        and all(MIN_FILTERS <= layer.filters <= MAX_FILTERS for layer in layers)
        and all(rules.same_padding or layer.padding == "valid" for layer in layers)
        and rules.min_dense <= len(architecture.dense) <= MAX_DENSE
        and all(MIN_UNITS <= units <= MAX_UNITS for units in architecture.dense)
        and (rules.global_pool or not architecture.global_pool)
        and (architecture.pool is None or architecture.pool.size in POOL_SIZES)
    )


@pytest.mark.parametrize("rules", RULES)
def test_every_value_of_every_dimension_is_reached_by_morphisms_from_one_architecture(rules: SpaceRules) -> None:
    rng = np.random.default_rng(120)
    architecture = Architecture((Block((Layer("conv"),)),), dense=(16,) * rules.min_dense)
    walked = []
    for _ in range(9000):
        walked.append(architecture)
        _, architecture = morph(rng, architecture, rules)
    blocks = {block for walked_one in walked for block in walked_one.blocks}
    layers = {layer for block in blocks for layer in block.layers}
    where = f"seed 120, {rules}"
    assert {len(a.blocks) for a in walked} == set(range(1, MAX_BLOCKS + 1)), where
    assert {len(b.layers) for b in blocks if not b.parallel} == set(range(1, MAX_LAYERS + 1)), where
    assert {len(b.layers) for b in blocks if b.parallel} == set(range(0 if rules.shortcuts else 1, MAX_LAYERS + 1)), where
    for kind in ("conv", "depthwise"):
        windows = {(layer.kernel, layer.stride, layer.padding) for layer in layers if layer.kind == kind}
        paddings = ("valid", "same") if rules.same_padding else ("valid",)
        assert windows == {(kernel, stride, padding) for kernel in KERNELS for stride in (1, 2) for padding in paddings}, where
    for kind in ("conv", "pointwise"):
        assert {x.filters for x in layers if x.kind == kind} == set(range(MIN_FILTERS, MAX_FILTERS + 1)), where
    for kind in ("conv", "pointwise", "depthwise"):
        flags = {(layer.pre_pool, layer.batch_norm, layer.relu) for layer in layers if layer.kind == kind}
        assert len(flags) == 8, where
    pools = {(a.pool.kind, a.pool.size) if a.pool else None for a in walked if not a.global_pool}
    assert pools == {None} | {(kind, size) for kind in ("avg", "max") for size in POOL_SIZES}, where
    assert {a.global_pool for a in walked} == ({False, True} if rules.global_pool else {False}), where
    assert {len(a.dense) for a in walked} == set(range(rules.min_dense, MAX_DENSE + 1)), where
    assert len({units for a in walked for units in a.dense}) > (MAX_UNITS - MIN_UNITS) / 2, where


@pytest.mark.parametrize("rules", RULES)
def test_changes_of_units_alone_lead_from_any_to_all(rules: SpaceRules) -> None:
    rng = np.random.default_rng(0)  # draws nothing: what these moves change is not random
    head = Architecture((Block((Layer("conv"),)),), dense=(123,))
    reached, fresh = {123}, [123]
    while fresh:
        children = morphisms(rng, replace(head, dense=(fresh.pop(),)), rules)
        new = {child.dense[0] for name, child in children if name == "change units"} - reached
        reached |= new
        fresh += new
    assert reached == set(range(MIN_UNITS, MAX_UNITS + 1))


@pytest.mark.parametrize("shape", [(28, 28, 1), (49, 10, 1), (1, 1, 3)])
@pytest.mark.parametrize("rules", RULES)
def test_children_of_children_belong_to_the_space_and_have_a_graph(rules: SpaceRules, shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(121)
    for case in range(6):
        for name, child in morphisms(rng, sample(rng, rules), rules)[case::6]:
            for other, grandchild in morphisms(rng, child, rules)[case::12]:
                assert belongs(grandchild, rules), (121, case, name, other, grandchild)
                assert lower(grandchild, shape, CLASSES).shapes["logits"] == (CLASSES,)


def read_fields(layer: Layer, *, own_width: bool) -> Iterator[str]:
    """What the lowering reads of a layer."""
    yield from ("kind", "pre_pool", "batch_norm", "relu")
    if layer.kind != "pointwise":
        yield from ("kernel", "stride", "padding")
    if layer.kind != "depthwise" and own_width:
        yield "filters"


UNDONE_OF_A_KIND = 6
INSERTED_LAYER, INSERTED_BLOCK, INSERTED_DENSE = 200, 1000, 300
"""More than it costs to change what is drawn for a new layer, block or dense layer into anything else."""


def layer_distance(a: Layer, b: Layer, own_width: bool) -> int:
    steps = {"kernel": abs(a.kernel - b.kernel) // 2, "filters": abs(a.filters - b.filters)}
    return sum(steps.get(f, int(getattr(a, f) != getattr(b, f))) for f in read_fields(b, own_width=own_width))


@cache
def block_distance(a: Block, b: Block) -> int:
    last = len(b.layers) - 1

    def change(i: int, j: int) -> int:
        return layer_distance(a.layers[i], b.layers[j], own_width=not b.parallel or j < last)

    if not a.layers or not b.layers:
        return 0 if a == b else 10**6
    return (a.parallel != b.parallel) + edits(len(a.layers), len(b.layers), change, INSERTED_LAYER)


def edits(left: int, right: int, change: Callable[[int, int], int], insertion: int) -> int:
    """Least cost of an alignment: `change(i, j)` of two items, 1 for an item too many, `insertion` for one that is missing."""
    row = [j * insertion for j in range(right + 1)]
    for i in range(left):
        above, row = row, [i + 1]
        for j in range(right):
            row.append(min(above[j] + change(i, j), above[j + 1] + 1, row[j] + insertion))
    return row[-1]


def distance(a: Architecture, b: Architecture) -> int:
    """0 for the same network; each unit of it can be taken away by a move."""
    blocks = edits(len(a.blocks), len(b.blocks), lambda i, j: block_distance(a.blocks[i], b.blocks[j]), INSERTED_BLOCK)
    dense = edits(len(a.dense), len(b.dense), lambda i, j: abs(a.dense[i] - b.dense[j]), INSERTED_DENSE)
    pool = 0
    if not b.global_pool and a.pool != b.pool:
        pool = 1 if a.pool is None or b.pool is None else (a.pool.kind != b.pool.kind) + (a.pool.size != b.pool.size)
    return blocks + dense + pool + (a.global_pool != b.global_pool)


def restored(rng: np.random.Generator, start: Architecture, goal: Architecture, rules: SpaceRules) -> Sequence[str]:
    """Names of moves that lead from `start` to the network of `goal`, each the one that comes nearest to it.

    Raises AssertionError where no move comes nearer.
    """
    names: list[str] = []
    wanted = canonical(goal, SHAPE, CLASSES)
    while canonical(start, SHAPE, CLASSES) != wanted:
        name, nearest = min(morphisms(rng, start, rules), key=lambda move: distance(move[1], goal))
        assert distance(nearest, goal) < distance(start, goal), (names, start, goal)
        assert belongs(nearest, rules), (names, name, nearest)
        names.append(name)
        start = nearest
    return names


@pytest.mark.parametrize(("rules", "kinds"), [(MUNAS_SPACE, 21), (MICROZOO_SPACE, 27)])
def test_every_kind_of_move_is_undone_by_a_sequence_of_moves(rules: SpaceRules, kinds: int) -> None:
    rng = np.random.default_rng(122)
    undone: Counter[str] = Counter()
    for case in range(120):
        parent = sample(rng, rules)
        if len(parent.blocks) > 4:
            continue
        children = morphisms(rng, parent, rules)
        for index in rng.permutation(len(children)):
            name, child = children[index]
            if undone[name] == UNDONE_OF_A_KIND:
                continue
            try:
                restored(rng, child, parent, rules)
            except AssertionError as error:
                raise AssertionError(f"seed 122, case {case}: {name!r} of {parent} is not undone") from error
            undone[name] += 1
        if len(undone) == kinds and set(undone.values()) == {UNDONE_OF_A_KIND}:
            return
    raise AssertionError(f"seed 122: {undone} of {kinds} kinds")
