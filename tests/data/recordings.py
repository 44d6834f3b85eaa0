"""Small archives of sound and of sensor values, with their specs."""

from __future__ import annotations

import hashlib
import io
import tarfile
import wave
from pathlib import Path
from typing import Any

import numpy as np

from microzoo.data.cache import contents_digest
from microzoo.spec.dataset import DatasetSpec

FRAMES, BANDS, SAMPLES = 6, 6, 6 * 64
LICENCE = {"name": "CC0-1.0", "redistributable": True}


def wav(samples: np.ndarray, rate: int = 8000, channels: int = 1, width: int = 2) -> bytes:
    packed = io.BytesIO()
    with wave.open(packed, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.astype(f"<i{width}").tobytes())
    return packed.getvalue()


def tar(files: dict[str, bytes], compression: str = "") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=f"w:{compression}") as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def beeps(seed: int = 0, count: int = 8, folder: str = "recordings") -> dict[str, bytes]:
    """Three classes of tones, low, middle and high, by the people ann, bob and eve, `count` of each."""
    rng = np.random.default_rng(seed)
    files = {f"{folder}/README.md": b"about"}
    for label, hertz in enumerate((400, 1200, 3000)):
        for person in ("ann", "bob", "eve"):
            for index in range(count):
                length = int(rng.integers(100, 900))
                tone = np.sin(2 * np.pi * hertz * rng.uniform(0.9, 1.1) * np.arange(length) / 8000)
                noise = rng.normal(size=length)
                files[f"{folder}/{'abc'[label]}_{person}_{index}.wav"] = wav(rng.uniform(2000, 9000) * tone + 100 * noise)
    return files


def sound_spec(archive: bytes | None = None, **changes: Any) -> DatasetSpec:
    """Of `beeps`: 6 frames of 6 bands, so that the 6x6 networks of other tests fit. archive: uncompressed."""
    checksum = {"contents_sha256": contents_digest(Path("beeps.tar"), archive)} if archive else {"sha256": "0" * 64}
    spec = {
        "title": "Beeps",
        "reader": "wav",
        "input_shape": (FRAMES, BANDS, 1),
        "classes": ("a", "b", "c"),
        "citation": "none",
        "recordings": {"pattern": r"(?P<class>[a-z])_(?P<group>[a-z]+)_[0-9]+\.wav"},
        "sound": {"rate_hz": 8000, "window": 64, "hop": 64, "low_hz": 200, "high_hz": 3900},
        "split": {"validation_groups": ["bob"], "test_groups": ["eve"]},
        "preprocess": {"raw_min": 0, "raw_max": 80, "scale": 0.0125},
        "licence": LICENCE,
        "sources": [{"role": "archive", "file": "beeps.tar", **checksum}],
    }
    return DatasetSpec.model_validate(spec | changes)


def npz(**arrays: np.ndarray) -> bytes:
    packed = io.BytesIO()
    np.savez(packed, **arrays)  # type: ignore[arg-type]
    return packed.getvalue()


def motion(seed: int = 0) -> dict[str, np.ndarray]:
    """Four recordings of three people at 10 Hz with two channels: still, then shaking from the middle on."""
    rng = np.random.default_rng(seed)
    lengths, signal, label = (40, 25, 60, 9), [], []
    for length in lengths:
        active = np.arange(length) >= length // 2
        signal.append(rng.normal(size=(length, 2)) * np.where(active, 30.0, 0.1)[:, None])
        label.append(active)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return {
        "signal": np.concatenate(signal).astype(np.float32),
        "label": np.concatenate(label).astype(np.uint8),
        "offsets": offsets,
        "subject": np.array([7, 8, 9, 9]),
    }


def motion_spec(content: bytes = b"", **changes: Any) -> DatasetSpec:
    """Of `motion`: windows of 10 samples, every 5."""
    spec = {
        "title": "Shaking",
        "reader": "windows",
        "input_shape": (10, 1, 2),
        "classes": ("still", "shaking"),
        "citation": "none",
        "signal": {"rate_hz": 10, "channels": ["x", "y"], "units": ["g", "rad/s"], "factors": [0.5, 1], "step": 5},
        "split": {"validation_groups": ["8"], "test_groups": ["9"]},
        "preprocess": {"raw_min": -8, "raw_max": 8},
        "licence": LICENCE,
        "sources": [{"role": "archive", "file": "motion.npz", "sha256": hashlib.sha256(content).hexdigest()}],
    }
    return DatasetSpec.model_validate(spec | changes)
