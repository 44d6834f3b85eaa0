"""Random architectures: every value of every dimension, the probabilities, and nothing outside the rules."""

from collections import Counter

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
)
from microzoo.space.lowering import normalised
from microzoo.space.sampling import MICROZOO_SPACE, MUNAS_SPACE, sample, uniform

RULES = [MUNAS_SPACE, MICROZOO_SPACE]
SAMPLES = 1500


@pytest.fixture(scope="module")
def drawn() -> dict[int, list[Architecture]]:
    rng = np.random.default_rng(80)
    return {id(rules): [sample(rng, rules) for _ in range(SAMPLES)] for rules in RULES}


@pytest.mark.parametrize("rules", RULES)
def test_every_value_of_every_range_is_drawn(drawn, rules) -> None:
    architectures = drawn[id(rules)]
    blocks = [block for architecture in architectures for block in architecture.blocks]
    layers = [layer for block in blocks for layer in block.layers]
    assert {len(a.blocks) for a in architectures} == set(range(1, MAX_BLOCKS + 1))
    assert {len(b.layers) for b in blocks} == set(range(0 if rules.shortcuts else 1, MAX_LAYERS + 1))
    assert {b.parallel for b in blocks} == {False, True}
    assert {layer.kind for layer in layers} == {"conv", "pointwise", "depthwise"}
    assert {layer.kernel for layer in layers} == set(KERNELS)
    assert {layer.filters for layer in layers} == set(range(MIN_FILTERS, MAX_FILTERS + 1))
    assert {layer.stride for layer in layers} == {1, 2}
    assert {layer.padding for layer in layers} == ({"valid", "same"} if rules.same_padding else {"valid"})
    for flag in ("pre_pool", "batch_norm", "relu"):
        assert {getattr(layer, flag) for layer in layers} == {False, True}
    pools = {(a.pool.kind, a.pool.size) if a.pool else None for a in architectures}
    assert pools == {None} | {(kind, size) for kind in ("avg", "max") for size in POOL_SIZES}
    assert {a.global_pool for a in architectures} == ({False, True} if rules.global_pool else {False})
    assert {len(a.dense) for a in architectures} == set(range(rules.min_dense, MAX_DENSE + 1))
    assert {units for a in architectures for units in a.dense} == set(range(MIN_UNITS, MAX_UNITS + 1))


@pytest.mark.parametrize("rules", RULES)
def test_probabilities_of_the_paper(drawn, rules) -> None:
    layers = [layer for a in drawn[id(rules)] for block in a.blocks for layer in block.layers]
    assert len(layers) > 9000  # the standard deviation of a share is at most 0.0053; 4 of them are allowed
    for flag, probability in (("pre_pool", 0.25), ("batch_norm", rules.batch_norm), ("relu", 0.9)):
        assert np.mean([getattr(layer, flag) for layer in layers]) == pytest.approx(probability, abs=0.021)
    assert np.mean([a.pool is not None for a in drawn[id(rules)]]) == pytest.approx(0.9, abs=0.031)
    assert MUNAS_SPACE.batch_norm == 0.5


@pytest.mark.parametrize("rules", RULES)
def test_samples_are_in_normal_form_and_survive_json(drawn, rules) -> None:
    for architecture in drawn[id(rules)][:200]:
        assert normalised(architecture) is architecture
        assert Architecture.from_json(architecture.to_json()) == architecture


@pytest.mark.parametrize("rules", RULES)
def test_same_seed_same_architectures(rules) -> None:
    first, second = (np.random.default_rng(81) for _ in range(2))
    assert [sample(first, rules) for _ in range(20)] == [sample(second, rules) for _ in range(20)]


def test_uniform_includes_both_ends_equally() -> None:
    rng = np.random.default_rng(82)
    counts = Counter(uniform(rng, 3, 7) for _ in range(10_000))
    assert set(counts) == {3, 4, 5, 6, 7}
    assert all(abs(count - 2000) < 4 * 40 for count in counts.values())  # binomial: standard deviation 40
