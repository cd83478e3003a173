"""Endpoints that train: what the tab Train does. A job goes on when the call is over."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

import gradio as gr

from studio import intake, jobs
from studio.errors import ConfigError, StudioError
from studio.training.request import TrainRequest
from studio.ui.api.base import file_data, listed, register, whole
from studio.ui.context import Context
from studio.ui.guard import guarded
from studio.ui.seats import new_file
from studio.ui.sets import changed, received_set
from studio.ui.workshop import board, checks, estimates, marks, sources
from studio.ui.workshop.form import Form, request_of
from studio.ui.workshop.knobs import ATTRIBUTE, FEW_PICTURES
from studio.ui.workshop.sources import key_of, place, take


def build(context: Context) -> None:
    """Register ``/train...``, ``/data_...``, ``/jobs``, ``/job`` and ``/job_...``."""

    def train(
        method: str,
        tag: str,
        data: str = "",
        upload: gr.FileData | None = None,
        parent: str = "",
        fields: dict[str, Any] | None = None,
        steps: int = 5000,
        batch_size: int = 64,
        size: int = 64,
        seed: int = 0,
        save_every: int = 250,
        patience: int = 0,
        terms: str = "",
        device: str = "auto",
        precision: str = "auto",
        processes: int = 1,
        compile: bool = False,
        only: str = "",
        also: str = "",
    ) -> str:
        """Start a job on a set of the home, or on an uploaded zip, which becomes one.

        Returns the job's name. ``fields`` are the method's own settings, such as ``attribute``;
        ``also`` is another set of the home whose training pictures are added.
        """
        numbers = {"steps": steps, "batch_size": batch_size, "size": size, "seed": seed}
        numbers |= {"save_every": save_every, "patience": patience, "processes": processes}
        words = {"method": method, "tag": tag, "parent": parent, "terms": terms}
        words |= {"device": device, "precision": precision}
        more = {"compile": compile, "only": only, "also": also}
        return trained(data, upload, words, numbers, fields, more)

    def train_estimate(
        method: str,
        data: str,
        parent: str = "",
        fields: dict[str, Any] | None = None,
        steps: int = 5000,
        batch_size: int = 64,
        size: int = 64,
        device: str = "auto",
        precision: str = "auto",
        compile: bool = False,
        only: str = "",
        also: str = "",
    ) -> dict[str, Any]:
        """Measure what ``/train`` would take: ``seconds``, ``bytes`` of memory and more."""
        numbers = {"steps": steps, "batch_size": batch_size, "size": size}
        words = {"method": method, "parent": parent, "device": device, "precision": precision}
        more = {"compile": compile, "only": only, "also": also}
        return estimated(data, words, numbers, fields, more)

    trained, estimated = guarded(context, on_train), guarded(context, on_estimate)
    register(train, train_estimate)
    _build_sets(context)
    _build_jobs(context)


def _build_sets(context: Context) -> None:
    """Register what is done with data sets."""

    def data_check(data: str = "", upload: gr.FileData | None = None) -> dict[str, Any]:
        """Look at every picture and label of a set of the home, or of an uploaded zip."""
        return checked(data, upload)

    def data_label(
        data: str, attribute: str, shown: list[str], absent: list[str], name: str = ""
    ) -> str:
        """Mark files of a set as with or without something; returns the name of the marked set."""
        return labelled(data, attribute, shown, absent, name)

    def data_take(upload: gr.FileData, name: str) -> str:
        """Keep an uploaded zip as a set of the home; returns the set's name."""
        return taken(upload, name)

    def data_align(data: str, name: str) -> dict[str, Any]:
        """Make a copy of a set with all faces in their place; returns what became of each."""
        return aligned(data, name)

    def data_delete(data: str) -> str:
        """Delete a set of the home; returns its name."""
        return deleted(data)

    checked, labelled = guarded(context, on_check), guarded(context, on_label)
    taken, aligned = guarded(context, on_take), guarded(context, on_align)
    deleted = guarded(context, on_delete)
    register(data_check, data_label, data_take, data_align, data_delete)


def _build_jobs(context: Context) -> None:
    """Register what is done with jobs that are there."""
    found, told = guarded(context, on_jobs), guarded(context, on_job)
    cloned, drawn = guarded(context, on_clone), guarded(context, on_sheet)

    def all_jobs() -> list[dict[str, Any]]:
        """List all jobs, the oldest first."""
        return found()

    def job(name: str) -> dict[str, Any]:
        """Return a job with its losses, the steps of its sample sheets and the end of its log."""
        return told(name)

    def job_clone(name: str, tag: str, changes: dict[str, Any] | None = None) -> str:
        """Start what a job was asked once more under another tag; returns the new job's name.

        ``changes`` are arguments of ``/train`` with other values; of ``fields``, only those named.
        """
        return cloned(name, tag, changes)

    def job_sheet(name: str, step: int) -> gr.FileData:
        """Return a sample sheet of a job, a PNG; ``/job`` names the steps that have one."""
        return drawn(name, step)

    all_jobs.__name__ = "jobs"
    register(all_jobs, job, job_clone, job_sheet)
    register(*(_verb(context, name, *of) for name, of in _VERBS.items()))


_VERBS: Mapping[str, tuple[Callable[[str], None], str]] = {
    "job_stop": (jobs.stop, "Pause a running job after a save, or cancel a waiting one."),
    "job_resume": (jobs.resume, "Let a job go on where its last save stands."),
    "job_save": (jobs.save_now, "Let a running job save before its next step."),
    "job_sample": (jobs.sample_now, "Let a running job draw samples before its next step."),
    "job_finish": (jobs.finish, "End a job where it is and make a checkpoint of it."),
    "job_delete": (jobs.delete, "Delete a job; its checkpoint stays."),
}


def _verb(
    context: Context, name: str, work: Callable[[str], None], text: str
) -> Callable[[str], str]:
    """Return an endpoint that does something with a job and returns the job's name."""

    def carry_out(context: Context, job: str) -> str:
        del context
        work(str(job))
        return str(job)

    done = guarded(context, carry_out)

    def endpoint(name: str) -> str:
        return done(name)

    endpoint.__name__, endpoint.__doc__ = name, text
    return endpoint


def on_train(
    context: Context,
    data: str,
    upload: Any,
    words: Mapping[str, Any],
    numbers: Mapping[str, Any],
    fields: Any,
    more: Mapping[str, Any],
) -> str:
    """Start a job; an upload whose training is refused is not kept."""
    if not isinstance(upload, dict):
        return jobs.submit(_request(context, str(data or ""), words, numbers, fields, more))
    key = take(upload.get("path"))
    try:
        return jobs.submit(_request(context, key, words, numbers, fields, more))
    except StudioError:
        intake.delete(key)
        raise


def _request(
    context: Context,
    key: str,
    words: Mapping[str, Any],
    numbers: Mapping[str, Any],
    fields: Any,
    more: Mapping[str, Any],
) -> TrainRequest:
    """Return what is asked of a data set."""
    asked = dict(_settings(fields))
    counts = {name: whole(name, value) for name, value in numbers.items()}
    texts = {name: str(value or "") for name, value in words.items()}
    given: dict[str, Any] = {**texts, **counts}
    form = Form(
        **given,
        compile=bool(more["compile"]),
        attribute=str(asked.pop(ATTRIBUTE, "")),
        few=bool(asked.pop(FEW_PICTURES, False)),
        fields=asked,
    )
    request = request_of(context, key, form, modest=False)
    also = str(place(str(more["also"]))) if more["also"] else ""
    made = replace(request, only=str(more["only"] or ""), also=also)
    made.check()
    return made


def _settings(fields: Any) -> Mapping[str, Any]:
    if fields is not None and not isinstance(fields, dict):
        raise ConfigError(f"fields are settings by name, such as {{'width': 32}}, not {fields!r}.")
    return fields or {}


def on_estimate(
    context: Context,
    data: str,
    words: Mapping[str, Any],
    numbers: Mapping[str, Any],
    fields: Any,
    more: Mapping[str, Any],
) -> dict[str, Any]:
    """Measure what a job would take."""
    tagged = {**words, "tag": "estimate"}
    request = _request(context, str(data or ""), tagged, numbers, fields, more)
    return asdict(estimates.measured(context, request))


def on_clone(context: Context, name: str, tag: str, changes: Any) -> str:
    """Start a job like another one."""
    del context
    job = jobs.read(str(name))
    if job.request is None:
        raise ConfigError(f"{job.name} cannot be cloned. {job.error}")
    if changes is not None and not isinstance(changes, dict):
        raise ConfigError(f"changes are arguments by name, such as {{'seed': 1}}, not {changes!r}.")
    given = {one: _change(job.request, one, value) for one, value in (changes or {}).items()}
    return jobs.submit(replace(job.request, **{**given, "tag": str(tag or "")}))


def _change(request: TrainRequest, name: str, value: Any) -> Any:
    """Return the value of an argument that is changed, of its kind."""
    now = getattr(request, name, None) if name in _CHANGED else None
    if now is None:
        raise ConfigError(f"A clone can change {', '.join(_CHANGED)}, and no {name!r}.")
    if name == "fields":
        return {**now, **_settings(value)}
    if isinstance(now, bool):
        return bool(value)
    if isinstance(now, int):
        return whole(name, value)
    return str(place(str(value))) if name in ("data", "also") and value else str(value or "")


_CHANGED = [one.name for one in dataclass_fields(TrainRequest) if one.name not in ("method", "tag")]


def on_sheet(context: Context, name: str, step: Any) -> dict[str, Any]:
    """Hand out a sample sheet."""
    del context
    made = new_file("samples.png")
    shutil.copyfile(board.sheet_file(str(name), whole("step", step)), made)
    return file_data(made)


def on_take(context: Context, upload: Any, name: str) -> str:
    """Keep an upload."""
    del context
    source = received_set(upload.get("path") if isinstance(upload, dict) else None)
    return intake.take_in(source, str(name or "")).name


def on_align(context: Context, data: str, name: str) -> dict[str, Any]:
    """Align the faces of a set."""
    made = intake.align(
        place(str(data or "")), str(name or ""), lambda done, total: None, lambda: False,
        context.refine,
    )  # fmt: skip
    changed(made.output)
    return {**made.to_dict(), "output": made.output.name}


def on_delete(context: Context, data: str) -> str:
    """Delete a set."""
    del context
    return marks.delete(str(data or ""))


def on_check(context: Context, data: str, upload: Any) -> dict[str, Any]:
    """Check a set; an upload is looked at where it is."""
    if isinstance(upload, dict):
        report = intake.check(received_set(upload.get("path")), context.refine)
    else:
        report = checks.check(context, str(data or ""))
    return report.to_dict()


def on_label(
    context: Context, data: str, attribute: str, shown: Any, absent: Any, name: str
) -> str:
    """Mark files of a set of the home."""
    given = [[str(file) for file in listed(files or [])] for files in (shown, absent)]
    wish = str(name or "") or sources.free_name(f"{Path(data).stem}-{attribute}")
    made = intake.label(place(str(data or "")), wish, str(attribute), *given)
    changed(made)
    return made.name


def on_jobs(context: Context) -> list[dict[str, Any]]:
    """Describe all jobs."""
    del context
    return [_told(job) for job in jobs.jobs()]


def on_job(context: Context, name: str) -> dict[str, Any]:
    """Describe one job."""
    del context
    job = jobs.read(str(name))
    return {
        **_told(job),
        "history": jobs.history(job.name),
        "sheets": [step for step, _ in jobs.sheets(job.name)],
        "log": jobs.log_tail(job.name),
    }


def _told(job: jobs.Job) -> dict[str, Any]:
    """Describe a job without the folders of the machine."""
    told = job.to_dict()
    if job.request is not None:
        sets = {"data": key_of(job.name, job.request.data), "also": Path(job.request.also).name}
        told["request"] |= sets
    return {**told, "checkpoint": Path(job.checkpoint).name, "left": job.left}
