"""Many generated models in one host program: standard input holds their images, standard output gets their logits."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from microzoo.export.c import c_sources
from microzoo.graph.integer import IntegerModel

WARNINGS = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror")

MAIN = """
#include <stdio.h>
#include <stdlib.h>
typedef struct {
    int8_t *(*input)(void);
    const int8_t *(*output)(void);
    void (*invoke)(void);
    unsigned in_bytes, out_bytes;
} network;
static const network networks[] = {%s};
int main(int argc, char **argv) {
    for (unsigned i = 0; i < sizeof networks / sizeof *networks; i++)
        for (int image = 0; image < (argc > 1 ? atoi(argv[1]) : 0); image++) {
            if (fread(networks[i].input(), 1, networks[i].in_bytes, stdin) != networks[i].in_bytes) return 1;
            networks[i].invoke();
            fwrite(networks[i].output(), 1, networks[i].out_bytes, stdout);
        }
    return 0;
}
"""


def write_sources(models: dict[str, IntegerModel], folder: Path) -> list[str]:
    """The sources of each model as n0, n1, ... in `folder`; their identifiers."""
    names = [f"n{index}" for index in range(len(models))]
    for name, model in zip(names, models.values(), strict=True):
        for file, text in c_sources(model, name=name).items():
            (folder / file).write_text(text, "utf-8")
    return names


def build_program(models: dict[str, IntegerModel], folder: Path, compiler: str, flags: tuple[str, ...]) -> Path:
    names = write_sources(models, folder)
    entries = ",".join(f"{{{n}_input,{n}_output,{n}_invoke,{n.upper()}_INPUT_BYTES,{n.upper()}_OUTPUT_BYTES}}" for n in names)
    (folder / "main.c").write_text("".join(f'#include "{n}.c"\n' for n in names) + MAIN % entries)
    command = [compiler, *WARNINGS, *flags, "main.c", "microzoo_nn.c", "-o", "program"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert built.returncode == 0, built.stderr[:2000]
    return folder / "program"


def run_program(program: Path, inputs: dict[str, np.ndarray], models: dict[str, IntegerModel]) -> dict[str, np.ndarray]:
    """Name -> int8 logits (images, classes), for as many images of each model."""
    (count,) = {len(images) for images in inputs.values()}
    data = b"".join(images.tobytes() for images in inputs.values())
    result = subprocess.run([str(program), str(count)], input=data, capture_output=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr.decode()[:2000]
    outputs, position = {}, 0
    for name in inputs:
        classes = models[name].graph.shapes[models[name].graph.output][0]
        flat = np.frombuffer(result.stdout, np.int8, count * classes, position)
        outputs[name] = flat.reshape(count, classes)
        position += count * classes
    assert position == len(result.stdout)
    return outputs
