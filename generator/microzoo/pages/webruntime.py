"""ONNX Runtime for the browser: enters the folder that npm installed it into, leaves one script with all of it, and notices.

Of the package onnxruntime-web (MIT) it takes the build for WebAssembly alone: one module, one .wasm of 14 MB. Both are packed by
gzip into one script, since a page opened from a disk may load scripts but read no files; browsers unpack it by themselves.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from microzoo.errors import SiteError

FOLDER = "assets/onnxruntime"
PACKAGE = "onnxruntime-web"
SCRIPT = f"{FOLDER}/runtime.js"
MODULE, WASM = "dist/ort.wasm.bundle.min.mjs", "dist/ort-wasm-simd-threaded.wasm"
NOTICES = {"LICENSE": "LICENSE.txt", "ThirdPartyNotices.txt": "ThirdPartyNotices.txt"}
"""Of the Python package onnxruntime, built from the same sources: the npm package brings none. Name there -> in the site."""
_LEVEL = 6
"""0.7 s; the highest is 0.5 % smaller and takes twice that."""


@dataclass(frozen=True)
class WebRuntime:
    """The runtime as the site ships it. Without a version it is not there, and `missing` says why."""

    version: str = ""
    missing: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    """Path from the site's root -> what to write there."""

    @property
    def loaded_bytes(self) -> int:
        """What a page loads for a comparison."""
        return len(self.files[SCRIPT])


def web_runtime(modules: Path | None) -> WebRuntime:
    """modules: the folder node_modules. Raises SiteError where the package is there but is not what is expected."""
    if modules is None or not (modules / PACKAGE).is_dir():
        return WebRuntime(missing=f"{PACKAGE} was not installed when this copy of the site was made")
    package = modules / PACKAGE
    try:
        version = str(json.loads((package / "package.json").read_text("utf-8"))["version"])
        packed = {
            name: base64_of(gzip.compress((package / path).read_bytes(), _LEVEL, mtime=0))
            for name, path in (("module", MODULE), ("wasm", WASM))
        }
        notices = _notices()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SiteError(f"{package}: is not the package that the site expects: {error}", "run sh tools/web.sh") from error
    return WebRuntime(version=version, files={SCRIPT: handed("runtime", packed), **notices})


def handed(name: str, content: Mapping[str, Any]) -> bytes:
    """A script that hands `content` to the page under a name, in ASCII."""
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return f"mzTryout.receive({json.dumps(name)}, {text});\n".encode("ascii")


def base64_of(content: bytes) -> str:
    """For a script."""
    return base64.b64encode(content).decode("ascii")


def _notices() -> dict[str, bytes]:
    spec = find_spec("onnxruntime")
    if spec is None or not spec.submodule_search_locations:
        raise OSError("the Python package onnxruntime, which holds the licence, is not installed")
    folder = Path(spec.submodule_search_locations[0])
    return {f"{FOLDER}/{to}": (folder / name).read_bytes() for name, to in NOTICES.items()}
