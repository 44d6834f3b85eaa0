"""Durations as people type them: 90s, 20m, 2h, 1h30m."""

from __future__ import annotations

import re

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """Seconds. Raises ValueError on anything but numbers with the units s, m, h, each at most once and in falling order."""
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", text.strip())
    if not text.strip() or match is None:
        raise ValueError(f'"{text}" is not a duration: write for instance 90s, 20m or 1h30m')
    seconds = sum(float(part) * _UNITS[unit] for part, unit in zip(match.groups(), "hms", strict=True) if part)
    if seconds <= 0:
        raise ValueError(f'"{text}" is no time at all: write for instance 20m')
    return seconds


def show_duration(seconds: float) -> str:
    """For people: 45 s, 3 min 20 s, 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
