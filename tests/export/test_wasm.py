"""The wasm module: what it exports, that it needs nothing, and that it computes what the reference does, from raw values on."""

import sys
from pathlib import Path

import numpy as np
import pytest

from microzoo.build.exports import export_files
from microzoo.build.golden import golden_vectors, quantise_raw, quantised_bytes
from microzoo.errors import ExportError
from microzoo.export import wasm as stage
from microzoo.export.c import c_sources
from microzoo.export.prepare import prepare_bytes, prepare_reals
from microzoo.export.wasm import wasm
from microzoo.quantise.reference import run
from microzoo.spec.dataset import Preprocess

from ..measure.files import dataset_spec, raw_validation, residual_model  # noqa: TID252

pytestmark = pytest.mark.skipif(stage.missing() is not None, reason=stage.missing() or "")
HOW = Preprocess(raw_min=0, raw_max=255, scale=2 / 255, mean=1.0)
FUNCTIONS = {"raw", "input", "output", "raw_bytes", "input_bytes", "output_bytes", "prepare", "invoke"}


def sources(model, kind, name="model"):
    quantisation = model.tensors[model.graph.input]
    real = prepare_reals(name, HOW, quantisation)
    return c_sources(model, name=name) | (real if kind == "float32" else prepare_bytes(name, quantised_bytes(HOW, quantisation)))


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_it_computes_what_the_reference_does_from_raw_values(models, kind):
    wasmtime = pytest.importorskip("wasmtime")
    model = models["branches of four"]
    engine = wasmtime.Engine()
    module = wasmtime.Module(engine, wasm(sources(model, kind, "Net 1"), name="Net 1"))
    assert list(module.imports) == []
    assert {export.name for export in module.exports} == FUNCTIONS | {"memory"}
    store = wasmtime.Store(engine)
    at = wasmtime.Instance(store, module, []).exports(store)
    memory = at["memory"]
    raw = np.random.default_rng(0).integers(0, 256, (20, *model.graph.input_shape)).astype(kind)
    sizes = [at[name](store) for name in ("raw_bytes", "input_bytes", "output_bytes")]
    assert sizes == [raw[0].nbytes, raw[0].size, 4]
    inputs = quantise_raw(raw, HOW, model.tensors[model.graph.input])
    for image, prepared, expected in zip(raw, inputs, run(model, inputs), strict=True):
        memory.write(store, image.tobytes(), at["raw"](store))
        at["prepare"](store)
        start = at["input"](store)
        assert memory.read(store, start, start + sizes[1]) == prepared.tobytes()
        at["invoke"](store)
        start = at["output"](store)
        assert memory.read(store, start, start + sizes[2]) == expected.tobytes()


def test_the_same_sources_give_the_same_bytes_without_a_path_and_leave_nothing_behind(models, tmp_path, monkeypatch):
    model = models["one pixel, one channel"]
    results = []
    for place in ("a", "a-longer-name"):
        (tmp_path / place / "home").mkdir(parents=True)
        (tmp_path / place / "tmp").mkdir()
        monkeypatch.setenv("HOME", str(tmp_path / place / "home"))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / place / "home"))
        monkeypatch.setattr(stage.tempfile, "tempdir", str(tmp_path / place / "tmp"))
        results.append(wasm(sources(model, "uint8")))
        assert [path for path in (tmp_path / place).rglob("*") if path.is_file()] == []
    assert results[0] == results[1]
    assert results[0][:8] == b"\0asm\1\0\0\0" and len(results[0]) < 6000
    for word in (str(Path.cwd()), str(tmp_path), sys.prefix, "/tmp", "microzoo-"):
        assert word.encode() not in results[0], word


def test_what_does_not_compile_and_a_compiler_that_is_not_there(models, monkeypatch):
    broken = sources(models["one pixel, one channel"], "uint8")
    broken["model.c"] += "int x = ;\n"
    with pytest.raises(ExportError, match=r"does not compile to wasm: model\.c:\d+:\d+: error: expected expression"):
        wasm(broken)
    spec = dataset_spec()
    golden = golden_vectors(spec, *raw_validation(), residual_model(), 0)
    assert export_files(residual_model(), spec, golden).left_out == ()
    with monkeypatch.context() as patch:
        patch.setenv("ZIG_LIB_DIR", "/opt/somebody/zig")
        (said,) = export_files(residual_model(), spec, golden).left_out
        assert "somebody" not in said and "/" not in said.replace("microzoo[wasm]", "") and "model.wasm was not made: " in said
    monkeypatch.setattr(stage, "find_spec", lambda _: None)
    without = export_files(residual_model(), spec, golden)
    assert "model.wasm" not in without.files and "model.tflite" in without.files
    assert len(without.left_out) == 1 and without.left_out[0].startswith("model.wasm was not made: no wasm: the Python package")
    assert "pip install 'microzoo[wasm]'" in stage.missing()
    with pytest.raises(ExportError, match="no wasm: the Python package ziglang is not installed"):
        wasm(broken)
