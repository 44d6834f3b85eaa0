"""`zoo inspect` and `zoo pack` as a person runs them."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner

from microzoo.cli import app
from microzoo.errors import ExportError, ImportedModelError, SpecError, StorageError, ToolMissingError
from microzoo.importer.tflite import import_tflite
from microzoo.measure.c_runtime import CRuntime
from microzoo.quantise.reference import run

from ..importer.onnx_like import OnnxModel  # noqa: TID252  # tests are no package with a name
from ..importer.tf_like import TfModel, branches, mobile  # noqa: TID252  # tests are no package with a name

ROOT = Path(__file__).parents[2]
SPECS = ("--specs", str(ROOT / "specs"))
TABLE = ("operators", "live activations", "figures", "targets")


def invoke(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "their net.tflite"
    path.write_bytes(branches())
    return path


def test_json_of_inspect(file):
    done = invoke("inspect", str(file), "--json", "--no-arena", *SPECS)
    assert done.exit_code == 0, done.exception
    found = json.loads(done.stdout)
    assert found["file_bytes"] == file.stat().st_size
    assert found["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert found["ops"] == {"CONV_2D": 4, "ADD": 1, "AVERAGE_POOL_2D": 1, "FULLY_CONNECTED": 1, "SOFTMAX": 1}
    # 64 places: 32 x 4, 32 x 36, and twice 8 x 32 products; dense 8 x 6.
    assert found["macs"] == 64 * (128 + 1152 + 256 + 256) + 48 == sum(layer["macs"] or 0 for layer in found["layers"])
    # Both wide maps and a narrow one; in the best order one wide map and both narrow ones.
    assert (found["peak_bytes"], found["best_peak_bytes"]) == (2048 + 2048 + 512, 2048 + 512 + 512)
    assert found["uncounted"] == {"SOFTMAX": 1}
    assert found["arena_head_bytes"] is None and found["arena_note"] == "not measured"
    assert set(found["verdicts"]) == {path.stem for path in (ROOT / "specs/targets").glob("*.toml")}
    assert found["verdicts"]["tiny-2k"]["fits"] is False  # 3 KB in 2 KB
    assert found["verdicts"]["cortex-m7-320k"]["fits"] is None  # a softmax is not counted


def test_the_time_of_a_slow_part_has_no_exponent(file, tmp_path):
    """Over a second at 0.1 MHz: 115,000 MACs, an instruction each at least."""
    (tmp_path / "targets").mkdir()
    keys = 'title = "slow"\ncore = "cortex-m4"\nclock_mhz = 0.1\n'
    budget = "[budget]\nram_bytes = 65536\nflash_bytes = 65536\nlatency_ms = 2500\n"
    (tmp_path / "targets/slow.toml").write_text(keys + budget, encoding="utf-8")
    done = CliRunner().invoke(app, ["inspect", str(file), "--no-arena", "--specs", str(tmp_path)], env={"COLUMNS": "200"})
    assert done.exit_code == 0 and re.search(r"\d,\d{3} ms of 2,500 ms", done.stdout), done.stdout


@pytest.mark.tflm
def test_the_arena_is_tflms(file):
    found = json.loads(invoke("inspect", str(file), "--json", "--target", "cortex-m4-64k", *SPECS).stdout)
    assert found["arena_head_bytes"] >= found["peak_bytes"]
    assert found["arena_total_bytes"] == found["arena_head_bytes"] + found["arena_tail_bytes"]
    assert list(found["verdicts"]) == ["cortex-m4-64k"]


@pytest.mark.tflm
def test_a_model_that_tflm_refuses_has_no_arena_and_a_reason(tmp_path):
    m = TfModel()
    x = m.tensor((1, 4), dtype=np.float32)
    path = tmp_path / "cos.tflite"
    path.write_bytes(m.data([x], [m.op("ATAN2", [x, x], m.tensor((1, 4), dtype=np.float32))]))
    found = json.loads(invoke("inspect", str(path), "--json", *SPECS).stdout)
    assert found["arena_head_bytes"] is None and "cos.tflite in TensorFlow Lite Micro" in found["arena_note"]
    assert found["uncounted"] == {"ATAN2": 1} and found["peak_bytes"] == 32


def test_tables_and_picture(file, tmp_path):
    done = invoke("inspect", str(file), "--no-arena", "--svg", str(tmp_path / "m.svg"), *SPECS)
    assert done.exit_code == 0, done.exception
    assert all(word in done.stdout for word in TABLE) and "not counted" in done.stdout
    picture = ElementTree.fromstring((tmp_path / "m.svg").read_text())
    bars = [each for each in picture.iter("{http://www.w3.org/2000/svg}rect") if each.get("class") in ("mz-bar", "mz-peak")]
    assert len(bars) == 8
    assert [bar.get("class") for bar in bars].index("mz-peak") == 2  # the first narrow map, beside both wide ones


def test_a_target_that_is_not_there(file):
    done = invoke("inspect", str(file), "--no-arena", "--target", "cray-1", *SPECS)
    assert isinstance(done.exception, SpecError) and '"cray-1": no such target' in str(done.exception)


def test_pack_writes_a_planned_file_and_c(file, tmp_path):
    done = invoke("pack", str(file), "--out", str(tmp_path / "out"), "--drop-softmax", "--json")
    assert done.exit_code == 0, done.exception
    found = json.loads(done.stdout)
    assert {Path(each).name for each in found["files"]} == {
        "their-net.tflite", "their_net.c", "their_net.h", "microzoo_nn.c", "microzoo_nn.h",
    }  # fmt: skip
    assert found["savings"]["live_peak_bytes"] | {"note": ""} == {"before": 4608, "after": 3072, "note": ""}
    assert found["savings"]["c_arena_bytes"]["after"] == 3072
    x = np.random.default_rng(0).integers(-128, 128, (8, 8, 8, 4), dtype=np.int8)
    expected = run(import_tflite(file.read_bytes(), drop_softmax=True).model, x)
    assert np.array_equal(CRuntime().run(tmp_path / "out" / "c", x), expected)


def test_pack_overwrites_nothing_unasked(file, tmp_path):
    arguments = ("pack", str(file), "--out", str(tmp_path / "out"), "--format", "c", "--drop-softmax")
    assert invoke(*arguments).exit_code == 0
    source = tmp_path / "out" / "c" / "their_net.c"
    source.write_text("mine")
    refused = invoke(*arguments)
    assert isinstance(refused.exception, StorageError) and "exists already; give --force" in str(refused.exception)
    assert source.read_text() == "mine"
    assert invoke(*arguments, "--force").exit_code == 0 and source.read_text() != "mine"
    (tmp_path / "m.tflite").write_bytes(mobile())
    itself = invoke("pack", str(tmp_path / "m.tflite"), "--out", str(tmp_path), "--force", "--format", "tflite")
    assert isinstance(itself.exception, StorageError) and "that is the model itself" in str(itself.exception)


def test_what_cannot_be_written_says_what_to_do(file, tmp_path):
    (tmp_path / "taken").write_text("")
    for out in (tmp_path / "taken", tmp_path / "taken" / "below", Path("/proc/nope")):
        refused = invoke("pack", str(file), "--out", str(out), "--format", "c", "--drop-softmax")
        assert isinstance(refused.exception, StorageError), refused.exception
        text = str(refused.exception)
        assert f"{out}: cannot be made as a folder: " in text and text.endswith(
            "; give another one with --out, where you may write"
        )


def test_the_verdict_on_an_onnx_names_the_onnx(tmp_path):
    m = OnnxModel((1, 4, 4, 4))
    (tmp_path / "m.onnx").write_bytes(m.data(m.conv(m.conv(m.quantised("x"), 4, 4), 4, 4)))
    found = json.loads(invoke("inspect", str(tmp_path / "m.onnx"), "--json", "--target", "cortex-m4-64k", *SPECS).stdout)
    compute = next(limit for limit in found["verdicts"]["cortex-m4-64k"]["limits"] if limit["name"] == "compute")
    assert compute["method"] == "macs of the .onnx" and compute["need"] == found["macs"] > 0


def test_a_model_that_the_asked_format_cannot_hold_names_another(tmp_path):
    m = OnnxModel((1, 4, 4, 4))
    x = m.conv(m.conv(m.quantised("x"), 4, 4), 4, 4)
    (tmp_path / "m.onnx").write_bytes(m.data(x))

    def full(_):
        raise ExportError("it holds what .tflite does not")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("microzoo.build.pack.tflite", full)
        refused = invoke("pack", str(tmp_path / "m.onnx"), "--out", str(tmp_path / "o"), "--format", "tflite")
    assert isinstance(refused.exception, ImportedModelError)
    assert str(refused.exception).endswith(
        "it holds what .tflite does not; ask for another format with --format: c, onnx or tflite"
    )
    assert not (tmp_path / "o").exists()


def test_c_that_cannot_be_made_is_an_error_when_asked_for_and_a_note_otherwise(file, tmp_path, monkeypatch):
    def no_wheel(_):
        raise ToolMissingError("no wheel here")

    monkeypatch.setattr("microzoo.build.pack.measure_arena", no_wheel)
    asked = invoke("pack", str(file), "--out", str(tmp_path / "a"), "--format", "c")
    assert isinstance(asked.exception, ImportedModelError) and "--drop-softmax" in str(asked.exception)
    assert not (tmp_path / "a").exists()
    default = invoke("pack", str(file), "--out", str(tmp_path / "b"))
    assert default.exit_code == 0 and "no C: " in default.stdout and "no wheel here" in default.stdout
    assert [each.name for each in (tmp_path / "b").iterdir()] == ["their-net.tflite"]


def test_neither_imports_torch_nor_a_runtime(file, tmp_path):
    program = (
        "import sys; from typer.testing import CliRunner; from microzoo.cli import app;"
        f"assert CliRunner().invoke(app, ['inspect', {str(file)!r}, '--no-arena']).exit_code == 0;"
        f"pack = ['pack', {str(file)!r}, '--format', 'c', '--drop-softmax', '--out', {str(tmp_path / 'o')!r}];"
        "assert CliRunner().invoke(app, pack).exit_code == 0;"
        "print([name for name in ('torch', 'onnxruntime', 'tflite_micro', 'sklearn', 'mkdocs') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_a_terminal_without_the_letters_of_a_name(tmp_path):
    """A table escapes what the encoding lacks."""
    m = TfModel()
    x = m.tensor((1, 4, 4, 2), 0.05, 1)
    y = m.tensor((1, 4, 4, 2), 1 / 256, -128, name="\u6a21\u578b")
    (tmp_path / "m.tflite").write_bytes(m.data([x], [m.op("LOGISTIC", [x], y)]))
    done = subprocess.run(
        [sys.executable, "-c", "from microzoo.__main__ import main; main()", "inspect", "--no-arena", str(tmp_path / "m.tflite")],
        check=False, capture_output=True, cwd=ROOT, env=os.environ | {"PYTHONIOENCODING": "ascii", "COLUMNS": "200"},
    )  # fmt: skip
    assert b"Traceback" not in done.stderr and done.returncode == 0, done.stderr
    assert rb"\u6a21\u578b" in done.stdout
