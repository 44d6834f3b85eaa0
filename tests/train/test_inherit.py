from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from microzoo.graph.graph import Graph
from microzoo.graph.ops import Flatten
from microzoo.graph.weights import Weights
from microzoo.prune.groups import channel_groups
from microzoo.prune.shrink import shrink
from microzoo.space.architecture import Architecture, Block, Layer, Pool
from microzoo.space.lowering import lower
from microzoo.space.morphisms import morphisms
from microzoo.space.sampling import MICROZOO_SPACE, sample
from microzoo.train.evaluate import logits
from microzoo.train.inherit import inherit
from microzoo.train.module import GraphModule, weights

INPUT_SHAPE, CLASSES = (12, 12, 1), 4
FIRST = Layer("conv", 3, 8, 1, "same")
PARENT = Architecture(
    (
        Block((FIRST, Layer("depthwise", 3, 8, 2, "same"))),
        Block((Layer("pointwise", 3, 14), Layer("conv", 3, 10, 1, "same"))),
        Block((Layer("conv", 5, 20, 1, "same"),)),
    ),
    pool=Pool("avg", 2),
    dense=(12,),
)


def graph_of(architecture: Architecture) -> Graph:
    return lower(architecture, INPUT_SHAPE, CLASSES)


def trained(graph: Graph, seed: int = 1) -> Weights:
    """Weights of which no number is an initial value: biases, gammas, betas and statistics are far from 0 and 1."""
    generator = np.random.default_rng(seed)
    result = weights(GraphModule(graph, generator))
    for name, layer in result.items():
        channels = len(layer.bias)
        norm = layer.batch_norm
        if norm is not None:
            gamma, beta, mean = (generator.uniform(0.5, 2.0, channels).astype(np.float32) for _ in range(3))
            variance = generator.uniform(0.5, 2.0, channels).astype(np.float32)
            result[name] = replace(layer, batch_norm=replace(norm, gamma=gamma, beta=beta, mean=mean, variance=variance))
        else:
            result[name] = replace(layer, bias=generator.uniform(0.5, 2.0, channels).astype(np.float32))
    return result


def fresh(graph: Graph) -> Weights:
    return weights(GraphModule(graph, np.random.default_rng(7)))


def same(left: Weights, right: Weights) -> bool:
    return pickle.dumps(sorted(left.items())) == pickle.dumps(sorted(right.items()))


def with_layer(b: int, i: int, **changes) -> Architecture:
    block = PARENT.blocks[b]
    layers = list(block.layers)
    layers[i] = replace(layers[i], **changes)
    return with_block(b, replace(block, layers=tuple(layers)))


def with_block(b: int, block: Block) -> Architecture:
    return replace(PARENT, blocks=(*PARENT.blocks[:b], block, *PARENT.blocks[b + 1 :]))


def born(child: Architecture) -> tuple[Weights, Weights, Weights]:
    """(weights of PARENT, fresh ones of the child, inherited ones of the child)."""
    parent, graph = graph_of(PARENT), graph_of(child)
    return trained(parent), fresh(graph), inherit(parent, trained(parent), graph, fresh(graph))


def images(count: int = 16) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((count, *INPUT_SHAPE)).astype(np.float32)


def assert_unchanged(given: Weights, got: Weights, names: dict[str, str]) -> None:
    """names: of the parent's operators to the child's, which must have exactly the same parameters."""
    for old, new in names.items():
        assert pickle.dumps(given[old]) == pickle.dumps(got[new]), (old, new)


def test_a_child_equal_to_its_parent_gets_its_weights_and_logits():
    given, _, got = born(PARENT)
    assert same(given, got)
    graph = graph_of(PARENT)
    np.testing.assert_array_equal(logits(graph, given, images()), logits(graph, got, images()))


def test_every_morphism_keeps_shapes_and_is_deterministic():
    rng = np.random.default_rng(0)
    for architecture in (PARENT, *(sample(rng, MICROZOO_SPACE) for _ in range(4))):
        graph = graph_of(architecture)
        given = trained(graph)
        for name, child in morphisms(rng, architecture, MICROZOO_SPACE)[::5]:
            target = graph_of(child)
            start = fresh(target)
            before = pickle.dumps(start)
            got = inherit(graph, given, target, start)
            assert pickle.dumps(start) == before, name
            assert same(got, inherit(graph, given, target, start)), name
            assert got.keys() == start.keys(), name
            for key, layer in got.items():
                assert layer.weight.shape == start[key].weight.shape and layer.weight.dtype == np.float32, (name, key)
                assert (layer.batch_norm is None) == (start[key].batch_norm is None), (name, key)
            # Whatever the move, something is inherited: the classifier is in every network.
            assert not same(got, start), name


def test_widened_filters_keep_the_first_channels():
    given, start, got = born(with_layer(1, 1, filters=13))
    old, new, first = given["block2.layer2.conv"], got["block2.layer2.conv"], start["block2.layer2.conv"]
    np.testing.assert_array_equal(new.weight[:10], old.weight)
    np.testing.assert_array_equal(new.weight[10:], first.weight[10:])
    np.testing.assert_array_equal(new.batch_norm.gamma, [*old.batch_norm.gamma, 1, 1, 1])
    after, before = got["block3.layer1.conv"], given["block3.layer1.conv"]
    np.testing.assert_array_equal(after.weight[..., :10], before.weight)
    np.testing.assert_array_equal(after.weight[..., 10:], start["block3.layer1.conv"].weight[..., 10:])


def test_narrowed_filters_keep_the_first_channels():
    given, _, got = born(with_layer(1, 1, filters=7))
    np.testing.assert_array_equal(got["block2.layer2.conv"].weight, given["block2.layer2.conv"].weight[:7])
    np.testing.assert_array_equal(got["block3.layer1.conv"].weight, given["block3.layer1.conv"].weight[..., :7])


@pytest.mark.parametrize(("b", "i", "name", "axis"), [(1, 1, "block2.layer2.conv", 1), (0, 1, "block1.layer2.depthwise", 0)])
def test_a_larger_kernel_has_the_smaller_one_in_its_middle(b, i, name, axis):
    given, start, got = born(with_layer(b, i, kernel=5))
    middle = (slice(None),) * axis + (slice(1, 4), slice(1, 4))
    np.testing.assert_array_equal(got[name].weight[middle], given[name].weight)
    outside = np.ones(got[name].weight.shape, bool)
    outside[middle] = False
    np.testing.assert_array_equal(got[name].weight[outside], start[name].weight[outside])


def test_a_smaller_kernel_is_the_middle_of_the_larger():
    given, _, got = born(with_layer(2, 0, kernel=3))
    np.testing.assert_array_equal(got["block3.layer1.conv"].weight, given["block3.layer1.conv"].weight[:, 1:4, 1:4])


def test_a_convolution_that_becomes_pointwise_keeps_its_centre():
    given, _, got = born(with_layer(1, 1, kind="pointwise"))
    np.testing.assert_array_equal(got["block2.layer2.pointwise"].weight, given["block2.layer2.conv"].weight[:, 1:2, 1:2])


def test_a_layer_of_another_kind_is_fresh_and_the_rest_stays():
    # From depthwise to a convolution with the same eight filters.
    given, start, got = born(with_layer(0, 1, kind="conv", filters=8))
    assert_unchanged(start, got, {"block1.layer2.conv": "block1.layer2.conv"})
    assert_unchanged(given, got, {name: name for name in given if name != "block1.layer2.depthwise"})


def test_a_removed_layer_leaves_the_others_aligned():
    given, _, got = born(with_block(1, Block(PARENT.blocks[1].layers[:1])))
    kept = ("block1.layer1.conv", "block1.layer2.depthwise", "block2.layer1.pointwise", "dense1", "classifier")
    assert_unchanged(given, got, {name: name for name in kept})
    np.testing.assert_array_equal(got["block3.layer1.conv"].weight[..., :10], given["block3.layer1.conv"].weight)


@pytest.mark.parametrize("parallel", [False, True])
def test_an_inserted_block_does_not_shift_the_rest(parallel):
    added = Block((Layer("conv", 7, 10, 1, "same"),), parallel)
    child = replace(PARENT, blocks=(*PARENT.blocks[:2], added, *PARENT.blocks[2:]))
    given, start, got = born(child)
    names = {name: name.replace("block3", "block4") for name in given}
    assert_unchanged(given, got, names)
    assert_unchanged(start, got, {"block3.layer1.conv": "block3.layer1.conv"})


def test_parallel_and_serial_keep_their_layers():
    given, _, got = born(with_block(2, replace(PARENT.blocks[2], parallel=True)))
    assert_unchanged(given, got, {name: name for name in given if name.startswith(("block1", "block2"))})
    # A branch reads what the block beside it reads, 8 channels, and ends in its width, 10 of the 20 filters.
    np.testing.assert_array_equal(got["block3.layer1.conv"].weight, given["block3.layer1.conv"].weight[:10, ..., :8])


@pytest.mark.parametrize(
    "child",
    [
        with_layer(1, 1, relu=False),
        with_layer(0, 0, pre_pool=True),
        with_layer(0, 1, stride=1),
        with_layer(1, 1, padding="valid"),
        replace(PARENT, blocks=(PARENT.blocks[0], PARENT.blocks[1], Block((), True), PARENT.blocks[2])),
    ],
    ids=["relu", "pre-pool", "stride", "padding", "shortcut"],
)
def test_what_changes_no_weights_keeps_all_convolutions(child):
    given, _, got = born(child)
    changed = {name: name for name in given if name.startswith(("block1", "block2"))}
    assert_unchanged(given, got, changed)


def test_a_batch_norm_that_vanishes_is_folded():
    given, _, got = born(with_layer(1, 1, batch_norm=False))
    child = graph_of(with_layer(1, 1, batch_norm=False))
    np.testing.assert_allclose(logits(child, got, images()), logits(graph_of(PARENT), given, images()), rtol=1e-3, atol=1e-3)


def test_a_batch_norm_that_comes_starts_fresh():
    child = with_layer(1, 1, batch_norm=False)
    plain, normed = graph_of(child), graph_of(PARENT)
    got = inherit(plain, trained(plain), normed, fresh(normed))["block2.layer2.conv"]
    np.testing.assert_array_equal(got.weight, trained(plain)["block2.layer2.conv"].weight)
    np.testing.assert_array_equal(got.batch_norm.gamma, np.ones(10))
    np.testing.assert_array_equal(got.bias, np.zeros(10))


def test_dense_layers_come_and_go_and_change_their_units():
    given, start, got = born(replace(PARENT, dense=(15,)))
    np.testing.assert_array_equal(got["dense1"].weight[:12], given["dense1"].weight)
    np.testing.assert_array_equal(got["classifier"].weight[:, :12], given["classifier"].weight)
    given, start, got = born(replace(PARENT, dense=(12, 30)))
    assert_unchanged(given, got, {"dense1": "dense1"})
    assert_unchanged(start, got, {"dense2": "dense2"})
    # Without dense layers the classifier reads a map that it has never seen: only its bias is known.
    given, start, got = born(replace(PARENT, dense=()))
    np.testing.assert_array_equal(got["classifier"].weight, start["classifier"].weight)
    np.testing.assert_array_equal(got["classifier"].bias, given["classifier"].bias)


def test_dense_weights_follow_their_pixel_when_channels_change():
    given, start, got = born(with_layer(2, 0, filters=17))
    old, new = given["dense1"].weight.reshape(12, 3, 3, 20), got["dense1"].weight.reshape(12, 3, 3, 17)
    np.testing.assert_array_equal(new, old[..., :17])
    given, start, got = born(with_layer(2, 0, filters=23))
    new, first = (each["dense1"].weight.reshape(12, 3, 3, 23) for each in (got, start))
    np.testing.assert_array_equal(new[..., :20], given["dense1"].weight.reshape(12, 3, 3, 20))
    np.testing.assert_array_equal(new[..., 20:], first[..., 20:])


@pytest.mark.parametrize("child", [replace(PARENT, pool=None, global_pool=True), replace(PARENT, pool=None)])
def test_dense_weights_are_shared_out_over_another_map(child):
    given, _, got = born(child)
    graph = graph_of(child)
    flatten = next(op for op in graph.ops if isinstance(op, Flatten))
    before = given["dense1"].weight.reshape(12, 3, 3, 20).sum(axis=(1, 2))
    after = got["dense1"].weight.reshape(12, *graph.shapes[flatten.input]).sum(axis=(1, 2))
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)


def test_from_the_average_to_the_whole_map_keeps_the_logits():
    """W mean(x) = sum over pixels of (W / pixels) x, so the first training step starts from the parent's function."""
    averaged = replace(PARENT, pool=None, global_pool=True)
    parent, child = graph_of(averaged), graph_of(replace(PARENT, pool=None))
    got = inherit(parent, trained(parent), child, fresh(child))
    expected = logits(parent, trained(parent), images())
    np.testing.assert_allclose(logits(child, got, images()), expected, rtol=1e-4, atol=1e-4)


def test_a_pruned_parent_fills_the_first_channels():
    graph = graph_of(PARENT)
    keep = {group.name: np.arange(1, group.channels, 2) for group in channel_groups(graph)}
    small, given = shrink(graph, trained(graph), keep)
    start = fresh(graph)
    got = inherit(small, given, graph, start)
    for name, layer in got.items():
        old = given[name]
        kept = len(old.bias)
        np.testing.assert_array_equal(layer.bias[:kept], old.bias)
        if layer.weight.ndim == 4:
            np.testing.assert_array_equal(layer.weight[:kept, ..., : old.weight.shape[-1]], old.weight)
            np.testing.assert_array_equal(layer.weight[kept:], start[name].weight[kept:])
    old, new = given["dense1"].weight.reshape(6, 3, 3, 10), got["dense1"].weight.reshape(12, 3, 3, 20)
    np.testing.assert_array_equal(new[:6, ..., :10], old)
