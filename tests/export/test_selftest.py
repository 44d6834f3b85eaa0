"""Golden vectors and their self test: bytes that never change, C that says PASS on this machine and on an emulated Cortex-M4."""

import shutil
import subprocess

import numpy as np
import pytest

from microzoo.build.golden import golden_inputs, golden_vectors, quantised_bytes
from microzoo.catalog.golden import GOLDEN, Golden, golden_bytes, read_golden
from microzoo.errors import CatalogError
from microzoo.export.c import c_sources
from microzoo.export.prepare import prepare_bytes
from microzoo.export.selftest import fnv1a, selftest_sources
from microzoo.measure.c_runtime import FIRMWARE
from microzoo.quantise.reference import run
from microzoo.spec.dataset import DatasetSpec

from .c_program import WARNINGS


def spec_for(model, classes, *, redistributable=True, high=255.0):
    return DatasetSpec.model_validate(
        {
            "title": "made",
            "reader": "idx",
            "input_shape": model.graph.input_shape,
            "classes": [f"class {index}" for index in range(classes)],
            "split": {"validation": 0.2},
            "preprocess": {"raw_min": 0, "raw_max": high, "scale": 2 / 255, "mean": 1.0},
            "licence": {"name": "none", "redistributable": redistributable},
            "citation": "none",
        }
    )


@pytest.fixture(scope="module")
def model(models):
    return models["branches of four"]


@pytest.fixture(scope="module")
def golden(model) -> Golden:
    rng = np.random.default_rng(4)
    raw = rng.integers(0, 256, (60, *model.graph.input_shape)).astype(np.uint8)
    return golden_vectors(spec_for(model, 4), raw, rng.integers(0, 4, 60), model, 0)


@pytest.fixture(scope="module")
def folder(model, golden, tmp_path_factory):
    """The model as `net` with its preparation and self test, beside each other."""
    folder = tmp_path_factory.mktemp("selftest")
    table = quantised_bytes(spec_for(model, 4).preprocess, model.tensors[model.graph.input])
    files = c_sources(model, name="net") | prepare_bytes("net", table) | selftest_sources("net", golden)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def test_every_class_that_fits_in_is_covered_and_the_seed_decides(model):
    rng = np.random.default_rng(1)
    for classes, count in ((2, 8), (4, 8), (10, 10), (30, 16)):
        labels = rng.permutation(np.arange(200) % classes)
        raw = np.broadcast_to(np.arange(200, dtype=np.uint8)[:, None, None, None], (200, *model.graph.input_shape))
        spec = spec_for(model, classes)
        inputs = golden_inputs(spec, raw, labels, 5)
        chosen, found, source = inputs.raw, inputs.label, inputs.source
        assert source == "validation" and len(found) == count
        assert np.array_equal(found, labels[chosen[:, 0, 0, 0]]), "labels go with their inputs"
        assert len(np.unique(chosen[:, 0, 0, 0])) == count and len(np.unique(found)) == min(classes, count)
        again, other = golden_inputs(spec, raw, labels, 5).raw, golden_inputs(spec, raw, labels, 6).raw
        assert np.array_equal(chosen, again) and not np.array_equal(chosen, other)
    lone = np.zeros(200, np.int64)
    lone[[3, 7]] = 1, 2
    assert {1, 2} <= set(golden_inputs(spec_for(model, 3), raw, lone, 0).label.tolist()), "rare classes are there too"


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_data_that_may_not_be_shipped_is_not(model, kind):
    rng = np.random.default_rng(1)
    raw = np.full((50, *model.graph.input_shape), 77).astype(kind)
    spec = spec_for(model, 10, redistributable=False, high=16.0)
    inputs = golden_inputs(spec, raw, rng.integers(0, 10, 50), 0)
    chosen, labels, source = inputs.raw, inputs.label, inputs.source
    assert source == "synthetic" and chosen.dtype == raw.dtype and len(chosen) == 10 and set(labels.tolist()) == {-1}
    assert chosen.min() == 0 and chosen.max() == 16 and (chosen[0] == 0).all() and (chosen[1] == 16).all()
    assert len(np.unique(chosen.reshape(10, -1), axis=0)) == 10
    golden = golden_vectors(spec, raw, labels, model, 0)
    header = selftest_sources("net", golden, "Somebody 1998, CC-BY-4.0")["net_golden.h"]
    assert "may not be shipped" in header and "Somebody" not in header


def test_the_file_has_the_same_bytes_always_and_is_read_again(golden, model, tmp_path, monkeypatch):
    (tmp_path / GOLDEN).write_bytes(golden_bytes(golden))
    with monkeypatch.context() as patch:
        patch.setattr("sys.platform", "win32")
        assert golden_bytes(golden) == (tmp_path / GOLDEN).read_bytes()
    assert golden_bytes(golden) == golden_bytes(read_golden(tmp_path / GOLDEN))
    with np.load(tmp_path / GOLDEN) as archive:
        assert list(archive) == ["raw", "input", "output", "label", "source"]
        assert str(archive["source"]) == "validation" and len(archive["raw"]) == 8
        assert np.array_equal(archive["output"], run(model, archive["input"]))


def test_real_inputs_give_credit(golden):
    header = selftest_sources("net", golden, "Somebody */ 1998,\nCC-BY-4.0, https://example.org/*.zip")["net_golden.h"]
    assert " * Somebody * / 1998, CC-BY-4.0, https://example.org/ *.zip\n" in header
    assert header.index("Somebody") < header.index("*/")


def test_a_damaged_file_is_named(golden, tmp_path):
    path = tmp_path / GOLDEN
    whole = golden_bytes(golden)
    path.write_bytes(whole[:-40])
    with pytest.raises(CatalogError, match=r"golden\.npz: cannot be read"):
        read_golden(path)
    for flags in (b"\x01\x00", b"\x20\x00"):  # encrypted; patched data, which no reader supports
        local, central = b"PK\x03\x04\x14\x00", b"PK\x01\x02\x14\x03\x14\x00"
        path.write_bytes(whole.replace(local + b"\x00\x00", local + flags).replace(central + b"\x00\x00", central + flags))
        with pytest.raises(CatalogError, match=r"golden\.npz: cannot be read"):
            read_golden(path)
    for name, wrong in {
        "raw": golden.raw.astype(np.int16),
        "input": golden.input[:-1],
        "output": golden.output[:, 0],
        "label": golden.label.astype(np.int64),
        "sound": np.zeros((len(golden), 9), np.int32),
    }.items():
        path.write_bytes(golden_bytes(Golden(**{**vars(golden), name: wrong})))
        with pytest.raises(CatalogError, match=rf"golden\.npz: {name} is "):
            read_golden(path)
    path.write_bytes(golden_bytes(Golden(**{**vars(golden), "source": "test"})))
    with pytest.raises(CatalogError, match=r'source = "test", known are validation, synthetic'):
        read_golden(path)
    np.savez(path, raw=golden.raw)
    with pytest.raises(CatalogError, match="lacks input, output, label, source"):
        read_golden(path)


def test_the_hash_is_fnv():
    # From the test vectors of its authors: the empty string, "a", "foobar".
    assert [fnv1a(text) for text in (b"", b"a", b"foobar")] == [0x811C9DC5, 0xE40C292C, 0xBF9CF968]


def compiled(folder, *command):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[:2000]


UNITS = ("net.c", "microzoo_nn.c", "net_prepare.c")


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_it_passes_here(folder, compiler):
    sanitizer = ("-fsanitize=undefined",) if compiler == "gcc" else ()
    compiled(folder, compiler, *WARNINGS, "-O1", *sanitizer, *UNITS, "net_selftest.c", "-o", "all")
    done = subprocess.run([folder / "all"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "PASS: 8 inputs, all outputs as published\n", "")
    compiled(folder, compiler, *WARNINGS, "-DNET_GOLDEN_COUNT=1", *UNITS, "net_selftest.c", "-o", "one")
    assert subprocess.run([folder / "one"], capture_output=True, text=True, check=True).stdout.startswith("PASS: 1 ")
    wrong = ["gcc", "-DNET_GOLDEN_COUNT=9", "-fsyntax-only", "net_selftest.c"]
    assert "must be 1 to 8" in subprocess.run(wrong, cwd=folder, capture_output=True, text=True, check=False).stderr


def test_it_fails_where_an_output_differs(folder, golden, tmp_path):
    for path in folder.iterdir():
        if path.suffix in (".c", ".h"):
            shutil.copy(path, tmp_path)
    outputs = golden.output.copy()
    outputs[5, 2] ^= 1
    files = selftest_sources("net", Golden(golden.raw, golden.input, outputs, golden.label, "validation"))
    (tmp_path / "net_golden.h").write_text(files["net_golden.h"])
    compiled(tmp_path, "gcc", *WARNINGS, *UNITS, "net_selftest.c", "-o", "all")
    done = subprocess.run([tmp_path / "all"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == f"FAIL: input 5, output 2: {golden.output[5, 2]}, must be {outputs[5, 2]}\n"


BOARD = """
#include "net_golden.h"
int main(void) {
    net_golden_difference first;
    /* Semihosting SYS_EXIT_EXTENDED: 42 where all is as published. */
    const uint32_t block[2] = {0x20026, net_golden_check(&first) == 0 ? 42 : 1};
    register uint32_t operation __asm__("r0") = 0x20;
    register const uint32_t *argument __asm__("r1") = block;
    for (;;) __asm__ volatile("bkpt 0xAB" : "+r"(operation) : "r"(argument) : "memory");
}
"""


@pytest.mark.arm
def test_it_passes_on_an_emulated_cortex_m4(folder):
    if shutil.which("qemu-system-arm") is None:
        pytest.skip("qemu-system-arm is not installed (Debian: qemu-system-arm)")
    (folder / "board.c").write_text(BOARD)
    (folder / "board.ld").write_text((FIRMWARE / "image.ld").read_text().replace("64M", "4M"))  # what the board has
    core = ("-mcpu=cortex-m4", "-mthumb", "-O2", "-std=gnu99", "--specs=nano.specs", "-nostartfiles")
    script = ("-Wl,--no-warn-rwx-segments", "-T", "board.ld", "-fno-tree-loop-distribute-patterns")
    compiled(folder, "arm-none-eabi-gcc", *core, *script, str(FIRMWARE / "startup.c"), "board.c", *UNITS, "-o", "board.elf")
    command = ["qemu-system-arm", "-M", "mps2-an386", "-nographic", "-semihosting-config", "enable=on,target=native"]
    done = subprocess.run(
        [*command, "-kernel", "board.elf"], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 42, done.stderr[:500]
