"""Morphisms: legal, closed, different from the parent, reversible, uniform, and able to reach every value."""

from collections import Counter
from dataclasses import replace

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
    Pool,
)
from microzoo.space.lowering import lower, normalised
from microzoo.space.morphisms import morph, morphisms
from microzoo.space.sampling import MICROZOO_SPACE, MUNAS_SPACE, SpaceRules, sample

RULES = [MUNAS_SPACE, MICROZOO_SPACE]
PAPER = {
    "add block",
    "add branch",
    "remove block",
    "make serial",
    "make parallel",
    "add layer",
    "remove layer",
    "toggle batch norm",
    "toggle relu",
    "toggle pre-pool",
    "toggle stride",
    "change type",
    "change kernel",
    "change filters",
    "add pool",
    "remove pool",
    "change pool type",
    "change pool size",
    "add dense",
    "remove dense",
    "change units",
}
BEYOND = {"toggle padding", "toggle global pool", "add shortcut", "remove shortcut", "widen", "narrow"}
EXACTLY_UNDONE = PAPER - {"remove block", "remove layer", "remove dense"}


def assert_legal(architecture: Architecture, rules: SpaceRules) -> None:
    assert 1 <= len(architecture.blocks) <= MAX_BLOCKS
    assert rules.min_dense <= len(architecture.dense) <= MAX_DENSE
    assert all(MIN_UNITS <= units <= MAX_UNITS for units in architecture.dense)
    assert rules.global_pool or not architecture.global_pool
    assert architecture.pool is None or architecture.pool.size in POOL_SIZES
    assert normalised(architecture) is architecture
    for block in architecture.blocks:
        assert len(block.layers) <= MAX_LAYERS
        assert block.layers or (block.parallel and rules.shortcuts)
        for layer in block.layers:
            assert MIN_FILTERS <= layer.filters <= MAX_FILTERS
            assert layer.kernel in KERNELS
            assert layer.stride in (1, 2)
            assert rules.same_padding or layer.padding == "valid"


@pytest.mark.parametrize("rules", RULES)
def test_children_are_legal_differ_from_the_parent_and_have_a_graph(rules) -> None:
    rng = np.random.default_rng(90)
    names = set()
    for _ in range(40):
        parent = sample(rng, rules)
        for name, child in morphisms(rng, parent, rules):
            names.add(name)
            assert child != parent, name
            assert_legal(child, rules)
    assert names == (PAPER | BEYOND if rules is MICROZOO_SPACE else PAPER)


@pytest.mark.parametrize("rules", RULES)
def test_long_walks_stay_in_the_space(rules) -> None:
    rng = np.random.default_rng(91)
    architecture = sample(rng, rules)
    for _ in range(1500):
        _, architecture = morph(rng, architecture, rules)
        assert_legal(architecture, rules)
    lower(architecture, (28, 28, 1), 10)


@pytest.mark.parametrize("rules", RULES)
def test_each_change_of_a_value_and_each_addition_is_undone_by_one_move(rules) -> None:
    rng = np.random.default_rng(92)
    layer = Layer("conv", 5, 40)
    parent = Architecture(
        (Block((layer, replace(layer, kind="depthwise"))), Block((layer,), parallel=True), Block((layer,))),
        Pool("max", 4),
        dense=(50,),
    )
    for name, child in morphisms(rng, parent, rules):
        if name in EXACTLY_UNDONE | {"toggle padding", "toggle global pool", "add shortcut"}:
            assert parent in [back for _, back in morphisms(rng, child, rules)], name


@pytest.mark.parametrize("rules", RULES)
def test_each_removal_is_undone_up_to_values_which_other_moves_reach(rules) -> None:
    rng = np.random.default_rng(93)
    layer = Layer("conv", 5, 40)
    parent = Architecture(
        (Block((layer, layer)), Block((layer,), parallel=True), Block((layer,)), Block((layer,))), dense=(50, 60)
    )

    def skeleton(architecture: Architecture) -> tuple[object, ...]:
        return tuple((block.parallel, len(block.layers)) for block in architecture.blocks), len(architecture.dense)

    structural = ("add block", "add branch", "add layer", "add dense", "make serial", "make parallel")
    for name, child in morphisms(rng, parent, rules):
        if not name.startswith("remove"):
            continue
        reached = {skeleton(child): child}
        for _ in range(3):
            for step in list(reached.values()):
                for move, back in morphisms(rng, step, rules):
                    if move in structural:
                        reached.setdefault(skeleton(back), back)
        assert skeleton(parent) in reached, name


@pytest.mark.parametrize("rules", RULES)
def test_steps_of_one_connect_all_filters_and_units(rules) -> None:
    rng = np.random.default_rng(94)
    for filters in range(MIN_FILTERS, MAX_FILTERS + 1):
        children = morphisms(rng, Architecture((Block((Layer("conv", 3, filters),)),), dense=(10,)), rules)
        reached = {child.blocks[0].layers[0].filters for name, child in children if name == "change filters"}
        expected = {filters + step for step in (-5, -3, -1, 1, 3, 5)}
        assert reached == {value for value in expected if MIN_FILTERS <= value <= MAX_FILTERS}
    for units in range(MIN_UNITS, MAX_UNITS + 1):
        children = morphisms(rng, Architecture((Block((Layer("conv"),)),), dense=(units,)), rules)
        reached = {child.dense[0] for name, child in children if name == "change units"}
        assert reached == {units + step for step in (-5, -3, -1, 1, 3, 5) if MIN_UNITS <= units + step <= MAX_UNITS}


def test_widening_and_narrowing_change_filters_by_a_quarter() -> None:
    rng = np.random.default_rng(95)

    def scaled(filters: int) -> dict[str, int]:
        children = morphisms(rng, Architecture((Block((Layer("conv", 3, filters),)),)), MICROZOO_SPACE)
        return {name: child.blocks[0].layers[0].filters for name, child in children if name in ("widen", "narrow")}

    assert scaled(40) == {"widen": 50, "narrow": 30}
    assert scaled(120) == {"widen": 128, "narrow": 90}
    assert scaled(12) == {}  # a quarter is 3, a step of its own
    assert scaled(8) == {"widen": 10, "narrow": 6}


def test_what_the_lowering_never_reads_is_no_move() -> None:
    rng = np.random.default_rng(96)
    blocks = (Block((Layer("pointwise"),)), Block((Layer("depthwise"), Layer("pointwise")), parallel=True))
    architecture = Architecture(blocks, Pool("avg", 2), global_pool=True)
    graph = lower(architecture, (28, 28, 3), 10)
    for name, child in morphisms(rng, architecture, MICROZOO_SPACE):
        assert lower(child, (28, 28, 3), 10) != graph, (name, child)


def test_at_most_one_shortcut_is_added_beside_a_block() -> None:
    rng = np.random.default_rng(97)
    architecture = Architecture((Block((Layer("conv"),)), Block((), parallel=True), Block((Layer("conv"),))))
    added = [child for name, child in morphisms(rng, architecture, MICROZOO_SPACE) if name == "add shortcut"]
    assert [[bool(block.layers) for block in child.blocks] for child in added] == [[True, False, True, False]]


def test_a_shortcut_never_comes_first() -> None:
    rng = np.random.default_rng(98)
    architecture = Architecture((Block((Layer("conv"),)), Block((), parallel=True)))
    names = Counter(name for name, _ in morphisms(rng, architecture, MICROZOO_SPACE))
    assert names["remove block"] == 0
    assert names["remove shortcut"] == 1


def test_morph_is_uniform_over_all_moves() -> None:
    rng = np.random.default_rng(99)
    architecture = Architecture((Block((Layer("conv"),)), Block((Layer("depthwise"),), parallel=True)), dense=(100,))
    expected = Counter(name for name, _ in morphisms(rng, architecture, MUNAS_SPACE))
    total, draws = sum(expected.values()), 6000
    seen = Counter(morph(rng, architecture, MUNAS_SPACE)[0] for _ in range(draws))
    assert set(seen) == set(expected)
    for name, count in expected.items():
        share = count / total
        assert abs(seen[name] / draws - share) < 4 * (share * (1 - share) / draws) ** 0.5, name


@pytest.mark.parametrize("rules", RULES)
def test_same_generator_state_same_child(rules) -> None:
    parent = sample(np.random.default_rng(100), rules)
    first, second = (np.random.default_rng(101) for _ in range(2))
    assert [morph(first, parent, rules) for _ in range(50)] == [morph(second, parent, rules) for _ in range(50)]
