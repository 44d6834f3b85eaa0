"""Recorded sensor values as a dataset: long recordings with a label for every sample, cut into windows of a fixed length."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from microzoo.data.arrays import RawData
from microzoo.data.npz import named_arrays
from microzoo.errors import DataError
from microzoo.spec.dataset import DatasetSpec

NAMES = ("signal", "label", "offsets", "subject")


class WindowsReader:
    """One .npz: `signal` (N, channels) of floats, `label` (N,) of integers from 0, and where recordings begin, `offsets` (R + 1,)
    from 0 to N; `subject` (R,), numbers or names, whose recording each is, where it is known.
    """

    def read(self, name: str, spec: DatasetSpec, files: dict[str, bytes]) -> RawData:
        """Windows within each recording, every `signal.step` samples, labelled by most of their samples, the least of equal ones.

        Raises DataError naming the array that does not fit.
        """
        assert spec.signal is not None, "DatasetSpec checks this"
        if "archive" not in files:
            raise DataError(f'specs/datasets/{name}.toml: sources: the windows reader needs a file with role = "archive"')
        arrays = named_arrays(name, files["archive"], NAMES)
        _check(name, spec, arrays)
        length, classes = spec.input_shape[0], len(spec.classes)
        factors = np.array(spec.signal.factors or [1.0] * len(spec.signal.channels), np.float32)
        low, high = spec.preprocess.raw_min, spec.preprocess.raw_max
        signal = np.clip(arrays["signal"].astype(np.float32) * factors, np.float32(low), np.float32(high))
        x, y, groups = [], [], []
        for index, (start, end) in enumerate(zip(arrays["offsets"], arrays["offsets"][1:], strict=False)):
            for at in range(int(start), int(end) - length + 1, spec.signal.step):
                x.append(signal[at : at + length])
                y.append(np.bincount(arrays["label"][at : at + length], minlength=classes).argmax())
                groups += [str(arrays["subject"][index])] if "subject" in arrays else []
        if not x:
            raise DataError(f"{name}: archive: no recording has {length} samples, the length of input_shape")
        known = np.array(groups) if groups else None
        return RawData(np.stack(x)[:, :, np.newaxis, :], np.array(y, np.int64), groups=known)


def _check(name: str, spec: DatasetSpec, arrays: dict[str, NDArray[Any]]) -> None:
    if missing := [key for key in NAMES[:3] if key not in arrays]:
        raise DataError(
            f"{name}: archive: {' and '.join(missing)} missing", "numpy.savez(file, signal=..., label=..., offsets=...)"
        )
    signal, label, offsets = (arrays[key] for key in NAMES[:3])
    channels = spec.input_shape[2]
    wrong = None
    if signal.ndim != 2 or signal.shape[1] != channels or not np.issubdtype(signal.dtype, np.floating):
        wrong = f"signal is {signal.dtype} of shape {signal.shape}, must be floats of shape (N, {channels})"
    elif not np.isfinite(signal).all():
        wrong = f"signal has a value that is no number, first in row {int(np.argwhere(~np.isfinite(signal))[0, 0])}"
    elif label.shape != signal.shape[:1] or not np.issubdtype(label.dtype, np.integer):
        wrong = f"label is {label.dtype} of shape {label.shape}, must be integers of shape ({len(signal)},)"
    elif len(label) and not 0 <= int(label.min()) <= int(label.max()) < len(spec.classes):
        wrong = f"label goes from {label.min()} to {label.max()}, the spec names {len(spec.classes)} classes"
    elif offsets.ndim != 1 or len(offsets) < 2 or not np.issubdtype(offsets.dtype, np.integer):
        wrong = f"offsets is {offsets.dtype} of shape {offsets.shape}, must be integers of shape (recordings + 1,)"
    elif int(offsets[0]) != 0 or int(offsets[-1]) != len(signal) or (np.diff(offsets.astype(np.int64)) < 0).any():
        wrong = f"offsets must rise from 0 to {len(signal)}, the samples of signal"
    elif "subject" in arrays and arrays["subject"].shape != (len(offsets) - 1,):
        wrong = f"subject has shape {arrays['subject'].shape}, must be ({len(offsets) - 1},), one a recording"
    if wrong:
        raise DataError(f"{name}: archive: {wrong}")
