from __future__ import annotations

import numpy as np
import pytest
import torch

from microzoo.graph.ops import Conv, Dense, Depthwise, weight_shape
from microzoo.prune.groups import channel_groups
from microzoo.prune.masks import ChannelMasks
from microzoo.prune.shrink import masked, shrink
from microzoo.train.evaluate import logits
from microzoo.train.module import GraphModule, load


def random_keep(graph, generator):
    return {
        group.name: np.sort(generator.choice(group.channels, int(generator.integers(1, group.channels + 1)), replace=False))
        for group in channel_groups(graph)
        if generator.random() < 0.9
    }


def test_shrunken_network_has_the_masked_networks_logits(random_network, macs):
    pruned = 0
    for seed in range(80):
        graph, weights = random_network(seed)
        generator = np.random.default_rng(1000 + seed)
        keep = random_keep(graph, generator)
        smaller, smaller_weights = shrink(graph, weights, keep)
        x = generator.standard_normal((4, *graph.input_shape)).astype(np.float32)
        expected = logits(graph, masked(graph, weights, keep), x)
        actual = logits(smaller, smaller_weights, x)
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max(), err_msg=f"seed {seed}")
        for op in smaller.ops:
            if isinstance(op, (Conv, Depthwise, Dense)):
                layer = smaller_weights[op.name]
                assert layer.weight.shape == weight_shape(op, smaller.shapes[op.inputs[0]]), f"seed {seed}: {op}"
                assert layer.bias.shape == smaller.shapes[op.output][-1:], f"seed {seed}: {op}"
        removed = any(len(keep.get(group.name, range(group.channels))) < group.channels for group in channel_groups(graph))
        assert (macs(smaller) < macs(graph)) == removed, f"seed {seed}"
        pruned += removed
    assert pruned > 50


def test_masks_in_the_module_give_the_masked_networks_logits_exactly_zero_channels_included(random_network):
    for seed in range(20):
        graph, weights = random_network(seed)
        generator = np.random.default_rng(seed)
        keep = random_keep(graph, generator)
        masks = {}
        for group in channel_groups(graph):
            mask = torch.zeros(group.channels)
            mask[torch.from_numpy(keep.get(group.name, np.arange(group.channels)))] = 1.0
            masks.update(dict.fromkeys(group.writers, mask))
        module = GraphModule(graph, generator, masks).eval()
        load(module, weights)
        x = generator.standard_normal((3, *graph.input_shape)).astype(np.float32)
        with torch.inference_mode():
            actual = module(torch.from_numpy(x)).numpy()
        np.testing.assert_array_equal(actual, logits(graph, masked(graph, weights, keep), x), err_msg=f"seed {seed}")


def test_keeping_everything_changes_nothing(random_network):
    graph, weights = random_network(3)
    same, same_weights = shrink(graph, weights, {group.name: np.arange(group.channels) for group in channel_groups(graph)})
    assert same == graph == shrink(graph, weights, {})[0]
    for name, layer in weights.items():
        np.testing.assert_array_equal(same_weights[name].weight, layer.weight)


@pytest.mark.parametrize("indices", [[], [1, 0], [0, 0], [-1], [99]])
def test_indices_that_are_no_channels_are_refused(random_network, indices):
    graph, weights = random_network(3)
    name = channel_groups(graph)[0].name
    with pytest.raises(AssertionError):
        shrink(graph, weights, {name: np.array(indices, np.int64)})


@pytest.mark.parametrize("saliency", ["l2", "relative"])
def test_the_masks_find_the_channels_that_do_nothing_and_shrinking_them_changes_no_logit(random_network, saliency):
    """In every group a random half of the channels is dead: no weight, no bias, no gamma, no beta. As many are to be cut."""
    cut = 0
    for seed in range(40):
        graph, weights = random_network(seed)
        generator = np.random.default_rng(2000 + seed)
        groups = channel_groups(graph)
        alive = {
            group.name: np.sort(generator.choice(group.channels, -(-group.channels // 2), replace=False)) for group in groups
        }
        dead = masked(graph, weights, alive)
        module = GraphModule(graph, generator)
        load(module, dead)
        masks = ChannelMasks(groups)
        total = sum(group.channels for group in groups)
        masks.renew(module.channel_weights(), 1 - sum(map(len, alive.values())) / max(1, total), saliency)
        keep = masks.keep()
        assert {name: indices.tolist() for name, indices in keep.items()} == {n: i.tolist() for n, i in alive.items()}, seed
        smaller, smaller_weights = shrink(graph, dead, keep)
        x = generator.standard_normal((4, *graph.input_shape)).astype(np.float32)
        expected = logits(graph, dead, x)
        actual = logits(smaller, smaller_weights, x)
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max(), err_msg=f"seed {seed}")
        cut += total - sum(map(len, alive.values()))
    assert cut > 100
