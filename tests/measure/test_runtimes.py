"""The Protocol's conformance for every runtime, the golden reference as oracle, and children that misbehave."""

import sys
import tempfile
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from microzoo.errors import MeasurementError, StorageError, ToolMissingError
from microzoo.measure import children
from microzoo.measure.accuracy import require_equal
from microzoo.measure.c_runtime import CRuntime
from microzoo.measure.c_sources import c_sources as find_c_sources
from microzoo.measure.children import run_together
from microzoo.measure.runtimes import FloatOnnxRuntime, Format, LiteRtRuntime, OnnxRuntime, TflmRuntime, WasmRuntime
from microzoo.measure.scratch import save_array, write_scratch
from microzoo.quantise.reference import run as reference

from .files import images, residual_model, write_entry

PLACES = {
    "tflite": "model.tflite",
    "onnx": "model.onnx",
    "onnx with float ends": "model_float.onnx",
    "c": "c",
    "wasm": "model.wasm",
}
RUNTIMES = [
    pytest.param(TflmRuntime(), 0, id="tflm", marks=pytest.mark.tflm),
    pytest.param(LiteRtRuntime(), 1, id="litert"),
    pytest.param(OnnxRuntime(), 2, id="onnx"),
    pytest.param(FloatOnnxRuntime(), 2, id="onnx-float"),
    pytest.param(CRuntime(), 0, id="c"),
    pytest.param(WasmRuntime(), 0, id="wasm"),
]


@pytest.mark.parametrize(("runtime", "steps"), RUNTIMES)
def test_conformance(runtime, steps, full_entry, model, tmp_path, monkeypatch):
    monkeypatch.setattr(children, "cores", lambda: 2)  # the seam between two children is part of the contract
    assert runtime.missing() is None
    assert any(character.isdigit() for character in runtime.name)
    assert runtime.format in get_args(Format)
    place, x = full_entry / PLACES[runtime.format], images(70)
    y = runtime.run(place, x)
    assert y.dtype == np.int8 and y.shape == (70, 3)
    golden = reference(model, x)
    assert np.abs(y.astype(int) - golden).max() <= steps
    assert len(np.unique(golden)) > 10, "the oracle's outputs say too little"
    assert np.array_equal(runtime.run(place, x[37:38]), y[37:38])  # one input alone gives what it gave among others
    with pytest.raises(MeasurementError):
        runtime.run(place, np.zeros((2, 5, 6, 1), np.int8))
    with pytest.raises(MeasurementError):
        runtime.run(tmp_path / "nothing", x[:1])


def test_the_file_with_float_ends_says_what_the_other_does(full_entry):
    x = images(200)
    assert np.array_equal(
        FloatOnnxRuntime().run(full_entry / "model_float.onnx", x), OnnxRuntime().run(full_entry / "model.onnx", x)
    )


def test_files_of_the_wrong_kind_are_named(full_entry, tmp_path):
    with pytest.raises(MeasurementError, match=r"model\.onnx.*(int8|float)"):
        FloatOnnxRuntime().run(full_entry / "model.onnx", images(2))
    (tmp_path / "cut.wasm").write_bytes((full_entry / "model.wasm").read_bytes()[:900])
    with pytest.raises(MeasurementError, match=r"cut\.wasm in WebAssembly, wasmtime"):
        WasmRuntime().run(tmp_path / "cut.wasm", images(2))
    (tmp_path / "empty.wasm").write_bytes(b"\0asm\1\0\0\0")
    with pytest.raises(MeasurementError, match=r"empty\.wasm: it does not export memory, input"):
        WasmRuntime().run(tmp_path / "empty.wasm", images(2))


def test_both_compilers_agree(entry):
    gcc, clang = CRuntime("gcc"), CRuntime("clang")
    if gcc.missing() or clang.missing():
        pytest.skip(gcc.missing() or clang.missing())
    assert np.array_equal(gcc.run(entry / "c", images(9)), clang.run(entry / "c", images(9)))
    assert gcc.name.startswith("generated C, gcc ") and clang.name.startswith("generated C, clang ")


def test_a_model_of_another_name(tmp_path, model):
    from microzoo.export.c import c_sources

    for name, text in c_sources(model, name="Key words").items():
        (tmp_path / name).write_text(text)
    assert find_c_sources(tmp_path).prefix == "key_words"
    assert np.array_equal(CRuntime().run(tmp_path, images(3)), reference(model, images(3)))


def test_sources_that_are_incomplete_or_ambiguous(tmp_path, model):
    folder = write_entry(tmp_path / "e", model) / "c"
    (folder / "microzoo_nn.c").unlink()
    with pytest.raises(MeasurementError, match=r"microzoo_nn\.c missing"):
        find_c_sources(folder)
    (folder / "second.h").write_text("#define SECOND_INPUT_BYTES 1\n")
    with pytest.raises(MeasurementError, match=r"exactly one header .* has model\.h, second\.h"):
        find_c_sources(folder)


def test_a_warning_is_an_error_and_names_its_line(tmp_path, model):
    folder = write_entry(tmp_path / "e", model) / "c"
    with (folder / "model.c").open("a") as file:
        file.write("static int unused;\n")
    with pytest.raises(MeasurementError, match=r"model\.c does not compile with \w+: .*unused"):
        CRuntime().run(folder, images(1))


def test_a_compiler_that_is_not_there():
    runtime = CRuntime("no-such-compiler")
    assert "no-such-compiler" in runtime.missing() and "apt install gcc" in runtime.missing()
    with pytest.raises(ToolMissingError):
        runtime.run(".", images(1))


def test_another_model_is_told_apart(entry, tmp_path):
    other = write_entry(tmp_path / "e", residual_model(filters=3))
    x, runtime = images(4), CRuntime()
    with pytest.raises(
        MeasurementError, match=r"A and B differ on \d of 4 inputs, first in logit \d of input 0: -?\d+ against -?\d+"
    ):
        require_equal(runtime.run(entry / "c", x), "A", runtime.run(other / "c", x), "B")


def test_a_truncated_onnx_file_is_one_line(entry, tmp_path):
    (tmp_path / "half.onnx").write_bytes((entry / "model.onnx").read_bytes()[:700])
    with pytest.raises(MeasurementError, match=r"half\.onnx in onnxruntime") as caught:
        OnnxRuntime().run(tmp_path / "half.onnx", images(1))
    assert "\n" not in str(caught.value)


def test_few_children_for_few_inputs_and_never_many(monkeypatch):
    monkeypatch.setattr(children, "cores", lambda: 64)
    assert [children.spread(n) for n in (1, 31, 32, 63, 64, 128, 10_000)] == [1, 1, 1, 1, 2, 4, 4]
    monkeypatch.setattr(children, "cores", lambda: 2)
    assert children.spread(10_000) == 2


def test_no_room_for_temporary_files_is_one_line(entry, tmp_path, monkeypatch):
    with pytest.raises(StorageError, match="the disk is full; make room"):
        write_scratch(Path("/dev/full"), b"x")
    with pytest.raises(StorageError, match="the disk is full; make room"):
        save_array(Path("/dev/full"), images(1))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    for work in (
        lambda: OnnxRuntime().run(entry / "model.onnx", images(1)),
        lambda: CRuntime().run(entry / "c", images(1)),
        lambda: run_together([[sys.executable, "-c", ""]], "work"),
    ):
        with pytest.raises(StorageError, match=r"gone.*cannot be written: No such file or directory; mend it"):
            work()


def test_saved_arrays_are_read_again(tmp_path):
    x = images(3).transpose(0, 2, 1, 3)
    save_array(tmp_path / "x.npy", x)
    assert np.array_equal(np.load(tmp_path / "x.npy"), x)


def test_children_that_misbehave():
    def python(code: str) -> list[str]:
        return [sys.executable, "-c", code]

    with pytest.raises(MeasurementError, match="work: ended by SIGSEGV"):
        run_together([python("import os; os.kill(os.getpid(), 11)")], "work")
    with pytest.raises(MeasurementError, match=r"work: no result after 0\.3 s"):
        run_together([python("import time; time.sleep(60)")] * 2, "work", 0.3)
    with pytest.raises(MeasurementError, match=r"^work: the last line$"):
        run_together([python("import sys; sys.exit('first\\nthe last line')")], "work")
    with pytest.raises(MeasurementError, match="exit code 3"):
        run_together([python("import os; os._exit(3)")], "work")
    assert run_together([python("import sys; print('heard', file=sys.stderr)")], "work") == ["heard\n"]
