"""What this machine has, and what is skipped without it."""

from __future__ import annotations

import platform
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version


@dataclass(frozen=True)
class Finding:
    """One thing: what it is, what was found, what it is for or what is skipped without it and how to get it."""

    what: str
    found: str
    meaning: str


PACKAGES = {
    "torch": "trains networks",
    "onnx": "writes and checks .onnx",
    "onnxruntime": "measures .onnx",
    "ai-edge-litert": "writes .tflite and measures it with LiteRT's reference kernels",
    "tflite-micro": "measures .tflite with TensorFlow Lite Micro: accuracy and arena; x86-64 Linux only",
    "ziglang": "compiles the C export to wasm",
    "wasmtime": "measures the wasm",
    "mkdocs-material": "renders the site",
}
TOOLS = {
    ("cc", "gcc", "clang"): ("compiles the C export for this machine, to measure its accuracy", "gcc"),
    ("arm-none-eabi-gcc",): (
        "links the C export for the target, to measure its flash and RAM",
        "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    ),
    ("qemu-system-arm",): ("counts the instructions of the C export on an emulated Cortex-M", "qemu-system-arm"),
    ("chromium",): ("tests the site in a browser", "chromium"),
}


def examine() -> list[Finding]:
    """All findings, in a fixed order."""
    findings = [Finding("Python", platform.python_version(), f"{platform.machine()} {platform.system()}")]
    for package, purpose in PACKAGES.items():
        try:
            findings.append(Finding(package, version(package), purpose))
        except PackageNotFoundError:
            findings.append(Finding(package, "missing", f"skipped: {purpose}"))
    for names, (purpose, debian) in TOOLS.items():
        path = next((name for name in names if shutil.which(name)), None)
        if path is None:
            findings.append(Finding(names[0], "missing", f"skipped: {purpose}; Debian and Ubuntu: apt-get install {debian}"))
        else:
            findings.append(Finding(path, _version(path), purpose))
    findings.append(_cuda())
    return findings


def _version(tool: str) -> str:
    try:
        answer = subprocess.run([tool, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not answer: {error}"
    lines = answer.stdout.strip().splitlines()
    return lines[0] if lines else "version unknown"


def _cuda() -> Finding:
    try:
        import torch
    except ImportError as error:
        return Finding("CUDA", "unknown", f"torch cannot be imported: {error}")
    if torch.cuda.is_available():
        return Finding("CUDA", torch.cuda.get_device_name(0), "several candidates are trained at once on the GPU")
    return Finding("CUDA", "none", "networks are trained on the CPU")
