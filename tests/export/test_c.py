"""The generated C besides its numbers: it compiles without a warning everywhere, is small, and fits into any program."""

import re
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from microzoo.errors import ExportError
from microzoo.export.c import KERNEL_FILES, c_identifier, c_sources, stored_shift
from microzoo.export.plan import plan
from microzoo.graph.fixed_point import Multiplier
from microzoo.graph.ops import weight_shape
from microzoo.measure.arm import CORE_FLAGS
from microzoo.quantise.reference import run
from microzoo.spec.cores import Core

from ..conformance.cases import IMAGES, Case  # noqa: TID252  # tests are no package with a name
from ..conformance.firmware import CORES as CORES_RUN  # noqa: TID252
from ..conformance.firmware import run_on  # noqa: TID252
from .awkward import awkward_models
from .c_program import WARNINGS, build_program, run_program, write_sources
from .networks import Builder, random_inputs, random_model

CORES: tuple[Core, ...] = ("cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55")


def _compile(folder, *command: str) -> str:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, f"{command}\n{result.stderr[:3000]}"
    return result.stdout


@pytest.fixture(scope="module")
def folder(models, tmp_path_factory):
    """The sources of one model, `net`."""
    folder = tmp_path_factory.mktemp("c")
    labels = ("plain", 'quote " and \\', "what??/", "é")
    for file, text in c_sources(models["branches of four"], name="net", labels=labels).items():
        (folder / file).write_text(text, "utf-8")
    return folder


def test_the_same_model_gives_the_same_text(models):
    model = models["branches of four"]
    assert c_sources(model) == c_sources(model)
    assert list(c_sources(model)) == ["model.c", "model.h", *KERNEL_FILES]


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_compiles_without_a_warning(folder, compiler):
    _compile(folder, compiler, *WARNINGS, "-Wshadow", "-O2", "-c", "net.c", "microzoo_nn.c")


@pytest.mark.arm
@pytest.mark.parametrize("core", CORES)
def test_compiles_for_arm_without_a_warning_and_small(folder, core):
    compile_for = ("arm-none-eabi-gcc", *WARNINGS, *CORE_FLAGS[core], "-mthumb")
    _compile(folder, *compile_for, "-O0", "-c", "microzoo_nn.c")  # a register holds the frame: the assembly must do without it
    _compile(folder, *compile_for, "-Os", "-c", "net.c", "microzoo_nn.c")
    text = int(_compile(folder, "arm-none-eabi-size", "microzoo_nn.o").splitlines()[1].split()[0])
    assert text < 4096
    symbols = _compile(folder, "arm-none-eabi-nm", "-u", "microzoo_nn.o").split()[1::2]
    # memcpy, memset, and the compiler's own arithmetic where a core has no instruction for it: no heap, no printing.
    assert all(name in ("memcpy", "memset") or name.startswith("__aeabi_") for name in symbols), symbols
    assert _compile(folder, "arm-none-eabi-nm", "microzoo_nn.o").count(" b ") == 0
    instructions = set(re.findall(r"\t([a-z][a-z0-9.]+)", _compile(folder, "arm-none-eabi-objdump", "-d", "microzoo_nn.o")))
    assert ("smmulr" in instructions) == (core in ("cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"))
    assert ("vqrdmulh.s32" in instructions) == (core == "cortex-m55")


@pytest.mark.arm
def test_kernels_that_are_not_called_are_dropped(models, tmp_path):
    (name,) = write_sources({"one": models["one pixel, one channel"]}, tmp_path)  # a convolution, a flatten, a dense layer
    start = f'#include "{name}.h"\nvoid start(void);\nvoid start(void) {{ {name}_input(); {name}_invoke(); {name}_output(); }}\n'
    (tmp_path / "start.c").write_text(start)
    flags = ("-mcpu=cortex-m4", "-mthumb", "-Os", "-ffunction-sections", "-fdata-sections", "-nostartfiles", "-Wl,--gc-sections")
    _compile(
        tmp_path, "arm-none-eabi-gcc", *WARNINGS, *flags, "-Wl,-e,start", "start.c", f"{name}.c", "microzoo_nn.c", "-o", "out"
    )
    kept = set(re.findall(r"T (microzoo_\w+)", _compile(tmp_path, "arm-none-eabi-nm", "out")))
    assert kept == {"microzoo_conv"}


def test_header_works_in_cpp_and_labels_survive(folder):
    program = """
    #include <cstdio>
    #include "net.h"
    int main() {
        net_input()[NET_INPUT_BYTES - 1] = 1;
        net_invoke();
        for (int i = 0; i < NET_CLASSES; i++) std::printf("%s\\n", net_labels[i]);
        return net_output() == nullptr;
    }
    """
    (folder / "main.cpp").write_text(program)
    _compile(folder, "gcc", *WARNINGS, "-c", "net.c", "microzoo_nn.c")
    _compile(folder, "g++", "-std=c++11", "-Wall", "-Wextra", "-Werror", "main.cpp", "net.o", "microzoo_nn.o", "-o", "cpp")
    printed = subprocess.run([str(folder / "cpp")], capture_output=True, check=True, timeout=20).stdout.decode()
    assert printed.splitlines() == ["plain", 'quote " and \\', "what??/", "é"]


def test_macros_say_what_the_model_takes(models, folder):
    model = models["branches of four"]
    header = (folder / "net.h").read_text()
    macros = dict(re.findall(r"#define NET_(\w+) (\S+)", header))
    assert (macros["INPUT_HEIGHT"], macros["INPUT_WIDTH"], macros["INPUT_CHANNELS"], macros["INPUT_BYTES"]) == (
        "8",
        "8",
        "3",
        "192",
    )
    assert np.float32(macros["INPUT_SCALE"].removesuffix("f")) == np.float32(model.tensors["input"].scale)
    assert int(macros["OUTPUT_ZERO_POINT"].strip("()")) == model.tensors[model.graph.output].zero_point
    assert int(macros["ARENA_BYTES"]) == plan(model.graph).peak_bytes


@pytest.mark.arm
def test_arena_and_weights_are_aligned_and_where_they_belong(folder):
    _compile(folder, "arm-none-eabi-gcc", *WARNINGS, "-mcpu=cortex-m0plus", "-mthumb", "-Os", "-fdata-sections", "-c", "net.c")
    sections = _compile(folder, "arm-none-eabi-objdump", "-h", "net.o")
    found = re.findall(r"\d+ (\.\S+)\s+([0-9a-f]{8}) .*2\*\*(\d)", sections)
    ram = [
        (name, int(size, 16), int(align)) for name, size, align in found if name.startswith((".bss", ".data")) and int(size, 16)
    ]
    assert [(name, align >= 2) for name, _, align in ram] == [(".bss.net_arena", True)]
    weights = [int(align) for name, _, align in found if name.endswith("_weight")]
    assert len(weights) == 5
    assert min(weights) >= 2


def test_names_become_identifiers():
    assert c_identifier("model") == "model"
    assert c_identifier("fashion-mnist/Cortex M4") == "fashion_mnist_cortex_m4"
    assert c_identifier("8x8") == "model_8x8"
    assert c_identifier("---") == "model"
    assert c_identifier("microzoo_nn") == "microzoo_nn_model"
    assert c_identifier("string") == "string_model", "its header would take the place of the library's"


def test_mistakes_are_named(models):
    with pytest.raises(ExportError, match="2 labels for 4 classes"):
        c_sources(models["branches of four"], labels=("a", "b"))
    b = Builder((1, 70000, 1))
    b.dense(b.flatten(b.pool("input", "avg", 999999)), 2)
    with pytest.raises(ExportError, match=r"layer avgpool0: shapes .* exceed 65535"):
        c_sources(random_model(b.graph(), 0))


@pytest.fixture(scope="module")
def emulated(models):
    """Name -> model: the awkward ones, and every third of the others."""
    return awkward_models() | {name: models[name] for name in list(models)[:30:3]}


@pytest.mark.arm
@pytest.mark.parametrize("core", CORES_RUN)
def test_an_emulated_core_gives_the_reference_outputs(emulated, tmp_path, core):
    # Four paths: Thumb-1, portable, DSP instructions, vectors.
    cases = []
    for index, (name, model) in enumerate(emulated.items()):
        inputs = random_inputs(model, IMAGES, index)
        cases.append(Case(name, model, inputs, run(model, inputs)))
    assert run_on(core, cases, tmp_path) == 0


@pytest.mark.parametrize(
    "flags", [("-O2",), ("-O1", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")], ids=["", "sanitised"]
)
def test_awkward_models_equal_the_reference(tmp_path, flags):
    models = awkward_models()
    inputs = {name: random_inputs(model, 6, index) for index, (name, model) in enumerate(models.items())}
    results = run_program(build_program(models, tmp_path, "gcc", flags), inputs, models)
    assert [name for name in models if not np.array_equal(results[name], run(models[name], inputs[name]))] == []
    assert {len(np.unique(outputs)) > 2 for outputs in results.values()} == {True}


def test_additions_write_over_either_operand(emulated, tmp_path):
    overlaid = set()
    for name in write_sources(emulated, tmp_path):
        calls = re.findall(r"microzoo_add\(\S+ (\w+ \+ \d+), (\w+ \+ \d+), (\w+ \+ \d+)\)", (tmp_path / f"{name}.c").read_text())
        overlaid |= {(output == left, output == right) for left, right, output in calls}
    assert overlaid >= {(True, False), (False, True)}


def test_shifts_are_stored_so_that_the_kernels_choose_the_path_that_is_exact():
    fast, left, nowhere = (
        stored_shift(Multiplier(3 << 29, -4), 10**9),
        stored_shift(Multiplier(3 << 29, 6), 9),
        stored_shift(Multiplier(3 << 29, 0), 9),
    )
    assert (fast, left, nowhere) == (3, -7, -1)  # one less than the bits to the right
    assert stored_shift(Multiplier(3 << 29, -4), 2**30) == 3 - 64  # twice the sum overflows int32
    assert stored_shift(Multiplier(3 << 29, -31), 2**31 - 1) == 30 - 64
    assert stored_shift(Multiplier(0, 0), 2**31 - 1) == 0


def test_a_kernel_or_stride_that_c_cannot_hold_is_named():
    b = Builder((1, 2, 1))
    b.dense(b.flatten(b.conv("input", 1, 1)), 2)
    model = random_model(b.graph(), 0)
    wide = {"kernel": (1, 65537), "padding": (0, 0, 65536, 0)}  # as wide a map as before
    one_column = {"stride": (1, 70000)}
    for wrong, columns in ((wide, 2), (one_column, 1)):
        conv = replace(model.graph.ops[0], **wrong)
        shapes = {conv.name: weight_shape(conv, (1, 2, 1)), "dense2": (2, columns)}
        weights = {name: replace(layer, weight=np.zeros(shapes[name], np.int8)) for name, layer in model.weights.items()}
        graph = replace(model.graph, ops=(conv, *model.graph.ops[1:]))
        with pytest.raises(ExportError, match=r"layer conv0: kernel .* or stride .* exceeds 65535"):
            c_sources(replace(model, graph=graph, weights=weights))


@pytest.mark.arm
def test_where_unaligned_words_trap_the_portable_kernels_can_be_had(folder):
    for flags, found in (((), True), (("-mno-unaligned-access",), False)):
        compiler = ("arm-none-eabi-gcc", *WARNINGS, "-mcpu=cortex-m4", "-mthumb", *flags, "-O2")
        _compile(folder, *compiler, "-c", "microzoo_nn.c", "-o", "u.o")
        assert ("smlad" in _compile(folder, "arm-none-eabi-objdump", "-d", "u.o")) == found, flags
