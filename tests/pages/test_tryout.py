import base64
import gzip
import json
import re
import shutil
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from microzoo.catalog.golden import golden_bytes, read_golden
from microzoo.catalog.store import Entry
from microzoo.errors import SiteError
from microzoo.pages.site import render
from microzoo.pages.tryout import DRAWINGS, Kind, kind_of, tryout
from microzoo.pages.webruntime import MODULE, WASM, web_runtime
from microzoo.spec.dataset import DatasetSpec
from microzoo.spec.load import load_folder

from .cards import published, synthetic
from .senses import motion, sound
from .sites import ROOT

TEMPLATES = ROOT / "site" / "templates"


@pytest.fixture(scope="module", params=["uint8", "float32"])
def whole(request, tmp_path_factory):
    made = published(request.param)
    return Entry(made.write(tmp_path_factory.mktemp("zoo")), made.card, made.build)


@pytest.fixture
def modules(tmp_path):
    """A folder node_modules with a package of the right form."""
    package = tmp_path / "node_modules" / "onnxruntime-web"
    (package / "dist").mkdir(parents=True)
    (package / "package.json").write_text('{"version": "1.2.3"}')
    (package / MODULE).write_text("export const env = {};")
    (package / WASM).write_bytes(b"\0asm" + bytes(10_000))
    return package.parent


def received(script):
    name, content = re.fullmatch(rb"mzTryout\.receive\((\"\w+\"), (.*)\);\n", script).groups()
    return json.loads(name), json.loads(content)


def page_of(entry, modules=None):
    rendered = render([entry], {}, {}, TEMPLATES, modules=modules)
    return next(page for page in rendered.pages if page.path.startswith("models/")), rendered.scripts


def test_the_scripts_hold_the_very_files_and_vectors(whole):
    found = tryout(whole)
    name, model = received(found.files["tryout/model.js"])
    golden = read_golden(whole.folder / "golden.npz")
    assert name == "model" and base64.b64decode(model["wasm"]) == (whole.folder / "model.wasm").read_bytes()
    assert model["rawType"] == whole.card.preprocessing.raw_type and len(model["samples"]) == len(golden)
    for sample, raw, label, output in zip(model["samples"], golden.raw, golden.label, golden.output, strict=True):
        assert base64.b64decode(sample["raw"]) == raw.astype(raw.dtype.newbyteorder("<")).tobytes()
        assert (sample["label"], sample["output"]) == (label, output.tolist())
    name, onnx = received(found.files["tryout/onnx.js"])
    assert name == "onnx" and base64.b64decode(onnx["bytes"]) == (whole.folder / "model.onnx").read_bytes()


def test_what_a_page_loads_is_in_the_site(whole, modules):
    page, made = page_of(whole, modules)
    folder = page.path.removesuffix("index.html")
    for key, start in (("model", folder), ("onnx", folder), ("runtime", ""), ("widget", "")):
        (address,) = re.findall(rf'data-{key}="([^"]+)"', page.html)
        place = start + address.removeprefix("../" * page.path.count("/"))
        assert place in made or (ROOT / "site" / "pages" / place).is_file()
    for script in re.findall(r'<script src="([^"]+)"', page.html):
        assert (ROOT / "site" / "pages" / script.removeprefix("../" * page.path.count("/"))).is_file()
    for notice in ("LICENSE.txt", "ThirdPartyNotices.txt"):
        assert f"assets/onnxruntime/{notice}" in page.html and made[f"assets/onnxruntime/{notice}"]


def test_synthetic_inputs_are_called_so_and_have_no_class(tmp_path):
    made = published(redistributable=False)
    entry = Entry(made.write(tmp_path), made.card, made.build)
    _, model = received(tryout(entry).files["tryout/model.js"])
    assert not model["real"] and {sample["label"] for sample in model["samples"]} == {-1}
    page, _ = page_of(entry)
    assert (
        "synthetic inputs" in page.html and "inputs of the validation split" not in page.html.split('id="try"')[1].split("<h2")[0]
    )


def test_an_entry_without_wasm_says_so_and_loads_nothing(tmp_path):
    made = synthetic()
    page, scripts = page_of(Entry(made.write(tmp_path), made.card, made.build))
    assert "This entry has no model.wasm" in page.html and "tryout.js" not in page.html and "mz-try-main" not in page.html
    assert scripts == {}


def test_without_the_package_the_page_says_why_there_is_no_comparison(whole):
    page, scripts = page_of(whole)
    assert "No comparison with ONNX Runtime here: onnxruntime-web was not installed" in page.html
    assert 'data-onnx=""' in page.html and "mz-try-compare" not in page.html
    assert not any(path.startswith("assets/onnxruntime/") for path in scripts)


def test_the_runtime_is_packed_whole(modules):
    found = web_runtime(modules)
    name, packed = received(found.files["assets/onnxruntime/runtime.js"])
    assert (name, found.version) == ("runtime", "1.2.3")
    for key, path in (("module", MODULE), ("wasm", WASM)):
        assert gzip.decompress(base64.b64decode(packed[key])) == (modules / "onnxruntime-web" / path).read_bytes()
    assert b"MIT License" in found.files["assets/onnxruntime/LICENSE.txt"]
    assert web_runtime(modules).files == found.files


@pytest.mark.parametrize("gone", [MODULE, WASM, "package.json"])
def test_half_a_package_is_an_error_with_a_remedy(modules, gone):
    (modules / "onnxruntime-web" / gone).unlink()
    with pytest.raises(SiteError, match=r"onnxruntime-web: is not the package.*\n?.*sh tools/web"):
        web_runtime(modules)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"output": np.zeros((8, 4), np.int8)}, r"output has 4 scores, dataset\.classes has 3"),
        ({"label": np.full(8, 3, np.int32)}, r"label 3 is none of the 3 classes"),
        ({"raw": np.zeros((8, 6, 6, 1), np.float32)}, r"raw is float32, preprocessing\.raw_type = uint8"),
        ({"raw": np.zeros((8, 5, 6, 1), np.uint8), "input": np.zeros((8, 5, 6, 1), np.int8)}, r"raw is \(5, 6, 1\)"),
    ],
)
def test_vectors_of_another_model_are_refused_by_name(tmp_path, change, words):
    made = published()
    entry = Entry(made.write(tmp_path), made.card, made.build)
    golden = read_golden(entry.folder / "golden.npz")
    assert len(golden) == 8
    fields = {name: getattr(golden, name) for name in ("raw", "input", "output", "label", "source")}
    (entry.folder / "golden.npz").write_bytes(golden_bytes(type(golden)(**(fields | change))))
    with pytest.raises(SiteError, match=rf"digits/cortex-m4-64k/whole: golden\.npz and card\.json differ: {words}"):
        tryout(entry)


def test_a_missing_file_is_named(tmp_path):
    made = published()
    entry = Entry(made.write(tmp_path), made.card, made.build)
    (entry.folder / "model.wasm").unlink()
    with pytest.raises(SiteError, match=r"whole: model\.wasm is missing"):
        tryout(entry)


@pytest.mark.parametrize(
    ("shape", "raw", "kind"),
    [
        ((8, 8, 1), "uint8", "image"),
        ((32, 32, 3), "uint8", "image"),
        ((6, 6, 1), "float32", "values"),
        ((128, 1, 3), "uint8", "values"),
        ((1, 128, 1), "uint8", "values"),
        ((49, 10, 2), "uint8", "values"),
        ((8, 8, 1), None, "values"),
    ],
)
def test_kinds_of_data(shape, raw, kind):
    card = synthetic().card
    changes = {
        "dataset": card.dataset.model_copy(update={"input_shape": shape}),
        "preprocessing": card.preprocessing.model_copy(update={"raw_type": raw}),
    }
    assert kind_of(card.model_copy(update=changes)) == kind


def test_what_the_card_says_of_the_data_comes_before_its_shape(tmp_path):
    made = motion()
    signal = made.card.dataset.signal
    found = tryout(Entry(made.write(tmp_path), made.card, made.build))
    _, model = received(found.files["tryout/model.js"])
    assert found.kind == model["kind"] == "motion"
    expected = {"rateHz": 102.5, "channels": list(signal.channels), "units": ["g"] * 3 + ["rad/s"] * 3}
    assert model["signal"] == expected
    flat = made.card.dataset.model_copy(update={"input_shape": (10, 10, 6)})
    assert kind_of(made.card.model_copy(update={"dataset": flat})) == "motion"


def test_a_signal_that_does_not_fit_the_input_is_refused_by_name(tmp_path):
    made = motion()
    signal = made.card.dataset.signal.model_copy(update={"channels": ("a", "b"), "units": ("g", "g")})
    card = made.card.model_copy(update={"dataset": made.card.dataset.model_copy(update={"signal": signal})})
    words = r"steps: card\.json: dataset\.signal\.channels has 2 names, dataset\.input_shape = \(100, 1, 6\)"
    with pytest.raises(SiteError, match=words):
        tryout(Entry(made.write(tmp_path), card, made.build))


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    made = sound()
    return Entry(made.write(tmp_path_factory.mktemp("zoo")), made.card, made.build)


def test_sound_is_handed_to_the_page_sample_by_sample(heard):
    found = tryout(heard)
    _, model = received(found.files["tryout/model.js"])
    golden = read_golden(heard.folder / "golden.npz")
    assert found.kind == model["kind"] == kind_of(heard.card) == "sound"
    assert model["sound"] == {"rateHz": 8000, "samples": 48 * 160 + 256}
    for sample, clip in zip(model["samples"], golden.sound, strict=True):
        assert base64.b64decode(sample["sound"]) == clip.astype("<i2").tobytes()


def test_without_a_licence_to_pass_it_on_the_sound_is_synthetic(tmp_path):
    made = sound(redistributable=False)
    page, scripts = page_of(Entry(made.write(tmp_path), made.card, made.build))
    _, model = received(scripts[page.path.replace("index.html", "tryout/model.js")])
    assert not model["real"] and all(len(base64.b64decode(sample["sound"])) == 2 * 7936 for sample in model["samples"])
    assert "10 synthetic inputs" in page.html


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sound": None}, r"golden\.npz has no array sound"),
        ({"sound": np.zeros((10, 7935), np.int16)}, r"golden\.npz: sound has 7935 samples a clip, dataset\.sound makes it 7936"),
    ],
)
def test_a_card_of_sound_without_the_right_sound_is_refused_by_name(heard, tmp_path, change, words):
    folder = shutil.copytree(heard.folder, tmp_path / "words")
    golden = replace(read_golden(folder / "golden.npz"), **change)
    (folder / "golden.npz").write_bytes(golden_bytes(golden))
    with pytest.raises(SiteError, match=rf"fsdd/cortex-m4-64k/words: card\.json has dataset\.sound, but {words}"):
        tryout(replace(heard, folder=folder))


@pytest.mark.parametrize("names", [("features",), ("sound", "features"), ("sound", "samples", "features")])
def test_wasm_that_does_not_make_features_is_refused_by_name(heard, tmp_path, names):
    folder = shutil.copytree(heard.folder, tmp_path / "words")
    module = (folder / "model.wasm").read_bytes()
    for name in names:
        exported = bytes([len(name)]) + name.encode() + b"\0"
        assert module.count(exported) == 1
        module = module.replace(exported, exported.replace(name.encode(), b"x" * len(name)))
    (folder / "model.wasm").write_bytes(module)
    words = rf"words: card\.json has dataset\.sound, but model\.wasm does not export {' and '.join(names)}"
    with pytest.raises(SiteError, match=words):
        tryout(replace(heard, folder=folder))


def test_each_kind_has_its_widget_and_each_drawing_its_dataset():
    datasets = load_folder(ROOT / "specs" / "datasets", DatasetSpec)
    for name, drawing in DRAWINGS.items():
        assert datasets[name].input_shape[2] == 1
        assert 0 < drawing.width <= 1 and 0 < drawing.height <= 1 and drawing.stretch >= 1
        assert 0 < drawing.pen < min(drawing.width, drawing.height) and 0 < drawing.filling <= 1
    for kind in get_args(Kind):
        script = (ROOT / "site" / "pages" / "assets" / f"tryout-{kind}.js").read_text()
        assert f"mzTryout.widgets.{kind} =" in script
