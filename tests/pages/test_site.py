import hashlib
import re

import pytest

from microzoo.catalog.card import Figure
from microzoo.catalog.store import Entry, read_entry
from microzoo.errors import SiteError
from microzoo.pages.compared import compared
from microzoo.pages.headlines import bar, headlines
from microzoo.pages.results import confusion
from microzoo.pages.site import render
from microzoo.pages.usage import usage
from microzoo.spec.dataset import DatasetSpec
from microzoo.spec.load import load_folder
from microzoo.spec.models import TargetSpec

from .cards import published, synthetic
from .senses import sound
from .sites import HOSTILE, ROOT

TEMPLATES = ROOT / "site" / "templates"


@pytest.fixture(scope="module")
def datasets():
    return load_folder(ROOT / "specs" / "datasets", DatasetSpec)


@pytest.fixture(scope="module")
def targets():
    return load_folder(ROOT / "specs" / "targets", TargetSpec)


@pytest.fixture
def entry(tmp_path):
    made = synthetic()
    return Entry(made.write(tmp_path), made.card, made.build)


def changed(entry, **fields):
    return Entry(entry.folder, entry.card.model_copy(update=fields), entry.build)


def test_an_empty_zoo_renders_and_says_so(datasets, targets):
    rendered = render([], datasets, targets, TEMPLATES)
    assert "has no models yet" in rendered.fragments["fronts"]
    assert {page.path for page in rendered.pages} >= {"reference/specs.html", "datasets/digits.html", "targets/tiny-2k.html"}
    assert rendered.files == {}


def test_a_tiny_limit_of_time_is_shown_as_it_was_set(datasets, targets):
    tiny = targets["tiny-2k"]
    spec = tiny.model_copy(update={"clock_mhz": 13.5, "budget": tiny.budget.model_copy(update={"latency_ms": 0.003})})
    pages = {page.path: page.html for page in render([], datasets, {"tiny-2k": spec}, TEMPLATES).pages}
    assert "at 13.5 MHz" in pages["targets/tiny-2k.html"] and "at most 0.003 ms" in pages["targets/tiny-2k.html"]
    assert "0.003 ms" in pages["targets/index.html"]


def test_the_page_of_a_model_holds_the_numbers_of_its_card(entry, datasets, targets):
    rendered = render([entry], datasets, targets, TEMPLATES)
    page = next(page for page in rendered.pages if page.path.startswith("models/"))
    card = entry.card
    assert page.path == "models/digits/cortex-m0plus-8k/brisk-wren/index.html"
    for file in card.files:
        assert f"{file.bytes:,}" in page.html and file.sha256 in page.html
        assert rendered.files[f"models/{card.id}/files/{file.path}"] == entry.folder / file.path
    for figure in card.figures.values():
        assert figure.method.replace("'", "&#39;") in page.html
        assert figure.value is None or f"{figure.value:,}" in page.html
    assert f"{card.headline.correct:,} of {card.headline.n:,}" in page.html
    assert entry.build.machine in page.html and card.dataset.checksum in page.html
    assert [words for level, _, words in page.headings if level == 2][:2] == ["Budget of the target", "Try it"]


def test_every_anchor_is_there_once(entry, datasets, targets):
    for page in render([entry], datasets, targets, TEMPLATES).pages:
        anchors = re.findall(r'\bid="([^"]+)"', page.html)
        assert len(anchors) == len(set(anchors)), page.path
        assert page.html.lstrip().startswith("<h1>")


def test_a_figure_without_value_has_no_kind_but_its_reason(entry, datasets, targets):
    page = render([entry], datasets, targets, TEMPLATES).pages[0]
    row = re.search(r"<tr><th scope=\"row\">TFLM arena, total</th>.*?</tr>", page.html, re.DOTALL)[0]
    assert "not available" in row and "mz-kind" not in row and "wheel is not installed" in row


@pytest.mark.parametrize("field", ["known_limits", "architecture", "headline", "spec", "model_licence"])
def test_markup_in_a_card_is_shown_and_not_run(entry, datasets, targets, field):
    values = {
        "known_limits": (HOSTILE,),
        "architecture": '{"<script>": 1}',
        "headline": entry.card.headline.model_copy(update={"runtime": HOSTILE}),
        "spec": {HOSTILE: HOSTILE, "search": {HOSTILE: [HOSTILE]}},
        "model_licence": HOSTILE,
    }
    value = values[field]
    rendered = render([changed(entry, **{field: value})], datasets, targets, TEMPLATES)
    everything = "".join([*(page.html for page in rendered.pages), *rendered.fragments.values()])
    assert "<script" not in everything and "<img" not in everything
    assert "&lt;script&gt;" in everything


def test_markup_in_names_of_layers_and_classes_is_escaped_in_drawings(entry, datasets, targets):
    first, *rest = entry.card.layers
    renamed = first.model_copy(update={"name": HOSTILE, "kind": HOSTILE})
    dataset = entry.card.dataset.model_copy(update={"title": HOSTILE, "classes": (HOSTILE, *entry.card.dataset.classes[1:])})
    rendered = render([changed(entry, layers=(renamed, *rest), dataset=dataset)], datasets, targets, TEMPLATES)
    everything = "".join([*(page.html for page in rendered.pages), *rendered.fragments.values()])
    assert "<script" not in everything and "<img" not in everything


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"figures": {}}, "figures.macs is missing"),
        ({"limits": ()}, 'limits has no "ram"'),
        ({"layers": ()}, "layers is empty"),
        ({"confusion": ((1,),)}, "confusion is not 10 x 10"),
        ({"architecture": "{"}, "architecture is not JSON"),
        ({"files": ()}, "files has no .tflite"),
    ],
)
def test_what_a_card_lacks_is_named_with_its_entry(entry, datasets, targets, fields, words):
    with pytest.raises(SiteError, match=r"digits/cortex-m0plus-8k/brisk-wren/card\.json") as caught:
        render([changed(entry, **fields)], datasets, targets, TEMPLATES)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_figure_that_must_have_a_value(entry, datasets, targets):
    macs = Figure(value=None, unit="macs", kind="measured", method="no counter")
    with pytest.raises(SiteError, match=r"figures\.macs\.value is null \(no counter\)"):
        render([changed(entry, figures=entry.card.figures | {"macs": macs})], datasets, targets, TEMPLATES)


def test_a_missing_file_is_named(entry, datasets, targets):
    (entry.folder / "model.onnx").unlink()
    with pytest.raises(SiteError, match=r"brisk-wren: model\.onnx is missing"):
        render([entry], datasets, targets, TEMPLATES)


@pytest.mark.parametrize("path", ["../../secret", "/etc/passwd", "c\\..\\x", "c//x"])
def test_a_file_path_that_leaves_the_entry_is_refused(entry, datasets, targets, path):
    files = (*entry.card.files, entry.card.files[0].model_copy(update={"path": path, "format": "other"}))
    with pytest.raises(SiteError, match=r"files\[6\]\.path"):
        render([changed(entry, files=files)], datasets, targets, TEMPLATES)


@pytest.mark.parametrize("id_", ["digits/cortex-m0plus-8k/<b>", "digits/cortex-m0plus-8k", "mnist/cortex-m0plus-8k/x", "../x/y"])
def test_an_id_is_three_plain_names(entry, datasets, targets, id_):
    with pytest.raises(SiteError, match="is not dataset/target/name"):
        render([changed(entry, id=id_)], datasets, targets, TEMPLATES)


def test_predicted_against_found_by_hand():
    # Predicted RAM is 128 B more than the need, predicted flash 300 B more.
    card = synthetic().card
    ram, flash = card.limits[0].need, card.limits[1].need
    rows = {row["title"]: row["difference"] for row in compared(card)}
    assert rows["RAM on the target"] == f"{12_800 / ram:+.1f}\N{NO-BREAK SPACE}%"
    assert rows["Flash on the target"] == f"{30_000 / flash:+.1f}\N{NO-BREAK SPACE}%"
    assert rows["Activations"] == "0"


def of(value, unit="bytes", kind="measured"):
    return Figure(value=value, unit=unit, kind=kind, method="by hand")


def test_cards_with_an_arena_of_each_kind_compare_the_one_of_their_runtime():
    card = synthetic().card
    later = {"c_arena": of(1000), "arena_head": of(2000), "c_flash": of(5000), "tflite_bytes": of(3000)}
    believed = {"predicted_activations": 1010, "predicted_c_flash": 5050, "predicted_tflite_bytes": 3003}
    figures = card.figures | later | {name: of(value, kind="predicted") for name, value in believed.items()}

    def rows(runtime, **others):
        target = card.target.model_copy(update={"runtime": runtime})
        shown = compared(card.model_copy(update={"figures": figures | others, "target": target}))
        return {row["title"]: (row["actual"], row["difference"]) for row in shown}

    percent = "\N{NO-BREAK SPACE}%"
    assert rows("c")["Activations"] == ("1,000 B", f"+1.0{percent}")
    assert rows("tflm")["Activations"] == ("2,000 B", f"-49.5{percent}")
    assert rows("tflm", arena_head=of(None))["Activations"] == ("not available", "–")
    assert rows("tflm")["Flash of the generated C"] == ("5,000 B", f"+1.0{percent}")
    assert rows("tflm")["Size of the .tflite"] == ("3,000 B", f"+0.1{percent}")
    assert "Size of the .tflite" not in {row["title"] for row in compared(card)}, "an older card"


def test_instructions_have_a_tile_where_they_were_counted():
    card = synthetic().card
    card = card.model_copy(update={"target": card.target.model_copy(update={"core": "cortex-m0plus"})})
    counted = card.model_copy(update={"figures": card.figures | {"instructions": of(2_231_680, "instructions", "emulated")}})
    (tile,) = [tile for tile in headlines(counted) if tile["title"] == "Instructions"]
    assert (tile["value"], tile["kind"]) == ("2.23 M", "emulated")
    assert tile["remark"] == "of one inference on a Cortex-M0+, not cycles"
    absent = card.model_copy(update={"figures": card.figures | {"instructions": of(None, "instructions", "emulated")}})
    assert headlines(absent) == headlines(card)


def test_confusion_rows_keep_their_counts():
    card = synthetic().card
    rows = confusion(card)
    assert sum(row["total"] for row in rows) == card.headline.n
    assert sum(row["cells"][index]["count"] for index, row in enumerate(rows)) == card.headline.correct


def test_headlines_give_the_kind_of_each_figure():
    kinds = {tile["title"]: tile["kind"] for tile in headlines(synthetic().card)}
    assert kinds == {
        "Accuracy, int8, test": "measured",
        "RAM": "estimated",
        "Flash": "measured",
        "Compute": "measured",
        "File": "measured",
    }


def test_the_snippet_prepares_inputs_as_the_card_says():
    import numpy as np

    card = synthetic().card
    use, step = usage(card), card.preprocessing
    raw = np.arange(17.0)
    real = eval(use["prepare"], {"raw": raw})
    q = eval(use["quantise"], {"np": np, "real": real})
    expected = np.rint((raw * step.scale - step.mean) / step.std / card.input.scale) + card.input.zero_point
    assert np.array_equal(q, expected) and expected.min() == -128 and expected.max() == 127
    assert eval(use["dequantise"], {"q": 14}) == pytest.approx(card.output.scale * (14 - card.output.zero_point))
    assert (use["header"], use["prefix"], use["sources"]) == ("c/model.h", "model", ["c/model.c", "c/microzoo_nn.c"])


def test_an_entry_with_golden_vectors_offers_archives_and_says_how_to_check(datasets, targets, tmp_path):
    made = published()
    entry = read_entry(made.write(tmp_path))
    rendered = render([entry], datasets, targets, TEMPLATES)
    page = next(page for page in rendered.pages if page.path.startswith("models/"))
    offered = {path: content for path, content in rendered.archives.items() if "/files/" in path}
    assert len(offered) == 3
    for path, content in offered.items():
        assert path.startswith(f"models/{made.card.id}/files/") and hashlib.sha256(content).hexdigest() in page.html
        assert f'href="files/{path.rpartition("/")[2]}"' in page.html
    assert "model_prepare(raw, model_input());" in page.html and "#include &#34;model_prepare.h&#34;" not in page.html
    assert "it takes 8 inputs of the validation split" in page.html
    compile_line = re.search(r"<p>Compile (.*?) with your program", page.html)[1]
    assert re.findall(r"<code>(.*?)</code>", compile_line) == ["c/model.c", "c/microzoo_nn.c", "c/model_prepare.c"]
    assert 'InferenceSession("model.onnx")' in page.html
    assert "WebAssembly: the model" in page.html and "ONNX, int8 (QDQ): the model, float in and out" in page.html


def test_what_runs_the_self_test_is_called_what_it_is(datasets, targets, tmp_path):
    made = published()
    page = render([read_entry(made.write(tmp_path))], datasets, targets, TEMPLATES).pages[0]
    assert "selftest/Makefile" in made.files
    assert "makefile: runs these inputs and says PASS" in page.html and "<td>other" not in page.html


def test_an_older_entry_offers_its_files_only(entry, datasets, targets):
    rendered = render([entry], datasets, targets, TEMPLATES)
    page = next(page for page in rendered.pages if page.path.startswith("models/"))
    assert not any("/files/" in path for path in rendered.archives)
    assert "PASS" not in page.html and "memcpy(model_input(), pixels" in page.html


@pytest.mark.parametrize(("need", "words"), [(99.51, "99"), (100.0, "100"), (100.2, "101"), (0.4, "0")])
def test_a_budget_is_full_only_when_it_is(entry, need, words):
    limit = entry.card.limits[0].model_copy(update={"need": need, "have": 100.0})
    assert bar(entry.card, limit)["percent"] == f"{words}\N{NO-BREAK SPACE}%"


def test_the_page_of_a_model_of_sound_says_what_its_front_end_takes(tmp_path, datasets, targets):
    made = sound()
    heard = Entry(made.write(tmp_path), made.card, made.build)
    words = "RAM and flash include the front end of sound"

    def said(entry):
        (page,) = (page for page in render([entry], datasets, targets, TEMPLATES).pages if page.path.endswith("words/index.html"))
        return re.sub(r"<[^>]+>", "", page.html)

    assert f"{words}." in said(heard)
    figures = {
        "c_features_ram": Figure(value=2692, unit="bytes", kind="measured", method="linked"),
        "c_features_flash": Figure(value=2568, unit="bytes", kind="measured", method="linked"),
        "features_instructions": Figure(value=1518822, unit="instructions", kind="emulated", method="counted"),
    }
    told = said(changed(heard, figures=heard.card.figures | figures))
    assert (
        f"{words}: 2.6 KB of RAM measured and 2.5 KB of flash measured. For each clip it takes 1,518,822 instructions emulated"
        in told
    )
    absent = {name: figure.model_copy(update={"value": None}) for name, figure in figures.items()}
    assert f"{words}." in said(changed(heard, figures=heard.card.figures | absent))
    shown = compared(changed(heard, figures=heard.card.figures | predicted_front_end()).card)
    alone = {row["title"]: row["predicted"] for row in compared(heard.card)}
    whole = {row["title"]: row["predicted"] for row in shown}
    for title in ("RAM on the target", "Flash on the target"):
        assert number(whole[title]) - number(alone[title]) == (2704 if title.startswith("RAM") else 2592)


def predicted_front_end():
    return {
        "predicted_features_ram": Figure(value=2704, unit="bytes", kind="predicted", method="counted"),
        "predicted_features_flash": Figure(value=2592, unit="bytes", kind="predicted", method="counted"),
    }


def number(text):
    return int(re.sub(r"\D", "", text))
