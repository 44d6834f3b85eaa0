"""Recorded sound as a dataset: an archive of WAV files, each one clip, turned into the raw values that the network sees."""

from __future__ import annotations

import io
import re
import wave

import numpy as np
from numpy.typing import NDArray

from microzoo.data.arrays import RawData
from microzoo.data.cache import recordings
from microzoo.errors import DataError
from microzoo.sound.logmel import Samples, front_end_of
from microzoo.spec.dataset import DatasetSpec

MAX_SECONDS = 60
"""Of one recording: longer ones are no words, and most likely another file."""


class WavReader:
    """A tar archive, packed or not, of WAV files with 16 bits and one channel. Where they lie in it does not matter."""

    def read(self, name: str, spec: DatasetSpec, files: dict[str, bytes]) -> RawData:
        """Reads the file whose role is `archive`, in the order of the recordings' paths.

        Raises DataError naming the recording that is no WAV, has another rate or a class that the spec does not name.
        """
        assert spec.recordings is not None and spec.sound is not None, "DatasetSpec checks this"
        if "archive" not in files:
            raise DataError(f'specs/datasets/{name}.toml: sources: the wav reader needs a file with role = "archive"')
        front_end = front_end_of(spec)
        assert front_end is not None
        if empty := front_end.empty_bands():
            problem = f"specs/datasets/{name}.toml: sound.window = {spec.sound.window} has no frequency in band {empty[0]}"
            raise DataError(f"{problem} of {front_end.bands}", "give a longer window, or fewer bands in input_shape")
        pattern, test = re.compile(f"(?:^|/)(?:{spec.recordings.pattern})$"), re.compile(f"(?:{spec.recordings.test})$")
        clips, labels, groups, held = [], [], [], []
        for path, content in sorted(recordings(f"{name}: archive", files["archive"])):
            if (found := pattern.search(path)) is None:
                continue
            if found["class"] not in spec.classes:
                known = ", ".join(spec.classes)
                raise DataError(f"{name}: {path}: recordings.pattern finds class {found['class']!r}; classes = {known}")
            clips.append(fitted(_samples(f"{name}: {path}", content, spec.sound.rate_hz), front_end.samples))
            labels.append(spec.classes.index(found["class"]))
            groups.append(found.groupdict().get("group") or "")
            held.append(bool(spec.recordings.test and test.search(path)))
        if not clips:
            raise DataError(f"{name}: recordings.pattern = {spec.recordings.pattern!r} matches no file of the archive")
        sound, y, is_test = np.stack(clips), np.array(labels, np.int64), np.array(held)
        x, rest = front_end.raw(sound), ~is_test
        group = np.array(groups)[rest] if "group" in pattern.groupindex else None
        x_test, y_test = (x[is_test], y[is_test]) if is_test.any() else (None, None)
        return RawData(x[rest], y[rest], x_test, y_test, groups=group, sound=sound[rest])


def fitted(recording: Samples, samples: int) -> Samples:
    """`recording` (n,) as a clip of `samples`: a shorter one in the middle of silence, of a longer one the part with the greatest
    energy, the first of equal ones. The page does the same with what it records.
    """
    spare = len(recording) - samples
    if spare <= 0:
        before = -spare // 2
        return np.pad(recording, (before, -spare - before))
    energy = np.concatenate([[0], np.cumsum(recording.astype(np.int64) ** 2)])
    start = int(np.argmax(energy[samples:] - energy[:-samples]))
    return recording[start : start + samples]


def _samples(what: str, content: bytes, rate_hz: int) -> Samples:
    try:
        with wave.open(io.BytesIO(content)) as file:
            channels, width, rate, count = file.getparams()[:4]
            if (channels, width, rate) != (1, 2, rate_hz):
                problem = f"{what}: has {channels} channels of {8 * width} bits at {rate} Hz"
                raise DataError(problem, f"the wav reader takes 1 of 16 bits, and the spec says sound.rate_hz = {rate_hz}")
            if count > MAX_SECONDS * rate:
                raise DataError(f"{what}: is {count / rate:.0f} s long, at most {MAX_SECONDS} s are read")
            data = file.readframes(count)
    except (wave.Error, EOFError, ValueError) as error:
        raise DataError(f"{what}: is no WAV file with plain samples: {str(error) or 'it ends too early'}") from error
    found: NDArray[np.int16] = np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.int16)
    return found
