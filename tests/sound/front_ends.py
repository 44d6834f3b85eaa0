"""Front ends of several sizes, and clips that reach their corners."""

from __future__ import annotations

import numpy as np

from microzoo.sound.logmel import LogMel, Samples
from microzoo.spec.dataset import SoundSpec

FRONT_ENDS = {
    "spoken digits": LogMel(SoundSpec(rate_hz=8000, window=256, hop=160, low_hz=80, high_hz=3800), 49, 20),
    "no overlap, all frequencies": LogMel(
        SoundSpec(rate_hz=16000, window=512, hop=512, low_hz=0, high_hz=8000, steps=255), 3, 40
    ),
    "smallest": LogMel(SoundSpec(rate_hz=8000, window=64, hop=1, low_hz=300, high_hz=3000, steps=8), 7, 4),
    "largest window": LogMel(SoundSpec(rate_hz=48000, window=1024, hop=700, low_hz=20, high_hz=20000), 4, 32),
}


def clips(front_end: LogMel, count: int = 30, seed: int = 0) -> Samples:
    """int16 (count, samples): silence, both ends of the range, a square wave and a tone of full scale, one sample alone, then
    noise from inaudible to clipped.
    """
    rng = np.random.default_rng(seed)
    length = np.arange(front_end.samples)
    found = rng.normal(size=(count, front_end.samples)) * np.geomspace(0.5, 60000, count)[:, None]
    found[0], found[1], found[2] = 0, 32767, -32768
    found[3] = 32767 * np.sign(np.sin(0.3 * length))
    found[4] = 32767 * np.sin(0.3 * length)
    found[5] = np.where(length == front_end.samples // 2, -32768, 0)
    return np.clip(np.rint(found), -32768, 32767).astype(np.int16)
