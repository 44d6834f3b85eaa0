"""From a pydantic error to one line that names key, value, what is allowed and the nearest valid name."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from microzoo.errors import SpecProblem
from microzoo.spec.lines import key_lines, line_of


def spec_problems(file: Path, text: str, model: type[BaseModel], error: ValidationError) -> list[SpecProblem]:
    """Every mistake that pydantic found in `text`, in the order of the file's lines."""
    lines = key_lines(text)
    problems = []
    for detail in error.errors():
        path = detail["loc"]
        problems.append(SpecProblem(file, dotted(path), _message(detail, model), line_of(lines, path)))
    return sorted(problems, key=lambda problem: (problem.line or 0, problem.key))


def dotted(path: Iterable[str | int]) -> str:
    """("sources", 0, "file") -> "sources[0].file"."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def nearest(word: str, allowed: Iterable[str]) -> str:
    """'did you mean "x"? ' where one of `allowed` is close, else nothing."""
    close = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f'did you mean "{close[0]}"? ' if close else ""


def _message(detail: ErrorDetails, model: type[BaseModel]) -> str:
    path = detail["loc"]
    kind = detail["type"]
    if kind == "extra_forbidden":
        allowed = _keys_at(model, path[:-1])
        return f"no such key; {nearest(str(path[-1]), allowed)}allowed: {', '.join(allowed)}"
    if kind == "missing":
        return f"this key is missing; {_meaning(model, path)}"
    value = detail["input"]
    shown = repr(value) if not isinstance(value, dict) else "this table"
    reason = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if kind == "literal_error" and isinstance(value, str):
        allowed = [word.strip("' ") for word in str(detail.get("ctx", {}).get("expected", "")).replace(" or ", ",").split(",")]
        return f'"{value}" is not allowed; {nearest(value, allowed)}allowed: {", ".join(allowed)}'
    if kind == "value_error":
        return reason
    return f"{shown} {reason}"


def _keys_at(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    inner = _model_at(model, path)
    return list(inner.model_fields) if inner is not None else []


def _meaning(model: type[BaseModel], path: tuple[str | int, ...]) -> str:
    inner = _model_at(model, path[:-1])
    field = inner.model_fields.get(str(path[-1])) if inner is not None else None
    return (field.description or "") if field is not None else ""


def _model_at(model: type[BaseModel], path: tuple[str | int, ...]) -> type[BaseModel] | None:
    """The model that describes the table at `path`."""
    current: type[BaseModel] | None = model
    for part in path:
        if isinstance(part, int):
            continue
        field = current.model_fields.get(part) if current is not None else None
        current = _model_in(field.annotation) if field is not None else None
    return current


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside X, X | None, tuple[X, ...] or Annotated[X, ...]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (typing.Union, types.UnionType, tuple, typing.Annotated):
        for argument in get_args(annotation):
            if (found := _model_in(argument)) is not None:
                return found
    return None
