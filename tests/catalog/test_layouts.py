"""The archives: each system's rules for names, manifests and folders, and C that compiles and says PASS out of every one."""

import io
import json
import re
import shutil
import subprocess
import zipfile

import pytest
import yaml

from microzoo.catalog.layouts import LONGEST_NAME, archives, can_be_laid_out

from ..pages.cards import published, synthetic  # noqa: TID252

WARNINGS = ("-Wall", "-Wextra", "-Werror")
ARDUINO = """
#pragma once
#include <cstdio>
#include <cstdint>
struct Port {
    void begin(long) {}
    operator bool() const { return true; }
    void print(const char *text) { std::printf("%s", text); }
    void print(int number) { std::printf("%d", number); }
    void println(const char *text) { std::printf("%s\\n", text); }
    void println(int number) { std::printf("%d\\n", number); }
};
static Port Serial;
static inline unsigned long millis() { return 0; }
"""


@pytest.fixture(scope="module")
def card_and_files():
    made = published()
    words = {"title": "Digits\n8x8"}
    return made.card.model_copy(update={"dataset": made.card.dataset.model_copy(update=words)}), made.files


@pytest.fixture(scope="module")
def unpacked(card_and_files, tmp_path_factory):
    """Layout -> the library's folder."""
    folders = {}
    for archive in archives(*card_and_files):
        layout = archive.name.partition("-")[0]
        place = tmp_path_factory.mktemp(layout)
        with zipfile.ZipFile(io.BytesIO(archive.content)) as packed:
            packed.extractall(place)
        (folders[layout],) = place.iterdir()
        assert archive.name == f"{layout}-{folders[layout].name}.zip"
    return folders


def run(folder, *command):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr[:2000]}"
    return done.stdout


def test_the_same_entry_gives_the_same_bytes(card_and_files, monkeypatch):
    first = archives(*card_and_files)
    monkeypatch.setattr("sys.platform", "win32")
    second = archives(*card_and_files)
    assert [each.sha256 for each in first] == [each.sha256 for each in second]
    assert [each.title for each in first] == ["Arduino library", "PlatformIO library", "Zephyr module"]
    for archive in first:
        with zipfile.ZipFile(io.BytesIO(archive.content)) as packed:
            assert packed.testzip() is None
            assert {item.date_time for item in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}
            texts = b"".join(packed.read(name) for name in packed.namelist())
        assert texts.count(b"model_layer0_weight[") == 1, "the weights are there once"


def test_an_older_entry_has_no_archives(card_and_files):
    card, files = card_and_files
    older = synthetic()
    assert not can_be_laid_out(older.card) and archives(older.card, older.files) == ()
    without = card.model_copy(update={"files": tuple(file for file in card.files if file.role != "self test")})
    assert archives(without, files) == ()


def test_long_names_are_cut_and_stay_apart():
    long = "a" * 60
    made = published()
    cards = [made.card.model_copy(update={"id": f"{long}/{long}/{name}"}) for name in ("one", "two")]
    names = {archive.name for card in cards for archive in archives(card, made.files)}
    assert len(names) == 6
    for name in names:
        layout, _, folder = name.removesuffix(".zip").partition("-")
        assert len(folder) <= LONGEST_NAME[layout] and not folder.endswith("-") and "--" not in folder


def test_arduino_rules(unpacked):
    """https://docs.arduino.cc/arduino-cli/library-specification: names, categories and folders."""
    folder = unpacked["arduino"]
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", folder.name) and not folder.name.lower().startswith("arduino")
    lines = (folder / "library.properties").read_text().splitlines()
    said = dict(line.split("=", 1) for line in lines)
    assert len(said) == len(lines)
    assert {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"} <= set(said)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,62}", said["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+\+[0-9a-f]{8}", said["version"])
    assert said["category"] == "Data Processing" and said["architectures"] == "*"
    assert said["sentence"] == "An int8 neural network that classifies Digits 8x8, for Class cortex-m4-64k."
    assert (folder / "src" / said["includes"]).is_file()
    assert not list(folder.glob("*.h")) and not list(folder.glob("*.c")), "with src/, sources in the root are not looked at"
    sketches = list(folder.rglob("*.ino"))
    assert [sketch.relative_to(folder).as_posix() for sketch in sketches] == ["examples/SelfTest/SelfTest.ino"]
    assert not any("main(" in path.read_text() for path in folder.glob("src/*")), "the core brings main"


def test_the_arduino_sketch_says_pass(unpacked, tmp_path):
    library = shutil.copytree(unpacked["arduino"], tmp_path / "library")
    (library / "Arduino.h").write_text(ARDUINO)
    sketch = library / "examples" / "SelfTest"
    (sketch / "main.cpp").write_text('#include <Arduino.h>\n#include "SelfTest.ino"\nint main() { setup(); loop(); }\n')
    for unit in sorted((library / "src").glob("*.c")):
        run(library, "gcc", *WARNINGS, "-std=gnu11", "-Isrc", "-c", str(unit))
    run(
        library,
        "g++",
        "-std=gnu++11",
        *WARNINGS,
        "-I.",
        "-Isrc",
        str(sketch / "main.cpp"),
        *map(str, library.glob("*.o")),
        "-o",
        "a",
    )
    assert run(library, "./a") == "PASS: 8 inputs, all outputs as published\n"


def test_platformio_rules(unpacked):
    """https://docs.platformio.org/en/latest/manifests/library-json: fields, lengths and folders."""
    folder = unpacked["platformio"]
    said = json.loads((folder / "library.json").read_text())
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", said["name"]) and len(said["name"]) <= 50
    assert len(said["version"]) <= 20 and re.fullmatch(r"\d+\.\d+\.\d+\+[0-9a-f]{8}", said["version"])
    assert 0 < len(said["description"]) <= 255
    assert all((folder / "include" / header).is_file() for header in said["headers"])
    (example,) = said["examples"]
    assert all((folder / example["base"] / path).is_file() for path in example["files"])
    assert (folder / said["build"]["srcDir"]).is_dir() and (folder / said["build"]["includeDir"]).is_dir()


def test_the_platformio_example_says_pass(unpacked):
    folder = unpacked["platformio"]
    example = folder / "examples" / "selftest"
    units = [*sorted((folder / "src").glob("*.c")), example / "src" / "model_selftest.c"]
    flags = ("-std=c99", "-pedantic", *WARNINGS, "-I", str(folder / "include"), "-I", str(example / "include"))
    run(folder, "gcc", *flags, *map(str, units), "-o", "program")
    assert run(folder, "./program") == "PASS: 8 inputs, all outputs as published\n"


def test_zephyr_rules(unpacked):
    """The keys that scripts/zephyr_module.py of Zephyr knows, and files where they point to."""
    folder = unpacked["zephyr"]
    module = yaml.safe_load((folder / "zephyr" / "module.yml").read_text())
    assert set(module) == {"name", "build", "samples"} and set(module["build"]) == {"cmake", "kconfig"}
    assert (folder / module["build"]["cmake"] / "CMakeLists.txt").is_file()
    kconfig = (folder / module["build"]["kconfig"]).read_text()
    (symbol,) = re.findall(r"^config ([A-Z0-9_]+)$", kconfig, re.MULTILINE)
    assert all(line.startswith(("config ", "\t")) for line in kconfig.splitlines())
    cmake = (folder / "CMakeLists.txt").read_text()
    assert f"if(CONFIG_{symbol})" in cmake
    listed = re.findall(r"^  (src/\S+)$", cmake, re.MULTILINE)
    assert sorted(listed) == sorted(path.relative_to(folder).as_posix() for path in folder.glob("src/*.c"))
    sample = folder / module["samples"][0] / "selftest"
    assert f"CONFIG_{symbol}=y" in (sample / "prj.conf").read_text()
    twister = yaml.safe_load((sample / "sample.yaml").read_text())
    assert set(twister) == {"sample", "tests"}
    build = (sample / "CMakeLists.txt").read_text()
    for source in re.findall(r"src/\S+\.c", build):
        assert (sample / source).is_file()


def test_the_zephyr_sample_says_pass(unpacked, tmp_path):
    folder = unpacked["zephyr"]
    (tmp_path / "zephyr" / "sys").mkdir(parents=True)
    (tmp_path / "zephyr" / "sys" / "printk.h").write_text("#include <stdio.h>\n#define printk printf\n")
    units = [*sorted((folder / "src").glob("*.c")), folder / "samples" / "selftest" / "src" / "main.c"]
    flags = ("-std=c99", *WARNINGS, "-I", str(tmp_path), "-I", str(folder / "include"))
    run(tmp_path, "gcc", *flags, *map(str, units), "-o", "program")
    assert run(tmp_path, "./program") == "PASS: 8 inputs, all outputs as published\n"
