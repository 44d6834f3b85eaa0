"""Verification without a build: a truthful card, every field of it falsified in turn, and machines that lack a tool."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from microzoo.build import verify as stage
from microzoo.build.compare import Difference, compare
from microzoo.catalog.card import Accuracy, Card, Figure
from microzoo.catalog.golden import GOLDEN, Golden, golden_bytes
from microzoo.catalog.store import read_entry, sha256
from microzoo.cli import app
from microzoo.data.arrays import Dataset, Part
from microzoo.data.load import checksum
from microzoo.errors import CatalogError, MeasurementError
from microzoo.measure import arm
from microzoo.measure.c_runtime import CRuntime
from microzoo.measure.entry import Measurement, NotRun, measure_entry
from microzoo.measure.runtimes import TflmRuntime, WasmRuntime
from microzoo.measure.verdict import limits
from microzoo.spec.load import load_folder
from microzoo.spec.models import DatasetSpec

from ..measure.files import dataset_spec, images, raw_validation, residual_model, write_entry, write_full_entry  # noqa: TID252  # tests are no package with a name
from ..pages.cards import Synthetic, published, synthetic  # noqa: TID252

SPECS = Path(__file__).parents[2] / "specs"
C, TFLM = "generated C, gcc 12.2.0", "TensorFlow Lite Micro 0.dev20261023"
LITERT, ONNX = "LiteRT reference kernels 2.1.0", "onnxruntime 1.23.0"
GCC = "arm-none-eabi-gcc 12.2.1 -O2 for cortex-m4"
FORMULA = "12 B a tensor + 614 B, fitted"


def score(runtime: str, correct: int, n: int) -> Accuracy:
    return Accuracy(runtime=runtime, split="test", value=correct / n, correct=correct, n=n)


def figure(value: int | None, method: str, unit: Any = "bytes", kind: Any = "measured") -> Figure:
    return Figure(value=value, unit=unit, kind=kind, method=method)


def figures_of(file_bytes: int) -> dict[str, Figure]:
    chain = "model_invoke > kernel"
    return {
        "activations": figure(1900, "end of the activation arena as the plan of model.tflite places it"),
        "macs": figure(90_000, "convolutions and dense layers of model.tflite", "macs"),
        "tflite_bytes": figure(file_bytes, "size of model.tflite"),
        "arena_head": figure(1900, f"allocations recorded by {TFLM} on x86-64, model.tflite"),
        "arena_total_32bit": figure(2700, f"arena_head + {FORMULA}", kind="estimated"),
        "c_flash": figure(9000, f".text + .rodata + .data, {GCC}, linked, minus an image without a model"),
        "c_static_ram": figure(2000, f".data + .bss, {GCC}, linked, minus an image without a model"),
        "c_stack": figure(
            200, f"deepest chain of calls by static stack usage, {GCC}: {chain}; without interrupts", kind="estimated"
        ),
        "c_ram": figure(2200, f"c_static_ram + c_stack, {GCC}", kind="estimated"),
        "c_tflm_differences": figure(
            0, f"inputs of 90 on which the outputs of c/model.c in {C} and model.tflite in {TFLM} differ", "count"
        ),
        "onnx_argmax_disagreements": figure(
            3, f"inputs of 360 that model.onnx in {ONNX} classifies otherwise than c/model.c in {C}", "count"
        ),
        "predicted_ram": figure(2300, "activations and the RAM of runtime c", kind="predicted"),
        "predicted_flash": figure(9100, "weights and the code of runtime c", kind="predicted"),
    }


def truthful(name: str = "accurate") -> Synthetic:
    """A synthetic entry whose card could come from a real measurement: 360 test inputs, of which the C has 342 right."""
    base = synthetic(name=name)
    headline = score(C, int(np.trace(np.array(base.card.confusion))), 360)
    runs = {
        "model.tflite": (score(TFLM, 86, 90), score(LITERT, headline.correct, 360)),
        "model.onnx": (score(ONNX, headline.correct - 1, 360),),
        "c/model.c": (headline,),
    }
    figures = figures_of(next(file.bytes for file in base.card.files if file.path == "model.tflite"))
    spec = load_folder(SPECS / "datasets", DatasetSpec)["digits"]
    card = base.card.model_copy(
        update={
            "files": tuple(file.model_copy(update={"accuracy": runs.get(file.path, ())}) for file in base.card.files),
            "figures": figures,
            "limits": limits(stage.target_spec(base.card), figures),
            "headline": headline,
            "headline_file": "c/model.c",
            "known_limits": (),
            "dataset": base.card.dataset.model_copy(update={"checksum": checksum(spec)}),
        }
    )
    return replace(base, card=card)


def measurement_of(card: Card) -> Measurement:
    """What the machine that wrote the card would find again."""
    return Measurement(
        input=card.input,
        output=card.output,
        accuracies={file.path: file.accuracy for file in card.files if file.accuracy},
        figures=card.figures,
        limits=card.limits,
        layers=card.layers,
        confusion=card.confusion,
        headline=card.headline,
        headline_file=card.headline_file,
        not_run=(),
    )


CARD = truthful().card
AGAIN = measurement_of(CARD)
DATASET = Dataset(*(Part(np.zeros((n, 8, 8, 1), np.float32), np.arange(n) % 10) for n in (1150, 287, 360)))


def differences(card: Card, again: Measurement = AGAIN) -> list[Difference]:
    return compare(card, stage.target_spec(card), again)


def faults(card: Card, again: Measurement = AGAIN) -> set[str]:
    return {difference.what for difference in differences(card, again) if not difference.excused}


def changed(card: Card, path: tuple[str | int, ...], value: object) -> Card:
    raw = json.loads(card.model_dump_json())
    place = raw
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return Card.model_validate(raw)


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
            {"golden_differences", "c_wasm_differences", "c_prepare_flash", "instructions", "emulated_stack"}
            if runtime == "c"
            else set()
        )
        assert {"c_ram", "arena_total", "c_tflm_differences", "headline"} | more <= {difference.what for difference in found}
        assert all(difference.excused for difference in found), found


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring gives the truth about `truthful`, at once; data are zeros."""
    monkeypatch.setattr(stage, "load", lambda _name, _spec: DATASET)
    monkeypatch.setattr(stage, "measure_entry", lambda *_, **__: AGAIN)


@pytest.mark.usefixtures("measured")
def test_the_dataset_s_record_is_compared_with_its_spec(tmp_path: Path) -> None:
    base = truthful()
    specs = load_folder(SPECS / "datasets", DatasetSpec)
    entry = read_entry(base.write(tmp_path))
    assert stage.verify(entry, specs, quick=False) == []
    changes = {
        ("dataset", "test"): 359,
        ("dataset", "train"): 1,
        ("dataset", "validation"): 1,
        ("dataset", "classes", 3): "five",
        ("dataset", "input_shape", 2): 3,
        ("preprocessing", "mean"): 0.5,
    }
    for path, value in changes.items():
        found = stage.verify(replace(entry, card=changed(entry.card, path, value)), specs, quick=False)
        name = "preprocessing" if path[0] == "preprocessing" else ".".join(str(step) for step in path[:2])
        assert [difference.what for difference in found if not difference.excused] == [name]


@pytest.fixture(scope="module")
def whole() -> Synthetic:
    return published()


def rewritten(made: Synthetic, **arrays: Any) -> Synthetic:
    """The entry with other golden vectors, and a card that lists them."""
    golden = replace(golden_of(made), **arrays)
    content = golden_bytes(golden)
    files = tuple(
        file.model_copy(update={"bytes": len(content), "sha256": sha256(content)}) if file.path == GOLDEN else file
        for file in made.card.files
    )
    return replace(made, card=made.card.model_copy(update={"files": files}), files=made.files | {GOLDEN: content})


def golden_of(made: Synthetic) -> Golden:
    with np.load(io.BytesIO(made.files[GOLDEN])) as found:
        return Golden(found["raw"], found["input"], found["output"], found["label"], "validation")


def test_golden_vectors_are_those_that_seed_and_preprocessing_give(
    whole: Synthetic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, labels = raw_validation()
    parts = (Part(np.zeros((n, 6, 6, 1), np.float32), np.arange(n) % 3) for n in (200, 50, whole.card.dataset.test))
    train, validation, test = parts
    dataset = Dataset(train, replace(validation, y=labels), test, raw)
    monkeypatch.setattr(stage, "load", lambda _name, _spec: dataset)
    monkeypatch.setattr(stage, "compare", lambda *_: [])
    monkeypatch.setattr(stage, "measure_entry", lambda *_, **__: None)
    inputs = golden_of(whole).input.copy()
    inputs[2, 0, 0] += 1
    pixels = golden_of(whole).raw.copy()
    pixels[4, 0, 0] ^= 1
    cases: dict[str, tuple[Synthetic, set[str]]] = {
        "a": (whole, set()),
        "b": (replace(whole, card=changed(whole.card, ("golden", "n"), 9)), {"golden.n"}),
        "c": (replace(whole, card=changed(whole.card, ("golden", "seed"), 1)), {"golden.npz: inputs"}),
        "d": (replace(whole, card=changed(whole.card, ("golden", "source"), "synthetic")), {"golden.source"}),
        "e": (replace(whole, card=changed(whole.card, ("preprocessing", "raw_type"), "float32")), {"preprocessing.raw_type"}),
        "f": (rewritten(whole, input=inputs), {"golden.npz: int8 inputs that the preprocessing does not give"}),
        "g": (rewritten(whole, label=golden_of(whole).label[::-1]), {"golden.npz: inputs"}),
        "h": (rewritten(whole, source="synthetic"), {"golden.npz: source"}),
        "i": (
            rewritten(whole, raw=pixels),
            {"golden.npz: inputs", "golden.npz: int8 inputs that the preprocessing does not give"},
        ),
    }
    for name, (made, expected) in cases.items():
        made = replace(made, card=made.card.model_copy(update={"id": f"digits/cortex-m4-64k/{name}"}))
        found = stage.verify(read_entry(made.write(tmp_path)), {"digits": dataset_spec()}, quick=False)
        assert {difference.what for difference in found} == expected, name


@pytest.mark.usefixtures("measured")
def test_an_entry_that_cannot_be_measured_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        base = truthful(name)
        card = changed(base.card, ("dataset", "checksum"), "0" * 64) if name == "a" else base.card
        replace(base, card=card).write(tmp_path)

    def measure(folder: Path, *_: object, **__: object) -> Measurement:
        if folder.name == "b":
            raise MeasurementError("model.tflite: ended by SIGSEGV")
        return measurement_of(read_entry(folder).card)

    monkeypatch.setattr(stage, "measure_entry", measure)
    done = CliRunner().invoke(app, ["verify", "--out", str(tmp_path), "--specs", str(SPECS), "--json"])
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert [entry.rsplit("/", 1)[1] for entry in told["entries"]] == ["a", "b", "c"]
    first, second = told["differences"]
    assert first["entry"].endswith("/a") and "checksum 000000000000" in first["found"]
    assert second["entry"].endswith("/b") and second["found"] == "not possible: model.tflite: ended by SIGSEGV"
    assert not first["excused"] and not second["excused"]


def test_a_folder_that_is_not_there_is_an_error_and_an_empty_one_is_not(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="typo: no such folder; give the zoo by --out"):
        stage.verify_zoo(tmp_path / "typo", None, SPECS, quick=True)
    assert stage.verify_zoo(tmp_path, None, SPECS, quick=True) == ([], [])
