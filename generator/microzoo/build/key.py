"""What an entry depends on, as one hash: while it stays the same, the entry is up to date."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from microzoo.data.load import checksum
from microzoo.spec.load import Job

RECIPE_VERSION = 2
"""Raised whenever the generator would make another entry, or measure it otherwise, from the same spec."""
SEARCH_VERSION = 4
"""Raised whenever the search would propose or train other candidates from the same spec: old histories are then of no use."""


def job_key(job: Job) -> str:
    """SHA-256 over everything that decides the entries of a job. Needs no data. Prose and time budgets are left out."""
    family = job.family.model_dump(mode="json", exclude={"dataset", "targets", "budget"})
    names = {"classes": job.dataset.classes, "redistributable": job.dataset.licence.redistributable}
    return digest({"recipe": RECIPE_VERSION, "search": SEARCH_VERSION, "family": family, "files": names, **_surroundings(job)})


def search_identity(job: Job) -> str:
    """SHA-256 over everything that decides the search's next step, so that a longer search goes on in the same history."""
    family = job.family.model_dump(mode="json", include={"seed", "prune"})
    family["search"] = job.family.search.model_dump(mode="json", exclude={"evaluations"})
    family["train"] = job.family.train.model_dump(mode="json", exclude={"epochs", "seeds"})
    return digest({"search": SEARCH_VERSION, "family": family, **_surroundings(job)})


def training_identity(job: Job) -> str:
    """SHA-256 over everything that decides what a training of the search gives, besides candidate, rung and seed.

    Searches of one training identity may take over each other's evaluations, whatever their limits are. Strategy and space are
    part of it, so that a baseline stays one.
    """
    family = job.family.model_dump(mode="json", include={"prune"})
    family["train"] = job.family.train.model_dump(mode="json", exclude={"epochs", "seeds"})
    search = {"strategy", "space", "epochs", "reduction", "rungs", "samples", "inherit"}
    family["search"] = job.family.search.model_dump(mode="json", include=search)
    around = _surroundings(job)
    around["target"] = job.target.model_dump(mode="json", include={"runtime", "core"})
    return digest({"search": SEARCH_VERSION, "training": family, **around})


def training_fingerprint(job: Job) -> str:
    """SHA-256 over everything that decides a full training and its quantisation, besides the candidate, its seed and epochs."""
    family = job.family.model_dump(mode="json", include={"seed", "prune", "quantise"})
    family["train"] = job.family.train.model_dump(mode="json", exclude={"epochs", "seeds"})
    return digest({"recipe": RECIPE_VERSION, "search": SEARCH_VERSION, "family": family, **_surroundings(job)})


def digest(value: dict[str, Any]) -> str:
    """SHA-256 of canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _surroundings(job: Job) -> dict[str, Any]:
    augment = job.dataset.augment
    return {
        "dataset": checksum(job.dataset),
        "augment": {"shift": augment.shift, "flip": augment.flip} | augment.model_dump(mode="json", exclude_defaults=True),
        "classes": len(job.dataset.classes),
        "target": job.target.model_dump(mode="json", exclude={"title", "boards"}),
    }
