"""Numbers as C text, and templates of C."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

LINE = 120


def float_literal(value: float) -> str:
    """A float32 as a C literal that reads back as the same bits."""
    text = f"{np.float32(value):.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def number_literal(value: float) -> str:
    """An integer, unsigned where it is beyond int32, or a float32."""
    if isinstance(value, float):
        return float_literal(value)
    return f"{value}u" if value > 2**31 - 1 else str(value)


def wrapped(numbers: Iterable[str]) -> str:
    """Separated by commas, in lines of about LINE columns."""
    lines: list[list[str]] = [[]]
    width = 0
    for number in numbers:
        if width + len(number) + 1 > LINE:
            lines.append([])
            width = 0
        lines[-1].append(number)
        width += len(number) + 1
    return ",\n".join(",".join(line) for line in lines)


def filled(template: str, words: Mapping[str, object]) -> str:
    """`template` with each $WORD$ replaced."""
    for word, value in words.items():
        template = template.replace(f"${word}$", str(value))
    return template
