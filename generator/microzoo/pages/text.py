"""Numbers as people read them. Every figure of the site is written here, so that a unit or a rounding changes in one place."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

Unit = Literal["bytes", "macs", "instructions", "cycles", "ms", "share", "count"]

KIB = 1024
_FINE_N = 1000
_LONG_MS = 999.5
"""From here on three digits would be written with an exponent."""


def grouped(value: float) -> str:
    """12345.0 -> "12,345"; a value that is no whole number keeps two decimals."""
    return f"{round(value):,}" if value == round(value) else f"{value:,.2f}"


def given(value: float) -> str:
    """What somebody set, to its last digit: 100.0 -> "100", 0.003 -> "0.003", 1234.5 -> "1,234.5"; never with an exponent."""
    return f"{round(value):,}" if value == round(value) else f"{Decimal(repr(value)):,f}"


def size(value: float) -> str:
    """Bytes: "432 B", "12.0 KB", "1.25 MB". 1 KB = 1,024 B, as budgets of microcontrollers are given."""
    if abs(value) < KIB:
        return f"{round(value)} B"
    if abs(value) < KIB * KIB:
        return f"{value / KIB:.1f} KB"
    return f"{value / KIB / KIB:.2f} MB"


def short(value: float) -> str:
    """Counts: "432", "85.2 K", "3.40 M". 1 K = 1,000."""
    if abs(value) < 1e3:
        return grouped(value)
    for limit, factor, suffix, digits in ((1e6, 1e3, "K", 1), (1e9, 1e6, "M", 2)):
        if abs(value) < limit:
            return f"{value / factor:.{digits}f} {suffix}"
    return f"{value / 1e9:.2f} G"


def percent(share: float, n: int | None = None) -> str:
    """0.9325 -> "93.25 %"; one decimal where `n` inputs cannot tell more."""
    digits = 1 if n is not None and n < _FINE_N else 2
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def points(share: float) -> str:
    """A difference of accuracies, in percentage points: 0.0021 -> "0.21"."""
    return f"{100 * share:.2f}"


def quantity(value: float, unit: Unit) -> str:
    """A figure with its unit, rounded for a headline."""
    match unit:
        case "bytes":
            return size(value)
        case "macs":
            return f"{short(value)} MACs"
        case "instructions":
            return f"{short(value)} instructions"
        case "cycles":
            return f"{short(value)} cycles"
        case "ms":
            return f"{value:.3g} ms" if value < _LONG_MS else f"{value:,.0f} ms"
        case "share":
            return percent(value)
        case "count":
            return short(value)


def exact(value: float, unit: Unit) -> str:
    """A figure with its unit, to the last digit."""
    match unit:
        case "bytes":
            return f"{grouped(value)} B"
        case "macs":
            return f"{grouped(value)} MACs"
        case "instructions":
            return f"{grouped(value)} instructions"
        case "cycles":
            return f"{grouped(value)} cycles"
        case "ms":
            return f"{value:.6g} ms"
        case "share":
            return f"{100 * value:.4g}\N{NO-BREAK SPACE}%"
        case "count":
            return grouped(value)


def shape(dimensions: tuple[int, ...]) -> str:
    """(28, 28, 1) -> "28×28×1"."""
    return "×".join(str(size) for size in dimensions)


def core_name(core: str) -> str:
    """As Arm writes it: cortex-m0plus -> Cortex-M0+."""
    family, _, member = core.partition("-")
    return f"{family.capitalize()}-{member.upper().replace('PLUS', '+')}"


def duration(seconds: float) -> str:
    """42 -> "42 s"; 312 -> "5.2 min"; 7980 -> "2.2 h"."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
