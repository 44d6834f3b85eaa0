"""A card against a measurement: the truth, every field of it falsified in turn, and machines that lack a tool."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microzoo.build import verify as stage
from microzoo.build.compare import Difference, compare
from microzoo.catalog.card import Card
from microzoo.measure import arm
from microzoo.measure.c_runtime import CRuntime
from microzoo.measure.entry import Measurement, NotRun, measure_entry
from microzoo.measure.runtimes import TflmRuntime, WasmRuntime
from microzoo.measure.verdict import limits

from ..measure.files import images, residual_model, write_entry, write_full_entry  # noqa: TID252  # tests are no package with a name
from ..pages.cards import Synthetic, published, synthetic  # noqa: TID252
from .truthful import AGAIN, CARD, FORMULA, LITERT, ONNX, TFLM, C, changed, figure, score


def differences(card: Card, again: Measurement = AGAIN) -> list[Difference]:
    return compare(card, stage.target_spec(card), again)


def faults(card: Card, again: Measurement = AGAIN) -> set[str]:
    return {difference.what for difference in differences(card, again) if not difference.excused}


def leaves(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every scalar of a JSON value with its path."""
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(part, (*path, key))
    else:
        yield path, value


OTHER = {
    "test": "validation",
    "bytes": "count",
    "macs": "bytes",
    "count": "bytes",
    "measured": "emulated",
    "estimated": "measured",
}


def falsified(path: tuple[str | int, ...], value: Any) -> object:
    """Another value that the card's schema admits."""
    if path[0] == "limits" and path[-1] == "name":
        return {"ram": "flash", "flash": "compute", "compute": "ram"}[value]
    if path[-1] == "unit" and path[0] == "limits":
        return {"bytes": "macs", "macs": "bytes"}[value]
    if path[-1] in ("kind", "unit", "split") and path[0] != "layers":
        return OTHER.get(value, "measured")
    if isinstance(value, bool) or value is None:
        return [1, 1] if path[-1] in ("kernel", "stride") else 1 if value is None else not value
    if isinstance(value, float):
        return value * 0.99
    return value + 1 if isinstance(value, int) else f"another {value}"


RAW = json.loads(CARD.model_dump_json())
CLAIMS = ("figures", "limits", "layers", "input", "output", "headline", "headline_file", "confusion")
FIELDS = [
    *(leaf for claim in CLAIMS for leaf in leaves(RAW[claim], (claim,)) if not str([*leaf[0], ""][1]).startswith("predicted_")),
    *(leaf for i, file in enumerate(RAW["files"]) for leaf in leaves(file["accuracy"], ("files", i, "accuracy"))),
]


def name_of(path: tuple[str | int, ...]) -> str:
    """How a fault in the field at `path` is named, or begins."""
    root = path[0]
    if root == "files":
        return f"{RAW['files'][path[1]]['path']} in "
    if root in ("limits", "layers"):
        return f"{root}[{path[1]}]"
    names = {"confusion": "confusion matrix", "headline_file": "headline", "figures": path[1] if len(path) > 1 else ""}
    return str(names.get(str(root), root))


def test_a_truthful_card_has_no_difference() -> None:
    assert differences(CARD) == []


@pytest.mark.parametrize(("path", "value"), FIELDS, ids=[".".join(map(str, path)) for path, _ in FIELDS])
def test_every_falsified_field_is_a_fault_that_names_it(path: tuple[str | int, ...], value: Any) -> None:
    found = faults(changed(CARD, path, falsified(path, value)))
    assert any(what.startswith(name_of(path)) for what in found), found
    assert all(what.startswith((name_of(path), "headline")) for what in found), found


def test_the_headline_has_to_be_the_file_s_own_accuracy_in_the_runtime_that_it_names() -> None:
    assert faults(changed(CARD, ("headline", "runtime"), "generated C, gcc 99.1.0")) == {"headline"}
    (path,) = [leaf for leaf, value in FIELDS if leaf[0] == "files" and value == C]
    assert faults(changed(CARD, path, "generated C, gcc 99.1.0")) == {"headline"}


@pytest.mark.parametrize("kind", ["measured", "estimated", "emulated"])
def test_the_search_s_figures_are_predicted_and_no_others_are(kind: str) -> None:
    assert faults(changed(CARD, ("figures", "predicted_ram", "kind"), kind)) == {"predicted_ram.kind"}
    assert faults(changed(CARD, ("figures", "macs", "kind"), "predicted")) == {"macs.kind"}
    both = changed(changed(CARD, ("figures", "macs", "kind"), "predicted"), ("figures", "macs", "value"), 1)
    assert faults(both) == {"macs.kind", "macs"}


def test_rows_and_accuracies_that_were_left_out_or_added() -> None:
    assert faults(CARD.model_copy(update={"limits": CARD.limits[:2]})) == {"limits[2]"}
    last = len(CARD.layers) - 1
    assert faults(CARD.model_copy(update={"layers": CARD.layers[:-1]})) == {f"layers[{last}]"}
    invented = CARD.figures | {"energy": figure(3, "guessed")}
    assert faults(CARD.model_copy(update={"figures": invented})) == {"energy"}
    tflite = next(i for i, file in enumerate(CARD.files) if file.path == "model.tflite")
    accuracy = RAW["files"][tflite]["accuracy"]
    assert faults(changed(CARD, ("files", tflite, "accuracy"), accuracy[1:])) == {f"model.tflite in {TFLM}"}
    second = [*accuracy, accuracy[1] | {"runtime": "LiteRT reference kernels 9.9", "correct": 360, "value": 1.0}]
    assert faults(changed(CARD, ("files", tflite, "accuracy"), second)) == {"model.tflite in LiteRT reference kernels 9.9"}


def without_c() -> Measurement:
    """The same files on a machine without a C compiler: LiteRT gives the headline."""
    tflite = AGAIN.accuracies["model.tflite"]
    rest = {path: accuracies for path, accuracies in AGAIN.accuracies.items() if path != "c/model.c"}
    absent = {
        "c_tflm_differences": figure(None, "not compared: no C compiler", "count"),
        "onnx_argmax_disagreements": figure(
            1, f"inputs of 90 that model.onnx in {ONNX} classifies otherwise than model.tflite in {TFLM}", "count"
        ),
    }
    return replace(
        AGAIN,
        accuracies=rest,
        figures=AGAIN.figures | absent,
        headline=tflite[1],
        headline_file="model.tflite",
        not_run=(NotRun("c/model.c", "generated C (no compiler)", "no C compiler"),),
    )


def test_without_a_c_compiler_only_what_needs_it_is_excused() -> None:
    again = without_c()
    found = {difference.what: difference.excused for difference in differences(CARD, again)}
    here = "this runtime is not on this machine"
    assert found == {
        f"c/model.c in {C}": here,
        "headline": here,
        "c_tflm_differences": "not measured here: not compared: no C compiler",
        "onnx_argmax_disagreements": here,
    }
    assert faults(changed(CARD, ("headline", "correct"), CARD.headline.correct + 1), again) == {"headline"}
    assert faults(changed(CARD, ("headline", "value"), 0.999), again) == {"headline"}
    assert faults(changed(CARD, ("headline", "n"), 359), again) == {"headline"}
    assert faults(changed(CARD, ("headline_file",), "model.onnx"), again) == {"headline"}
    assert faults(changed(CARD, ("confusion", 0, 0), CARD.confusion[0][0] + 1), again) == {"confusion matrix"}
    assert faults(changed(CARD, ("figures", "macs", "value"), 1), again) == {"macs"}
    assert faults(changed(CARD, ("figures", "c_tflm_differences", "unit"), "bytes"), again) == {"c_tflm_differences.unit"}


def test_an_excused_accuracy_still_has_to_agree_with_itself() -> None:
    again = without_c()
    better = score(C, CARD.headline.correct + 1, 360)
    assert faults(CARD.model_copy(update={"headline": better}), again) == {"headline"}
    (path,) = [(*leaf[:-1], "value") for leaf, value in FIELDS if leaf[0] == "files" and value == C]
    both = changed(changed(CARD, path, 0.999), ("headline", "value"), 0.999)
    assert faults(both, again) == {f"c/model.c in {C}", "headline"}


def test_a_headline_of_more_inputs_than_the_accuracy_that_stands_in_for_it() -> None:
    """Built without a C compiler and too large for LiteRT's nominal time: its accuracy is of 100 inputs, the headline of all."""
    poor = without_c()
    short = {"model.tflite": (AGAIN.accuracies["model.tflite"][0], score(LITERT, 95, 100))}
    accuracies = {"model.onnx": AGAIN.accuracies["model.onnx"], **short}
    files = tuple(file.model_copy(update={"accuracy": accuracies.get(file.path, ())}) for file in CARD.files)
    changes = {"files": files, "headline": poor.headline, "headline_file": poor.headline_file, "known_limits": poor.known_limits}
    card = CARD.model_copy(update=changes)
    again = replace(AGAIN, accuracies=AGAIN.accuracies | short)
    assert faults(card, again) == set()
    headline = poor.headline
    for wrong, also in (
        (headline.model_copy(update={"value": 0.999}), set[str]()),
        (headline.model_copy(update={"runtime": "LiteRT reference kernels 9.9"}), set[str]()),
        (headline.model_copy(update={"split": "validation"}), set[str]()),
        (score(LITERT, 341, 359), {"confusion matrix"}),
    ):
        assert faults(card.model_copy(update={"headline": wrong}), again) - also == {"headline"}, wrong


def test_what_was_built_without_a_c_compiler_is_no_fault_where_there_is_one() -> None:
    poor = without_c()
    files = tuple(file.model_copy(update={"accuracy": poor.accuracies.get(file.path, ())}) for file in CARD.files)
    changes = {"files": files, "figures": poor.figures, "headline": poor.headline, "headline_file": poor.headline_file}
    card = CARD.model_copy(update=changes | {"known_limits": poor.known_limits})
    assert {difference.what for difference in differences(card)} == {
        f"c/model.c in {C}",
        "headline",
        "c_tflm_differences",
        "onnx_argmax_disagreements",
    }
    assert faults(card) == set()
    unsaid = card.model_copy(update={"known_limits": ()})
    assert faults(unsaid) == {f"c/model.c in {C}", "headline", "onnx_argmax_disagreements"}


def without_arm() -> Measurement:
    """The same files on a machine without a cross-compiler and without TFLM's wheel."""
    none = {
        name: figure(None, "not measured: arm-none-eabi-gcc is not installed", kind=CARD.figures[name].kind)
        for name in ("c_flash", "c_static_ram", "c_stack", "c_ram")
    }
    none["arena_head"] = figure(None, "not measured: no wheel")
    none["arena_total_32bit"] = figure(2690, f"activations + {FORMULA}", kind="estimated")
    figures = AGAIN.figures | none
    return replace(AGAIN, figures=figures, limits=limits(stage.target_spec(CARD), figures))


def test_a_limit_is_excused_only_with_the_figure_behind_it() -> None:
    again = without_arm()
    found = differences(CARD, again)
    assert {difference.what for difference in found} == {
        "c_flash",
        "c_static_ram",
        "c_stack",
        "c_ram",
        "arena_head",
        "arena_total_32bit",
    }
    assert all(difference.excused for difference in found)
    assert faults(changed(CARD, ("limits", 0, "need"), 1), again) == {"limits[0]"}
    assert faults(changed(CARD, ("figures", "c_ram", "value"), 1), again) == {"limits[0]"}
    estimate = ("figures", "arena_total_32bit", "method")
    assert faults(changed(CARD, estimate, "arena_head + 1 B a tensor"), again) == {"arena_total_32bit"}
    based_on_planned = replace(AGAIN, figures=AGAIN.figures | {"arena_total_32bit": again.figures["arena_total_32bit"]})
    assert faults(CARD, based_on_planned) == {"arena_total_32bit"}, "the head has a value on both machines"
    card = CARD.model_copy(update={"figures": again.figures, "limits": again.limits})
    assert [limit.kind for limit in card.limits] == ["predicted", "predicted", "measured"]
    assert faults(card) == set(), "built without the tools, verified with them"
    assert faults(changed(card, ("limits", 1, "need"), 1)) == {"limits[1]"}


def test_a_value_taken_out_is_a_fault_where_its_method_says_that_it_was_measured() -> None:
    assert faults(changed(CARD, ("figures", "c_flash", "value"), None)) == {"c_flash"}
    lacks = AGAIN.figures | {"macs": figure(None, "counted by nobody", "macs")}
    assert "macs" in faults(CARD, replace(AGAIN, figures=lacks))


def with_gcc(version: str, chain: str = "model_invoke > kernel > memcpy") -> Measurement:
    figures = {
        name: found.model_copy(
            update={"method": found.method.replace("gcc 12.2.1", f"gcc {version}").replace("model_invoke > kernel", chain)}
        )
        for name, found in AGAIN.figures.items()
    }
    return replace(AGAIN, figures=figures)


def test_another_version_of_a_tool_excuses_and_another_method_does_not() -> None:
    same_values = with_gcc("14.2.0")
    assert differences(CARD, same_values) == []
    more = same_values.figures["c_stack"].model_copy(update={"value": 216})
    again = replace(same_values, figures=same_values.figures | {"c_stack": more})
    (difference,) = differences(CARD, again)
    assert (difference.what, difference.excused) == ("c_stack", f"another tool: {more.method}")
    assert faults(CARD, with_gcc("12.2.1")) == {"c_stack.method"}, "the same version finds the same chain"
    flags = changed(CARD, ("figures", "c_stack", "method"), more.method.replace("-O2", "-Os"))
    assert faults(flags, again) == {"c_stack"}


def test_another_version_of_a_runtime() -> None:
    def with_onnx(correct: int, n: int = 360) -> Measurement:
        return replace(AGAIN, accuracies=AGAIN.accuracies | {"model.onnx": (score("onnxruntime 2.0.1", correct, n),)})

    published = CARD.headline.correct - 1
    assert differences(CARD, with_onnx(published)) == []
    (difference,) = differences(CARD, with_onnx(published - 2))
    assert (difference.what, difference.excused) == (f"model.onnx in {ONNX}", "another tool: onnxruntime 2.0.1")
    assert faults(CARD, with_onnx(published - 2, 359)) == {f"model.onnx in {ONNX}"}
    other_gcc = score("generated C, gcc 14.2.0", CARD.headline.correct - 1, 360)
    exact = replace(AGAIN, accuracies=AGAIN.accuracies | {"c/model.c": (other_gcc,)}, headline=other_gcc)
    assert faults(CARD, exact) == {f"c/model.c in {C}", "headline"}, "the C gives the same bits with every compiler"


@pytest.fixture(scope="module")
def whole() -> Synthetic:
    return published()


@pytest.mark.arm
@pytest.mark.tflm
@pytest.mark.parametrize("runtime", ["c", "tflm"])
def test_real_measurements_with_and_without_the_tools(
    runtime: str, whole: Synthetic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real methods and names of runtimes: built with every tool and verified with few, and the other way round."""
    # For one runtime an entry with everything, for the other an older one.
    base = whole if runtime == "c" else synthetic(target="cortex-m4-64k")
    card = changed(base.card, ("target", "runtime"), runtime)
    target = stage.target_spec(card)
    write = write_full_entry if runtime == "c" else write_entry
    folder = write(tmp_path / "entry", residual_model())

    def measure() -> tuple[Card, Measurement]:
        found = measure_entry(folder, target, images(40), np.arange(40) % 3, predicted=predicted)
        files = tuple(file.model_copy(update={"accuracy": found.accuracies.get(file.path, ())}) for file in card.files)
        names = ("input", "output", "figures", "limits", "layers", "confusion", "headline", "headline_file", "known_limits")
        published = card.model_copy(update={"files": files} | {name: getattr(found, name) for name in names})
        return Card.model_validate_json(published.model_dump_json()), found

    predicted = {name: found for name, found in CARD.figures.items() if name.startswith("predicted_")}
    rich_card, rich = measure()
    assert compare(rich_card, target, rich) == []
    monkeypatch.setattr(CRuntime, "missing", lambda _: "no compiler")
    monkeypatch.setattr(TflmRuntime, "missing", lambda _: "no wheel")
    monkeypatch.setattr(WasmRuntime, "missing", lambda _: "no wasmtime")
    monkeypatch.setattr(arm, "COMPILER", "arm-none-eabi-absent")
    poor_card, poor = measure()
    assert compare(poor_card, target, poor) == []
    for found in (compare(rich_card, target, poor), compare(poor_card, target, rich)):
        more = (
            {"golden_differences", "c_wasm_differences", "c_prepare_flash", "instructions", "emulated_stack", "emulated_ram"}
            if runtime == "c"
            else set()
        )
        assert {"c_ram", "arena_total", "c_tflm_differences", "headline"} | more <= {difference.what for difference in found}
        assert all(difference.excused for difference in found), found
