"""What the front end of sound needs besides the network, predicted: RAM and tables counted, code fitted to linked images."""

from __future__ import annotations

from dataclasses import dataclass

from microzoo.cost.c_runtime import ARENA_ALIGNMENT
from microzoo.sound.logmel import NO_BAND, LogMel
from microzoo.spec.cores import Core

CODE_BYTES: dict[Core, int] = {
    "cortex-m0": 1900,
    "cortex-m0plus": 1900,
    "cortex-m3": 1616,
    "cortex-m4": 1712,
    "cortex-m7": 1712,
    "cortex-m33": 1640,
    "cortex-m55": 1660,
}
"""The most that arm-none-eabi-gcc 12.2 -O2 linked for windows of 64 to 1,024 samples, with what it takes of libgcc and libc."""
PADDING_BYTES = 28
"""The most that the linker and the alignment of arrays added to the RAM that is counted, and the counters of the ring."""


@dataclass(frozen=True)
class FrontEndBytes:
    """ram_bytes: static, without stack; flash_bytes: code and tables. Upper estimates."""

    ram_bytes: int
    flash_bytes: int


def front_end_bytes(front_end: LogMel, core: Core) -> FrontEndBytes:
    """RAM: samples of a frame, its spectrum in 32 bits, an energy of 64 bits a band, a byte for each raw value. Flash: half a
    window, three quarters of a sine, two bytes for each bin of the spectrum that is in a band.
    """
    window, bands = front_end.spec.window, front_end.bands
    ram = 2 * window + 4 * window + 8 * bands + front_end.frames * bands
    bins = int((front_end.bins[0] != NO_BAND).sum())
    tables = 2 * (window // 2 + 1) + 2 * (3 * window // 4) + 2 * bins
    return FrontEndBytes(ram + -ram % ARENA_ALIGNMENT + PADDING_BYTES, tables + -tables % ARENA_ALIGNMENT + CODE_BYTES[core])
