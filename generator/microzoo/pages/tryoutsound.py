"""Sound in a try-out: what its scripts need to know of it, and whether the files of an entry have what the page will ask for."""

from __future__ import annotations

from typing import Any

from microzoo.catalog.card import Card
from microzoo.catalog.golden import Golden
from microzoo.errors import SiteError

AGAIN = "build the entry again"
NEEDED = ("sound", "samples", "features")
"""What the wasm of a model of sound exports besides what every model's does."""
_MAGIC, _EXPORTS = b"\0asm\1\0\0\0", 7


def sound_of(card: Card) -> dict[str, Any] | None:
    """How the page brings sound to the size of a clip; None where the data is no sound."""
    sound = card.dataset.sound
    if sound is None:
        return None
    frames = card.dataset.input_shape[0]
    return {
        "rateHz": sound.rate_hz,
        "samples": (frames - 1) * sound.hop + sound.window,
        "window": sound.window,
        "hop": sound.hop,
        "lowHz": sound.low_hz,
        "highHz": sound.high_hz,
        "steps": sound.steps,
    }


def check_sound(card: Card, golden: Golden, module: bytes) -> None:
    """Raises SiteError naming entry and field where the card speaks of sound and golden.npz or model.wasm do not know it."""
    described = sound_of(card)
    if described is None:
        return
    wrong = None
    if golden.sound is None:
        wrong = "golden.npz has no array sound"
    elif golden.sound.shape[1] != described["samples"]:
        wrong = f"golden.npz: sound has {golden.sound.shape[1]} samples a clip, dataset.sound makes it {described['samples']}"
    elif card.preprocessing.raw_type != "uint8":
        wrong = f"preprocessing.raw_type = {card.preprocessing.raw_type}, features of sound are uint8"
    elif missing := [name for name in NEEDED if name not in _exported(card, module)]:
        wrong = f"model.wasm does not export {' and '.join(missing)}"
    if wrong:
        raise SiteError(f"{card.id}: card.json has dataset.sound, but {wrong}", AGAIN)


def _exported(card: Card, module: bytes) -> frozenset[str]:
    """Names that a module exports (WebAssembly core specification 1.0, sections 5.5.2 and 5.5.10)."""
    try:
        if module[:8] != _MAGIC:
            raise IndexError
        at = 8
        while at < len(module):
            kind, (size, at) = module[at], _number(module, at + 1)
            if kind == _EXPORTS:
                return _names(module, at)
            at += size
    except IndexError:
        raise SiteError(f"{card.id}: model.wasm is no WebAssembly module", AGAIN) from None
    return frozenset()


def _names(module: bytes, at: int) -> frozenset[str]:
    """Of the entries of an export section: a name, a byte for its kind, an index."""
    names = set()
    count, at = _number(module, at)
    for _ in range(count):
        length, at = _number(module, at)
        names.add(module[at : at + length].decode("utf-8", "replace"))
        _, at = _number(module, at + length + 1)
    return frozenset(names)


def _number(module: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128 number at a place, and the place after it."""
    value = shift = 0
    while True:
        byte = module[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
