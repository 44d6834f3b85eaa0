"""The C of an entry as an Arduino library, a PlatformIO library and a Zephyr module: enters a card with files, leaves archives.

All three hold the same sources, put where each system looks for them, and the self test as an example. They are made where they
are offered, from files that the card lists; an entry does not hold the weights a fourth time. The same entry gives the same bytes
everywhere: nothing is compressed, and no clock is looked at.

Sources: Arduino's library specification, revision 2.2; PlatformIO's manifest library.json; Zephyr's modules documentation.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from microzoo.catalog.archive import Archive, zipped
from microzoo.catalog.card import Card, Role
from microzoo.errors import CatalogError

METHOD_ADDRESS = "https://arxiv.org/abs/2010.14246"
"""Arduino demands an address to read more: that of the method's paper."""
LONGEST_NAME = {"arduino": 63, "platformio": 50, "zephyr": 63}
"""Characters of a library's name that the system allows; Zephyr sets no limit."""
TITLES = {"arduino": "Arduino library", "platformio": "PlatformIO library", "zephyr": "Zephyr module"}
_NEEDED: tuple[Role, ...] = ("model", "kernels", "preparation", "golden vectors", "self test")
_OPTIONAL: tuple[Role, ...] = ("features",)
"""Of models of sound."""


@dataclass(frozen=True)
class _Library:
    """What the three layouts share. sources, headers: file name -> text of what a program needs."""

    card: Card
    sources: dict[str, str]
    headers: dict[str, str]
    golden_header: dict[str, str]
    selftest: dict[str, str]
    prefix: str

    @property
    def version(self) -> str:
        """Semantic version; its build number is the beginning of the model's hash, so that two models are told apart."""
        digest = next(file.sha256 for file in self.card.files if file.path.endswith(f"{self.prefix}.c"))
        return f"1.0.0+{digest[:8]}"

    def name(self, layout: str) -> str:
        """Lower case, digits and dashes, as long as the layout allows; a name that was cut ends in a hash of the ID."""
        name = re.sub(r"[^a-z0-9]+", "-", f"microzoo-{self.card.id}".lower()).strip("-")
        most = LONGEST_NAME[layout]
        if len(name) <= most:
            return name
        return f"{name[: most - 9].rstrip('-')}-{hashlib.sha256(self.card.id.encode()).hexdigest()[:8]}"

    @property
    def sentence(self) -> str:
        """One line about the model."""
        card = self.card
        return _plain(f"An int8 neural network that classifies {card.dataset.title}, for {card.target.title}.")

    @property
    def hearing(self) -> str:
        """How raw values are made, for models of sound."""
        sound = self.card.dataset.sound
        if sound is None:
            return ""
        return f", and `{self.prefix}_features` these from sound, int16 samples at {sound.rate_hz} Hz"

    def readme(self, title: str, steps: str) -> str:
        """README.md: what it is, and how to run the self test."""
        card, head = self.card, self.card.headline
        return f"""# {self.name("zephyr")}

{self.sentence} {title} of the entry {card.id} of Microzoo.

- Test accuracy: {head.correct} of {head.n}, measured on {card.headline_file} in {head.runtime}.
- Input: {" x ".join(map(str, card.input.shape))} (height, width, channels); `{self.prefix}_prepare` makes it from raw
  values{self.hearing}.
- Classes: {", ".join(_plain(name) for name in card.dataset.classes)}.
- Data: {_plain(card.dataset.title)}, {_plain(card.dataset.licence)}. {_plain(card.dataset.citation)}

## Self test

{steps} It prints PASS where every output is as published. Where flash is short, define `{self.prefix.upper()}_GOLDEN_COUNT` as a
smaller number of inputs, at least 1.
"""


def can_be_laid_out(card: Card) -> bool:
    """Whether the entry has all that an archive needs: those that were built before there were golden vectors do not."""
    return {file.role for file in card.files}.issuperset(_NEEDED)


def laid_out(card: Card, files: Mapping[str, bytes]) -> dict[str, dict[str, str]]:
    """Layout -> path -> text, each path below the library's folder. Arguments and errors as for `archives`."""
    if not can_be_laid_out(card):
        return {}
    library = _library(card, files)
    return {
        layout: {f"{library.name(layout)}/{path}": text for path, text in lay_out(library).items()}
        for layout, lay_out in _LAYOUTS.items()
    }


def archives(card: Card, files: Mapping[str, bytes]) -> tuple[Archive, ...]:
    """One archive a layout. files: path -> bytes, the C at least. None for an entry that lacks a part, see `can_be_laid_out`.

    Raises CatalogError where a file that the card lists is not in `files`.
    """
    made = []
    for layout, content in laid_out(card, files).items():
        folder = next(iter(content)).partition("/")[0]
        made.append(Archive(f"{layout}-{folder}.zip", TITLES[layout], zipped(content)))
    return tuple(made)


def _library(card: Card, files: Mapping[str, bytes]) -> _Library:
    texts: dict[Role, dict[str, str]] = {role: {} for role in _NEEDED + _OPTIONAL}
    for file in card.files:
        if file.format not in ("c", "header") or file.role is None:
            continue
        if file.path not in files:
            raise CatalogError(f"{card.id}: {file.path} is missing", "restore it or build the entry again")
        texts[file.role][PurePosixPath(file.path).name] = files[file.path].decode("utf-8")
    program = texts["model"] | texts["kernels"] | texts["preparation"] | texts["features"]
    selftest = {name: text for name, text in texts["self test"].items() if name.endswith("_selftest.c")}
    return _Library(
        card,
        {name: text for name, text in program.items() if name.endswith(".c")},
        {name: text for name, text in program.items() if name.endswith(".h")},
        texts["golden vectors"],
        selftest,
        next(name.removesuffix(".h") for name in texts["model"] if name.endswith(".h")),
    )


def _arduino(library: _Library) -> dict[str, str]:
    name, prefix = library.name("arduino"), library.prefix
    include = f"{name.replace('-', '_')}.h"
    properties = {
        "name": name,
        "version": library.version,
        "author": "Microzoo",
        "maintainer": "Microzoo",
        "sentence": library.sentence,
        "paragraph": "C99 with all weights in flash. The example SelfTest proves that it computes what was published. "
        "Not for AVR, which would copy the weights into RAM.",
        "category": "Data Processing",
        "url": METHOD_ADDRESS,
        "architectures": "*",
        "includes": include,
    }
    everything = "".join(f'#include "{header}"\n' for header in sorted(library.headers) if not header.startswith("microzoo_nn"))
    guard = include.upper().replace(".", "_")
    steps = "Open the example SelfTest in the Arduino IDE, upload it, and open the serial monitor at 115200 baud."
    sketch = _SKETCH.replace("INCLUDE", include).replace("NAME", prefix).replace("UPPER", prefix.upper())
    return {
        "library.properties": "".join(f"{key}={value}\n" for key, value in properties.items()),
        "README.md": library.readme(TITLES["arduino"], steps),
        f"src/{include}": f"/* All of this library. */\n#ifndef {guard}\n#define {guard}\n\n{everything}\n#endif\n",
        **{f"src/{file}": text for file, text in (library.sources | library.headers).items()},
        "examples/SelfTest/SelfTest.ino": sketch,
        **{f"examples/SelfTest/{file}": text for file, text in library.golden_header.items()},
    }


def _platformio(library: _Library) -> dict[str, str]:
    name = library.name("platformio")
    example = {
        **{f"src/{file}": text for file, text in library.selftest.items()},
        **{f"include/{file}": text for file, text in library.golden_header.items()},
    }
    manifest = {
        "name": name,
        "version": library.version,
        "description": library.sentence[:255],
        "keywords": ["neural network", "int8", "tinyml"],
        "authors": [{"name": "Microzoo"}],
        "license": "Apache-2.0",
        "frameworks": "*",
        "platforms": "*",
        "headers": sorted(header for header in library.headers if not header.startswith("microzoo_nn")),
        "examples": [{"name": "selftest", "base": "examples/selftest", "files": [*sorted(example), "platformio.ini"]}],
        "build": {"srcDir": "src", "includeDir": "include"},
    }
    steps = "In examples/selftest: `pio run -t exec` on this computer; add an environment for your board to its platformio.ini."
    return {
        "library.json": json.dumps(manifest, indent=2) + "\n",
        "README.md": library.readme(TITLES["platformio"], steps),
        **_source_and_include(library),
        **{f"examples/selftest/{path}": text for path, text in example.items()},
        "examples/selftest/platformio.ini": "[env:native]\nplatform = native\nlib_deps = symlink://../..\n",
    }


def _zephyr(library: _Library) -> dict[str, str]:
    name, prefix = library.name("zephyr"), library.prefix
    symbol = re.sub(r"[^A-Z0-9]", "_", name.upper())
    sources = "".join(f"  src/{file}\n" for file in sorted(library.sources))
    main = _ZEPHYR_MAIN.replace("NAME", prefix).replace("UPPER", prefix.upper())
    steps = "`west build -b <board> samples/selftest && west flash`, or `-b qemu_cortex_m3` and `west build -t run`."
    return {
        "zephyr/module.yml": f"name: {name}\nbuild:\n  cmake: .\n  kconfig: Kconfig\nsamples:\n  - samples\n",
        "CMakeLists.txt": f"""if(CONFIG_{symbol})
zephyr_library_named({name.replace("-", "_")})
zephyr_library_sources(
{sources})
zephyr_include_directories(include)
endif()
""",
        "Kconfig": f"""config {symbol}
\tbool "Microzoo model {library.card.id}"
\thelp
\t  {library.sentence}
""",
        "README.md": library.readme(TITLES["zephyr"], steps),
        **_source_and_include(library),
        "samples/selftest/CMakeLists.txt": _SAMPLE_CMAKE,
        "samples/selftest/prj.conf": f"CONFIG_{symbol}=y\nCONFIG_MAIN_STACK_SIZE=4096\n",
        "samples/selftest/sample.yaml": _SAMPLE_YAML,
        "samples/selftest/src/main.c": main,
        **{f"samples/selftest/src/{file}": text for file, text in library.golden_header.items()},
    }


_LAYOUTS: dict[str, Callable[[_Library], dict[str, str]]] = {
    "arduino": _arduino,
    "platformio": _platformio,
    "zephyr": _zephyr,
}


def _source_and_include(library: _Library) -> dict[str, str]:
    sources = {f"src/{file}": text for file, text in library.sources.items()}
    return sources | {f"include/{file}": text for file, text in library.headers.items()}


def _plain(text: str) -> str:
    """One line without control characters, as the manifests want it."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


_SKETCH = """// Runs the golden inputs once and says PASS, or the first difference, on the serial monitor at 115200 baud.
#include <INCLUDE>

#include "NAME_golden.h"

void setup() {
  Serial.begin(115200);
  while (!Serial && millis() < 5000) {
  }
  NAME_golden_difference first;
  if (NAME_golden_check(&first) == 0) {
    Serial.print("PASS: ");
    Serial.print(UPPER_GOLDEN_COUNT);
    Serial.println(" inputs, all outputs as published");
    return;
  }
  Serial.print("FAIL: input ");
  Serial.print(first.vector);
  if (first.output < 0) {
    Serial.println(": is not prepared as published");
    return;
  }
  Serial.print(", output ");
  Serial.print(first.output);
  Serial.print(": ");
  Serial.print(first.found);
  Serial.print(", must be ");
  Serial.println(first.expected);
}

void loop() {
}
"""

_ZEPHYR_MAIN = """/* Runs the golden inputs once and says PASS, or the first difference. */
#include <zephyr/sys/printk.h>

#include "NAME_golden.h"

int main(void) {
    NAME_golden_difference first;
    if (NAME_golden_check(&first) == 0)
        printk("PASS: %d inputs, all outputs as published\\n", UPPER_GOLDEN_COUNT);
    else if (first.output < 0)
        printk("FAIL: input %d is not prepared as published\\n", first.vector);
    else
        printk("FAIL: input %d, output %d: %d, must be %d\\n", first.vector, first.output, first.found, first.expected);
    return 0;
}
"""

_SAMPLE_CMAKE = """cmake_minimum_required(VERSION 3.20.0)
list(APPEND ZEPHYR_EXTRA_MODULES ${CMAKE_CURRENT_SOURCE_DIR}/../..)
find_package(Zephyr REQUIRED HINTS $ENV{ZEPHYR_BASE})
project(selftest)
target_sources(app PRIVATE src/main.c)
"""

_SAMPLE_YAML = """sample:
  name: Self test of a Microzoo model
tests:
  sample.microzoo.selftest:
    tags: microzoo
    harness: console
    harness_config:
      type: one_line
      regex:
        - "PASS: .*"
"""
