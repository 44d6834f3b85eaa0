from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from microzoo.build.budget import FullTrainings
from microzoo.build.finals import Finisher, dump_outcome, parse_outcome, planned, under_way
from microzoo.build.select import Finalist, best_reference, pick_finalists, pick_winners
from microzoo.build.training import Final, FinalTask
from microzoo.cost.resources import Resources
from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel, IntegerWeights, Quantisation
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Pad
from microzoo.graph.serialise import dump_integer_model
from microzoo.search.gate import Limits
from microzoo.search.ladder import Standing
from microzoo.search.types import Candidate, Evaluation, Row
from microzoo.space.sampling import MICROZOO_SPACE, sample

LIMITS = Limits(1000, 1000, 1000)


def every_operator() -> IntegerModel:
    ops = (
        Pad("pad", "x", "a", (0, 1, 0, 1)),
        Conv("conv", "a", "b", 3, (2, 2), (1, 1), (0, 0, 0, 0), relu=True),
        Depthwise("depthwise", "b", "c", (3, 3), (1, 1), (1, 1, 1, 1)),
        Add("add", "b", "c", "d", relu=True),
        MaxPool("max", "d", "e", (2, 2), (2, 2)),
        AvgPool("avg", "e", "f", (2, 2), (2, 2)),
        Flatten("flatten", "f", "g"),
        Dense("dense", "g", "h", 2),
    )
    rng = np.random.default_rng(0)
    shapes = {"conv": (3, 2, 2, 1), "depthwise": (3, 3, 3), "dense": (2, 3)}
    weights = {
        name: IntegerWeights(
            rng.integers(-127, 128, shape).astype(np.int8),
            rng.integers(-9, 9, shape[-1] if name == "depthwise" else shape[0]).astype(np.int32),
            rng.random(1 if name == "dense" else 3).astype(np.float32),
        )
        for name, shape in shapes.items()
    }
    graph = Graph("x", (4, 4, 1), ops, "h")
    return IntegerModel(graph, {name: Quantisation(0.1 * (i + 1), i - 3) for i, name in enumerate(graph.shapes)}, weights)


MODEL = every_operator()


def test_a_finished_training_comes_back_to_the_bit() -> None:
    final = Final(MODEL, 0.1 + 0.2, 2 / 3, "percentile")
    again = parse_outcome(dump_outcome(final))
    assert (again.validation_float, again.validation_int8, again.calibration) == (0.1 + 0.2, 2 / 3, "percentile")
    assert again.model.graph == MODEL.graph
    assert again.model.graph.shapes == MODEL.graph.shapes
    assert again.model.tensors == MODEL.tensors
    for name, weights in MODEL.weights.items():
        for part in ("weight", "bias", "scales"):
            before, after = getattr(weights, part), getattr(again.model.weights[name], part)
            assert before.dtype == after.dtype
            assert (before == after).all()
    assert dump_outcome(again) == dump_outcome(final)
    assert parse_outcome(dump_outcome("training diverged")) == "training diverged"


@pytest.mark.parametrize("keep", [0, 10, 40, 200, -1])
def test_a_finished_training_that_is_cut_off_is_refused(keep: int) -> None:
    with pytest.raises(ValueError, match="is damaged"):
        parse_outcome(dump_outcome(Final(MODEL, 0.5, 0.5, "minmax"))[:keep])


@pytest.mark.parametrize("head", [{"float": 0.5, "int8": 0.5}, {}, 7], ids=["without a key", "empty", "no object"])
def test_a_finished_training_of_another_version_is_refused(head: object) -> None:
    """Its checksum is right: a build of another day wrote it so."""
    text = json.dumps(head).encode()
    payload = len(text).to_bytes(4, "little") + text + dump_integer_model(MODEL)
    with pytest.raises(ValueError, match="was written by another version"):
        parse_outcome(hashlib.sha256(payload).digest() + payload)


def test_a_second_start_keeps_the_plan_of_the_first(tmp_path: Path) -> None:
    wanted, other = FullTrainings(5, 20.0), FullTrainings(5, 30.0)

    def plan(ordinals: list[int], of: FullTrainings, seeds: int, epochs: float, begun: bool = False) -> tuple[int, float]:
        found = planned(tmp_path, ordinals, of, FullTrainings(seeds, epochs), lambda before: begun and before.seeds > 1)
        return found.seeds, found.epochs

    assert plan([3, 1], wanted, 3, 7.5) == (3, 7.5)
    assert plan([3, 1], wanted, 3, 5.0) == (3, 7.5)
    assert plan([3, 1], wanted, 2, 11.0) == (3, 7.5), "22 epochs in all are fewer than 22.5"
    assert plan([3, 1], wanted, 5, 20.0, begun=True) == (3, 7.5), "some of these are trained: they are not thrown away"
    assert plan([3, 1], wanted, 2, 12.0) == (2, 12.0)
    assert plan([3, 2], wanted, 5, 1.0) == (5, 1.0), "other finalists"
    assert plan([3, 2], other, 4, 1.0) == (4, 1.0), "another spec"
    for damaged in (b"{", b"[]", b'{"ordinals": [3, 2], "wanted": {"seeds": 5, "epochs": 30.0}, "seeds": "9", "epochs": 9.0}'):
        (tmp_path / "plan.json").write_bytes(damaged)
        assert plan([3, 2], other, 3, 1.0) == (3, 1.0)


def test_trainings_are_under_way_while_some_of_them_are_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Finisher, "path", lambda self, task: self.folder / f"{task.seed}.final")
    architecture = sample(np.random.default_rng(0), MICROZOO_SPACE)
    tasks = [FinalTask(0, architecture, 0.0, seed, 1.0) for seed in range(3)]
    states = []
    for seed in range(3):
        states.append(under_way(None, tmp_path, tasks))  # type: ignore[arg-type]
        (tmp_path / f"{seed}.final").write_bytes(b"")
    assert [*states, under_way(None, tmp_path, tasks)] == [False, True, True, False]  # type: ignore[arg-type]


def row(ordinal: int, accuracy: float, size: int) -> Row:
    candidate = Candidate(ordinal, "{}", str(ordinal), 0.0, None, "random")
    return Row(candidate, Evaluation(accuracy, Resources(*[size] * 8), 1.0, 1.0))


def finalist(ordinal: int, size: int, *accuracies: float) -> Finalist:
    finals = {seed: Final(MODEL, accuracy, accuracy, "minmax") for seed, accuracy in enumerate(accuracies)}
    return Finalist(row(ordinal, 0.0, size).candidate, 4.0, finals, (), Resources(*[size] * 8))


def ordinals(rows: list[Row], count: int, winners: int) -> list[int]:
    """Of the finalists."""
    picked = pick_finalists([Standing(row, row.evaluation.error) for row in rows], count, winners, LIMITS)
    return [standing.row.candidate.ordinal for standing in picked]


def test_only_the_most_accurate_are_finalists_unless_small_ones_are_wanted() -> None:
    rows = [row(0, 0.90, 900), row(1, 0.89, 500), row(2, 0.85, 300), row(3, 0.82, 200), row(4, 0.5, 100)]
    assert ordinals(rows, 2, 1) == [0, 1]
    # Twice the best error is 0.2, so candidate 4 is hopeless and 3 the smallest useful one; 2 lies in the middle of 3, 2, 1, 0.
    assert ordinals(rows, 2, 2) == [0, 1, 3]
    assert ordinals(rows, 2, 3) == [0, 1, 3]
    assert ordinals(rows, 1, 3) == [0, 3, 1]


def test_the_best_reference_design_is_always_trained_in_full() -> None:
    def reference(ordinal: int, accuracy: float) -> Row:
        found = row(ordinal, accuracy, 900)
        return replace(found, candidate=replace(found.candidate, origin="reference"))

    rows = [reference(0, 0.7), reference(1, 0.8), row(2, 0.90, 500), row(3, 0.89, 400), row(4, 0.88, 300)]
    assert ordinals(rows, 3, 1) == [2, 3, 1]
    assert ordinals(rows, 1, 1) == [2]
    assert ordinals([*rows, reference(5, 0.95)], 3, 1) == [5, 2, 3]


def test_what_does_not_fit_is_no_finalist() -> None:
    assert ordinals([row(0, 0.99, 1001), row(1, 0.9, 1000)], 3, 1) == [1]
    assert ordinals([row(0, 0.99, 1001)], 3, 1) == []


def test_winners_are_judged_by_their_mean_over_seeds() -> None:
    lucky, steady, small = finalist(0, 900, 0.99, 0.80), finalist(1, 800, 0.92, 0.91), finalist(2, 100, 0.85, 0.85)
    middle = finalist(3, 400, 0.86, 0.86)
    assert [(name, f.candidate.ordinal) for name, f in pick_winners([lucky, steady, small], 1, LIMITS)] == [("accurate", 1)]
    assert [(name, f.candidate.ordinal) for name, f in pick_winners([lucky, steady, small, middle], 3, LIMITS)] == [
        ("accurate", 1),
        ("small", 2),
        ("balanced", 3),
    ]


def test_a_model_that_is_larger_and_worse_than_a_chosen_one_is_no_winner() -> None:
    best, worse, smaller = finalist(0, 300, 0.95), finalist(1, 500, 0.93), finalist(2, 200, 0.90)
    assert [(name, f.candidate.ordinal) for name, f in pick_winners([best, worse], 3, LIMITS)] == [("accurate", 0)]
    assert [(name, f.candidate.ordinal) for name, f in pick_winners([best, worse, smaller], 3, LIMITS)] == [
        ("accurate", 0),
        ("small", 2),
    ]


def test_the_baseline_is_the_best_reference_design() -> None:
    def drawn(found: Finalist) -> Finalist:
        return replace(found, candidate=replace(found.candidate, origin="reference"))

    designs = [
        drawn(finalist(0, 900, 0.90)),
        drawn(finalist(1, 900, 0.93)),
        drawn(replace(finalist(2, 9, 0.99), failures=("dead",))),
    ]
    assert best_reference([finalist(3, 900, 0.99), *designs]) == designs[1]
    assert best_reference([finalist(3, 900, 0.99)]) is None


def test_a_candidate_of_which_a_seed_failed_stands_behind_all_others() -> None:
    fragile = replace(finalist(0, 100, 0.99), failures=("seed 1: the layer is dead",))
    steady = finalist(1, 900, 0.85, 0.86)
    assert [f.candidate.ordinal for _, f in pick_winners([fragile, steady], 1, LIMITS)] == [1]
    assert [f.candidate.ordinal for _, f in pick_winners([fragile], 1, LIMITS)] == [0]


def test_the_published_seed_is_the_best_one_and_the_spread_is_over_all() -> None:
    """0.90, 0.94, 0.94: mean 0.926667, deviations 0.026667 and twice 0.013333, so s = sqrt(0.0010667 / 2) = 0.023094."""
    found = finalist(0, 1, 0.90, 0.94, 0.94)
    assert found.published_seed == 1
    assert found.mean_int8 == pytest.approx(0.9266667)
    assert found.deviation_int8 == pytest.approx(0.0230940)
    assert finalist(0, 1, 0.9).deviation_int8 is None
