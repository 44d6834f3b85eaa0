"""Bad input of `zoo inspect` and `zoo pack`: one line and exit 1, no traceback, no hang; damaged bytes by the hundred."""

import importlib.util
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from microzoo.cli import app
from microzoo.errors import MicrozooError

from ..importer.tf_like import TfModel  # noqa: TID252  # tests are no package with a name
from .crafted import long_and_wide, onnx_files, tflite_files

HERE = Path(__file__).parent
SPECS = HERE.parents[1] / "specs"
ZOO = HERE.parents[1] / "zoo"
spec = importlib.util.spec_from_file_location("fuzz", HERE / "fuzz.py")
fuzz = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fuzz)


def refusal(*arguments: str) -> str:
    """The one line of the error."""
    done = CliRunner().invoke(app, list(arguments))
    assert isinstance(done.exception, MicrozooError), (done.exception, done.output)
    line = str(done.exception)
    assert line.isprintable() and done.exception.exit_code == 1
    return line


def test_damaged_tflite_files():
    data = min(ZOO.glob("*/*/*/model.tflite"), key=lambda path: path.stat().st_size).read_bytes()
    ends = [fuzz.try_tflite(mutant) for mutant in fuzz.mutants(data, 120, 11)]
    assert len(set(ends)) == 3, "the damage hits nothing, or everything alike"


def test_damaged_onnx_files():
    done = subprocess.run([sys.executable, HERE / "fuzz.py", "40", "5"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "onnx: 40 damaged files" in done.stdout and "refused" in done.stdout


def test_crafted_tflite_files():
    ends = {name: fuzz.try_tflite(data) for name, data in tflite_files().items()}
    assert [name for name, end in ends.items() if end == "read"] == []
    for data in tflite_files().values():
        for mutant in fuzz.mutants(data, 3, 7):
            fuzz.try_tflite(mutant)


def test_long_and_wide_files_end_in_time():
    for name, data in long_and_wide().items():
        started = time.process_time()
        assert fuzz.try_tflite(data) == "ImportedModelError", name
        for mutant in fuzz.mutants(data, 1, 3):
            fuzz.try_tflite(mutant)
        assert time.process_time() - started < fuzz.SECONDS, name


def test_crafted_onnx_files(tmp_path):
    files = onnx_files()
    for index, data in enumerate(files.values()):
        (tmp_path / f"{index}.onnx").write_bytes(data)
    paths = [str(tmp_path / f"{index}.onnx") for index in range(len(files))]
    done = subprocess.run(
        [sys.executable, HERE / "fuzz.py", "2", "5", *paths], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert done.stdout.count("onnx: 3 damaged files") == len(files) and "ImportedModelError" in done.stdout


def test_the_mutants_are_the_same_every_time():
    data = bytes(range(256)) * 8 + bytes(512)
    assert list(fuzz.mutants(data, 20, 3)) == list(fuzz.mutants(data, 20, 3)) != list(fuzz.mutants(data, 20, 4))


@pytest.mark.parametrize("command", ["inspect", "pack"])
def test_what_is_no_model(tmp_path, command):
    assert "no such file; check the path" in refusal(command, str(tmp_path / "none.tflite"))
    assert "not a model file by its name; give one that ends in .tflite or .onnx" in refusal(command, str(tmp_path))
    (tmp_path / "picture.tflite").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    assert "not a .tflite file" in refusal(command, str(tmp_path / "picture.tflite"))
    (tmp_path / "folder.onnx").mkdir()
    assert "folder.onnx: a folder, not a file; give the model file in it" in refusal(command, str(tmp_path / "folder.onnx"))


EVIL = "a\nzoo: all is well\x1b[2K\u2028\u202e\\end"
ESCAPED = r"a\nzoo: all is well\x1b[2K\u2028\u202e\\end"


def test_names_are_escaped_in_errors_and_tables(tmp_path):
    m = TfModel()
    x = m.tensor((1, 6, 6, 3), 0.05, 1, name=EVIL)
    (tmp_path / "m.tflite").write_bytes(
        m.data([x], [m.op("LOGISTIC", [x], m.tensor((1, 6, 6, 3), 1 / 256, -128, name=EVIL + "!"))])
    )
    text = refusal("pack", str(tmp_path / "m.tflite"), "--format", "c", "--out", str(tmp_path / "o"))
    assert f'(LOGISTIC, "{ESCAPED}!")' in text
    renamed = model([helper.make_node("Relu", ["x"], [EVIL]), helper.make_node("Relu", [EVIL], [ESCAPED])], output=ESCAPED)
    (tmp_path / "m.onnx").write_bytes(renamed.SerializeToString())
    assert f'(Relu, "{ESCAPED}")' in refusal("pack", str(tmp_path / "m.onnx"), "--out", str(tmp_path / "o"))
    for name in ("m.tflite", "m.onnx"):
        done = CliRunner().invoke(app, ["inspect", str(tmp_path / name), "--no-arena", "--specs", str(SPECS)])
        assert done.exit_code == 0 and "zoo: all is well" in done.stdout.replace("\n", " "), done.exception
        assert not set("\x1b\u2028\u202e") & set(done.stdout) and "\nzoo: all" not in done.stdout
    swirl = model([helper.make_node(EVIL, ["x"], ["y"], domain="their.ops")])
    (tmp_path / "m.onnx").write_bytes(swirl.SerializeToString())
    assert "custom operator their.ops.a" in refusal("inspect", str(tmp_path / "m.onnx"))


def test_two_gigabytes_are_refused_unread(tmp_path):
    for name in ("huge.tflite", "huge.onnx"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(2 << 30)
        assert "2,147,483,648 bytes; at most 268,435,456 are read" in refusal("inspect", str(tmp_path / name))


def model(nodes, shape=(1, 4), constants=(), output="y") -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, each) for name, each in (("x", shape), (output, None))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], list(constants))
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("their.ops", 1)], ir_version=8
    )


def _external():
    tensor = numpy_helper.from_array(np.ones((4, 3), np.float32), "w")
    onnx.external_data_helper.set_external_data(tensor, "weights.bin")
    tensor.ClearField("raw_data")
    return model([helper.make_node("MatMul", ["x", "w"], ["y"])], constants=[tensor])


def _custom():
    return model([helper.make_node("Swirl", ["x"], ["y"], domain="their.ops")])


def _dynamic():
    return model([helper.make_node("Relu", ["x"], ["y"])], shape=("N", "width"))


def _branch():
    inner = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["z"])], "then", [], [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 4])]
    )
    condition = numpy_helper.from_array(np.array(True), "c")
    return model([helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)], constants=[condition])


def _reads_ahead():
    return model([helper.make_node("Relu", ["a"], ["y"]), helper.make_node("Relu", ["x"], ["a"])])


def _misfit():
    return model(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], constants=[numpy_helper.from_array(np.ones((5, 3), np.float32), "w")]
    )


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (_external, 'the values of "w" are in another file; save the model as one file'),
        (_custom, 'the custom operator their.ops.Swirl, written to "y"'),
        (_dynamic, 'the input "x" has the dynamic dimension 1 (width)'),
        (_branch, "If holds graphs of its own"),
        (_reads_ahead, "shapes do not hold together"),
        (_misfit, "shapes do not hold together"),
    ],
)
def test_onnx_files_that_are_refused(tmp_path, make, text):
    (tmp_path / "m.onnx").write_bytes(make().SerializeToString())
    assert text in refusal("inspect", str(tmp_path / "m.onnx"))


def test_what_is_no_onnx(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"GIF89a" + bytes(50))
    assert "not an .onnx file" in refusal("inspect", str(tmp_path / "m.onnx"))
