from __future__ import annotations

from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Pad
from microzoo.prune.groups import ChannelGroup, channel_groups


def test_add_depthwise_and_pools_tie_channels_and_ends_are_kept():
    graph = Graph(
        "x",
        (8, 8, 1),
        (
            Conv("first", "x", "a", 4, (1, 1)),
            Conv("main", "a", "b", 6, (1, 1)),
            MaxPool("pool", "b", "c", (2, 2), (2, 2)),
            Conv("inner", "a", "d", 5, (1, 1), (2, 2)),
            Depthwise("inner_depthwise", "d", "e", (1, 1)),
            Conv("branch", "e", "f", 6, (1, 1)),
            Add("add", "c", "f", "g"),
            Depthwise("after", "g", "h", (1, 1)),
            Pad("pad", "h", "i", (0, 1, 0, 1)),
            Flatten("flatten", "i", "j"),
            Dense("hidden", "j", "k", 7, relu=True),
            Dense("classifier", "k", "y", 3),
        ),
        "y",
    )
    assert channel_groups(graph) == (
        ChannelGroup("main", 6, ("main", "branch", "after")),
        ChannelGroup("inner", 5, ("inner", "inner_depthwise")),
        ChannelGroup("hidden", 7, ("hidden",)),
    )


def test_what_is_added_to_the_first_layer_or_the_input_is_kept():
    graph = Graph(
        "x",
        (4, 4, 3),
        (
            Depthwise("first", "x", "a", (1, 1)),
            Conv("second", "a", "b", 3, (1, 1)),
            Add("add", "a", "b", "c"),
            Conv("third", "c", "d", 8, (1, 1)),
            AvgPool("pool", "d", "e", (4, 4), (4, 4)),
            Flatten("flatten", "e", "f"),
            Dense("classifier", "f", "y", 2),
        ),
        "y",
    )
    assert [group.name for group in channel_groups(graph)] == ["third"]


def test_a_convolutional_classifier_is_the_last_layer():
    graph = Graph(
        "x",
        (4, 4, 3),
        (
            Conv("first", "x", "a", 3, (1, 1)),
            Conv("middle", "a", "b", 4, (1, 1)),
            Conv("last", "b", "c", 2, (1, 1)),
            AvgPool("pool", "c", "d", (4, 4), (4, 4)),
            Flatten("flatten", "d", "y"),
        ),
        "y",
    )
    assert [group.name for group in channel_groups(graph)] == ["middle"]


def test_a_flat_map_added_to_a_vector_has_no_channels_to_remove():
    graph = Graph(
        "x",
        (2, 2, 1),
        (
            Conv("first", "x", "a", 3, (1, 1)),
            Conv("second", "a", "b", 3, (1, 1)),
            Flatten("flatten", "b", "c"),
            Dense("vector", "c", "d", 12),
            Add("add", "c", "d", "e"),
            Dense("classifier", "e", "y", 2),
        ),
        "y",
    )
    assert channel_groups(graph) == ()
