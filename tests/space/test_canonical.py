"""Canonical form: equal exactly where the networks are."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from microzoo.cost.predict import predict
from microzoo.errors import ArchitectureError
from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, Flatten, Op
from microzoo.space.architecture import Architecture, Block, Layer, Pool
from microzoo.space.canonical import canonical, graph_digest
from microzoo.space.lowering import lower, normalised
from microzoo.space.morphisms import morph
from microzoo.space.sampling import MICROZOO_SPACE, MUNAS_SPACE, sample

CONV = Layer("conv", 3, 8)


def one(layer: Layer, **head: object) -> Architecture:
    return Architecture((Block((CONV,)), Block((layer,))), **head)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("left", "right", "shape"),
    [
        (one(Layer("pointwise", 3)), one(Layer("pointwise", 7, stride=2, padding="same")), (12, 12, 1)),
        (one(Layer("depthwise", filters=3)), one(Layer("depthwise", filters=90)), (12, 12, 1)),
        (one(Layer("conv", 3)), one(Layer("conv", 7)), (5, 5, 1)),
        (one(Layer("conv", 3, stride=1)), one(Layer("conv", 3, stride=2)), (5, 5, 1)),
        (one(Layer("conv", 5, padding="same")), one(Layer("pointwise", 3)), (3, 3, 1)),
        (one(CONV, pool=Pool("avg", 4)), one(CONV, pool=Pool("max", 6)), (5, 5, 1)),
        (one(CONV, pool=Pool("avg", 4), global_pool=True), one(CONV, global_pool=True), (12, 12, 1)),
        (one(CONV, pool=Pool("avg", 6)), one(CONV, global_pool=True), (9, 9, 1)),
        (one(replace(CONV, pre_pool=True)), one(CONV), (3, 3, 1)),
        (
            Architecture((Block((CONV,)), Block((CONV,), True), Block((Layer("conv", 5),), True))),
            Architecture((Block((CONV,)), Block((Layer("conv", 5, 99),), True), Block((CONV,), True))),
            (12, 12, 1),
        ),
    ],
)
def test_the_same_network_in_other_words(left: Architecture, right: Architecture, shape: tuple[int, int, int]) -> None:
    assert left != right
    assert canonical(left, shape, 10) == canonical(right, shape, 10)


def test_different_networks_differ() -> None:
    layers = [
        CONV,
        replace(CONV, kernel=5),
        replace(CONV, filters=9),
        replace(CONV, stride=2),
        replace(CONV, padding="same"),
        replace(CONV, pre_pool=True),
        replace(CONV, batch_norm=False),
        replace(CONV, relu=False),
        replace(CONV, kind="pointwise"),
        replace(CONV, kind="depthwise"),
    ]
    architectures = [one(layer) for layer in layers]
    architectures += [one(CONV, pool=Pool(kind, size)) for kind in ("avg", "max") for size in (2, 4)]  # type: ignore[arg-type]
    architectures += [one(CONV, dense=(16,)), one(CONV, dense=(16, 16)), one(CONV, global_pool=True)]
    architectures += [Architecture((Block((CONV,)), Block((CONV,), True))), Architecture((Block((CONV, CONV)),), dense=(17,))]
    assert len({canonical(a, (12, 12, 1), 10) for a in architectures}) == len(architectures)
    assert canonical(one(CONV), (12, 12, 1), 10) != canonical(one(CONV), (12, 12, 1), 11)
    assert canonical(one(CONV), (12, 12, 1), 10) != canonical(one(CONV), (12, 12, 2), 10)


def test_names_and_order_do_not_count() -> None:
    rng = np.random.default_rng(110)
    for _ in range(40):
        graph = lower(sample(rng, MICROZOO_SPACE), (16, 16, 2), 5)
        names = {name: f"t{index}" for index, name in enumerate(graph.shapes)}

        def renamed(op: Op, names: dict[str, str] = names) -> Op:
            fields = {field: names[getattr(op, field)] for field in ("input", "left", "right", "output") if hasattr(op, field)}
            return replace(op, name="", **fields)

        other = Graph(names[graph.input], graph.input_shape, tuple(map(renamed, graph.ops)), names[graph.output])
        assert graph_digest(other) == graph_digest(graph)


def test_equal_graphs_up_to_names_and_only_those_on_random_walks() -> None:
    rng = np.random.default_rng(111)
    by_digest: dict[str, tuple[object, ...]] = {}
    for _ in range(10):
        architecture = sample(rng, MICROZOO_SPACE)
        for _ in range(40):
            _, architecture = morph(rng, architecture, MICROZOO_SPACE)
            graph = lower(architecture, (10, 10, 1), 3)
            figures = len(graph.ops), tuple(sorted(graph.shapes.values())), sorted(type(op).__name__ for op in graph.ops)
            assert by_digest.setdefault(canonical(architecture, (10, 10, 1), 3), figures) == figures


def walked(seed: int, count: int) -> list[Architecture]:
    """Architectures of both spaces, sampled and changed."""
    rng = np.random.default_rng(seed)
    architectures = []
    for index in range(count):
        rules = (MUNAS_SPACE, MICROZOO_SPACE)[index % 2]
        architecture = sample(rng, rules)
        for _ in range(int(rng.integers(4))):
            _, architecture = morph(rng, architecture, rules)
        architectures.append(architecture)
    return architectures


def test_the_same_in_every_process_and_after_json() -> None:
    texts = [architecture.to_json() for architecture in walked(112, 300)]
    expected = [canonical(Architecture.from_json(text), (28, 28, 1), 10) for text in texts]
    program = (
        "import sys; from microzoo.space.architecture import Architecture; from microzoo.space.canonical import canonical\n"
        "for line in sys.stdin: print(canonical(Architecture.from_json(line), (28, 28, 1), 10))"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            input="\n".join(texts),
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        )
        assert done.stdout.split() == expected, (112, seed)


def test_json_is_the_architecture_and_nothing_else() -> None:
    for index, architecture in enumerate(walked(113, 1000)):
        text = architecture.to_json()
        again = Architecture.from_json(text)
        assert again == architecture, (113, index, text)
        assert again.to_json() == text, (113, index)
        assert again.digest() == architecture.digest(), (113, index)


def test_idempotent_normal_form_and_execution_order_do_not_count() -> None:
    for index, architecture in enumerate(walked(114, 200)):
        graph = lower(architecture, (20, 20, 2), 5)
        digest = graph_digest(graph)
        assert len(digest) == 32, (114, index)
        assert int(digest, 16) >= 0, (114, index)
        assert canonical(normalised(architecture), (20, 20, 2), 5) == digest, (114, index)
        unrolled = replace(architecture, blocks=(replace(architecture.blocks[0], parallel=True), *architecture.blocks[1:]))
        assert canonical(unrolled, (20, 20, 2), 5) == digest, (114, index)
        assert graph_digest(predict(graph, "c", "cortex-m4")[0]) == digest, (114, index)


def test_what_follows_the_output_is_no_part_of_the_network() -> None:
    ops = (Add("a", "x", "x", "a"), Flatten("b", "a", "b"))
    short, long = (graph_digest(Graph("x", (2, 2, 1), ops[:count], "a")) for count in (1, 2))
    assert short == long != graph_digest(Graph("x", (2, 2, 1), ops, "b"))
    assert len(short) == 32


def test_what_cannot_be_lowered_has_no_canonical_form() -> None:
    with pytest.raises(ArchitectureError):
        canonical(Architecture(()), (8, 8, 1), 2)
