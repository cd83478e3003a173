"""All jobs and one of them in detail, as plain values for ``jobs.js``.

The script asks every second or so and gets what changed: everything is read from the folders of the
jobs, so that a second page, a reload and another server see the same.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from studio import jobs, methods, paths, traits
from studio.checkpoints import Card
from studio.data.folder import DataSet, open_set
from studio.errors import ConfigError, StudioError, TrainingError
from studio.jobs import Job
from studio.methods.base import Operation
from studio.training import status
from studio.training.samples import pick
from studio.training.saves import CARD as STATE_CARD
from studio.ui.atlas.screen import opens, plotly_file
from studio.ui.components import uri_of
from studio.ui.context import Context
from studio.ui.draft import Seat
from studio.ui.seats import seat_row
from studio.ui.workshop import knobs

# Milliseconds until the script asks again.
SOON, LATER = 1500, 5000
_DIGITS = 5
STATES = {
    "": ("Starting", "live"),
    status.QUEUED: ("Waiting", "live"),
    status.RUNNING: ("Training", "live"),
    status.PAUSED: ("Paused", "rest"),
    status.SUCCEEDED: ("Done", "good"),
    status.FAILED: ("Failed", "bad"),
    status.CANCELLED: ("Cancelled", "rest"),
}
_SWAP_ROWS = (
    "Without it", "the same, redrawn", "With it", "put on the first", "taken off",
)  # fmt: skip
_BETWEEN_ROWS = (
    "One picture", "redrawn", "a quarter of the way", "half way", "three quarters", "redrawn",
    "Another picture",
)  # fmt: skip
# What a person can do with a job, in the order of the buttons.
_VERBS: Mapping[str, tuple[str, Callable[[str], None]]] = {
    "stop": ("Pause", jobs.stop),
    "cancel": ("Cancel", jobs.stop),
    "resume": ("Resume", jobs.resume),
    "save": ("Save now", jobs.save_now),
    "sample": ("Sample now", jobs.sample_now),
    "finish": ("Finish here", jobs.finish),
    "delete": ("Delete", jobs.delete),
}
_OFFERED: Mapping[str, tuple[str, ...]] = {
    "": (),
    status.QUEUED: ("cancel",),
    status.RUNNING: ("stop", "save", "sample", "finish"),
    status.PAUSED: ("resume", "finish", "delete"),
    status.SUCCEEDED: ("delete",),
    status.FAILED: ("resume", "finish", "delete"),
    status.CANCELLED: ("resume", "delete"),
}


def look(context: Context, data: Mapping[str, Any]) -> dict[str, Any]:
    """Say what changed since the script looked last.

    Args:
        context: The shared context.
        data: ``name`` of the job that is looked at, empty for the latest; ``seen``, the mark of
            the last answer; ``place`` up to which its losses were read.

    Returns:
        ``wait`` milliseconds until the next look; ``jobs`` and ``job`` with the mark ``seen`` where
        something changed; ``news`` where there are more losses.
    """
    found = list(reversed(jobs.jobs()))
    wait = SOON if any(job.is_live for job in found) else LATER
    chosen = _chosen(found, str(data.get("name") or ""))
    listed = [_entry(job) for job in found]
    shown: dict[str, Any] = {
        "jobs": listed,
        "job": _detail(context, chosen, found) if chosen else None,
    }
    seen = hashlib.sha256(json.dumps(shown, default=str).encode()).hexdigest()[:16]
    answer: dict[str, Any] = {"wait": wait, "script": f"gradio_api/file={plotly_file()}"}
    if seen != data.get("seen"):
        answer |= {"seen": seen, **shown}
    if chosen:
        same = chosen.name == data.get("name")
        answer["news"] = _news(chosen.name, int(data.get("place") or 0) if same else 0)
    return answer


def _chosen(found: Sequence[Job], name: str) -> Job | None:
    """Return the job of a name; else the latest that is live, or the latest of all."""
    named = [job for job in found if job.name == name]
    return next(iter([*named, *(job for job in found if job.is_live), *found]), None)


def _entry(job: Job) -> dict[str, Any]:
    words, level = STATES.get(job.state, (job.state, "rest"))
    return {
        "name": job.name,
        "title": title(job),
        "state": words,
        "level": level,
        "share": _share(job),
        "left": left(job),
        "when": when(job.name),
    }


def title(job: Job) -> str:
    """Return the name of the model that a job makes; the job's own where nobody can tell."""
    return job.request.name if job.request else job.name


def when(name: str) -> str:
    """Say when a job was made, as its name tells."""
    try:
        return datetime.strptime(name[:15], "%Y%m%d-%H%M%S").strftime("%d %B, %H:%M").lstrip("0")
    except ValueError:
        return ""


def _share(job: Job) -> float:
    if job.state == status.SUCCEEDED:
        return 1.0
    return min(1.0, job.step / job.request.steps) if job.request else 0.0


def left(job: Job) -> str:
    """Say how long a job will still take; empty where nobody can tell."""
    if job.state != status.RUNNING or math.isnan(job.left):
        return ""
    return f"about {duration(job.left)} left"


def duration(seconds: float) -> str:
    """Say how long something takes, as a person would."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{seconds / 3600:.1f} h"


def _detail(context: Context, job: Job, found: Sequence[Job]) -> dict[str, Any]:
    card = _card(context, job)
    failed = job.state == status.FAILED or not job.request
    return {
        **_entry(job),
        "status": _status(job, found),
        "facts": _facts(job),
        "notes": list(job.notes),
        "error": job.error,
        "log": jobs.log_tail(job.name) if failed else "",
        "verbs": [[verb, _VERBS[verb][0]] for verb in _offered(job)],
        "clones": job.request is not None,
        "opens": opens(card) if card else [],
        "checkpoint": card.name if card else "",
        "sheets": [step for step, _ in jobs.sheets(job.name)],
        "rows": _rows(job),
    }


def _card(context: Context, job: Job) -> Card | None:
    """Return the card of the model that a job made; None where it was deleted or not made yet."""
    if job.state != status.SUCCEEDED or job.request is None:
        return None
    try:
        return context.store.card(job.request.name)
    except StudioError:
        return None


def _status(job: Job, found: Sequence[Job]) -> str:
    """Say in a sentence how a job stands."""
    total = f" of {job.request.steps:,}" if job.request else ""
    at = f"Step {job.step:,}{total}"
    if job.state == status.RUNNING:
        pace = f", {_pace(job)}" if job.step else ""
        return f"{at}{pace}{f', {left(job)}' if left(job) else ''}."
    if job.state == status.QUEUED:
        return _queue(job, found)
    if job.state == status.SUCCEEDED:
        return f"{at}, {duration(job.seconds)} of training."
    return f"{at}." if job.state else "Its process starts."


def _queue(job: Job, found: Sequence[Job]) -> str:
    """Say what a job waits for; what others train is nobody's business."""
    busy = next((title(one) for one in found if one.state == status.RUNNING), "")
    if busy:
        return f"It waits until {busy} is through: one trains at a time."
    folder = jobs.folder_of(job.name)
    device = status.read_status(folder).get("device")
    others = (one for place in paths.all_runs() for one in place.glob("[!.]*") if one != folder)
    ahead = any(_is_ahead(one, job.name, device) for one in others)
    return "It waits for the device." if ahead else "It is next."


def _is_ahead(other: Path, name: str, device: str | None) -> bool:
    """Say whether a run works on a device, or waits for it since before a job of that name."""
    told = status.read_status(other)
    # Who does not say what it waits for may wait for this one.
    same = device is None or told.get("device", device) == device
    waits = told["state"] == status.QUEUED and other.name < name
    return same and (waits or told["state"] == status.RUNNING)


def _pace(job: Job) -> str:
    pace = job.step / max(job.seconds, 1e-9)
    return f"{pace:.1f} steps/s" if pace >= 1 else f"{1 / pace:.1f} s/step"


def _facts(job: Job) -> list[list[str]]:
    """Return what was asked for, as a person reads it."""
    request = job.request
    if request is None:
        return []
    attribute = str(request.fields.get(knobs.ATTRIBUTE, ""))
    facts = {
        "Method": methods.find(request.method).title,
        "Learns": traits.label(attribute) if attribute else "",
        "From": Path(request.data).name,
        "Only": request.only,
        "Added": Path(request.also).name if request.also else "",
        "Started from": request.parent or "nothing",
        "Pictures": f"{request.batch_size} per step, {request.size} × {request.size} pixels",  # noqa: RUF001
    }
    return [[name, value] for name, value in facts.items() if value]


def _offered(job: Job) -> list[str]:
    verbs = list(_OFFERED.get(job.state, ()))
    saved = (jobs.folder_of(job.name) / STATE_CARD).is_file()
    if job.request is None:
        # Without its request it can neither go on nor end.
        return [verb for verb in verbs if verb == "delete"]
    return [verb for verb in verbs if verb != "finish" or saved or job.state == status.RUNNING]


def _rows(job: Job) -> list[str]:
    """Name the rows of a job's sample sheets; none where its method draws none."""
    if job.request is None:
        return []
    able = methods.find(job.request.method).operations
    if Operation.SWAP in able:
        return list(_SWAP_ROWS)
    return list(_BETWEEN_ROWS) if Operation.INTERPOLATE in able else []


def _news(name: str, place: int) -> dict[str, Any]:
    """Return a job's losses behind a place, as columns of numbers."""
    lines, end, anew = jobs.news(name, place)
    terms = dict.fromkeys(
        key
        for line in lines
        for key, value in line.items()
        if key not in ("step", "seconds") and _is_number(value)
    )
    return {
        "place": end,
        "anew": anew,
        "steps": [line["step"] for line in lines],
        "terms": {
            key: [_short(line[key]) if _is_number(line.get(key)) else None for line in lines]
            for key in terms
        },
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def sheet(context: Context, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return one sample sheet of a job: ``name``, and ``step`` of the sheet."""
    del context
    step = int(data["step"])
    file = sheet_file(str(data["name"]), step)
    return {"step": step, "src": uri_of(file.read_bytes(), "image/png")}


def sheet_file(name: str, step: int) -> Path:
    """Return where a sample sheet of a job is.

    Raises:
        TrainingError: There is no such job or sheet.
    """
    there = dict(jobs.sheets(name))
    if step not in there:
        raise TrainingError(f"There is no sample sheet of step {step}.")
    return there[step]


def act(context: Context, data: Mapping[str, Any]) -> dict[str, Any]:
    """Do what a button says, ``verb``, with the job ``name``."""
    del context
    verb = str(data["verb"])
    if verb not in _VERBS:
        raise ConfigError(f"A job cannot be asked to {verb}.")
    _VERBS[verb][1](str(data["name"]))
    return {}


# On to other tabs.


def pictures(context: Context, name: str) -> tuple[str, list[Seat]]:
    """Seat two pictures that a job did not learn from, where it kept some.

    Returns:
        The model that it made; a picture without what was learnt, and one with it.

    Raises:
        StudioError: The model or the data is gone.
    """
    job = jobs.read(name)
    card = _card(context, job)
    if card is None or job.request is None:
        raise TrainingError(f"The job {name} has made no model that is still there.")
    data = open_set(Path(job.request.data))
    attribute = str(card.config.get(knobs.ATTRIBUTE, ""))
    for part in (data.part("test"), data.part("validation"), data):
        with_it, without = pick(part, attribute, 1)
        if len(with_it) and len(without):
            return card.name, _seated(part, int(without[0]), int(with_it[0]))
    raise TrainingError(f"{data.name} has no two pictures to open.")


def _seated(data: DataSet, *rows: int) -> list[Seat]:
    return [seat_row(data, row) for row in rows]
