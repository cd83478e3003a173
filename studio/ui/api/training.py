"""Endpoints that train: what the tab Train does. A job goes on when the call is over."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from studio import intake, jobs
from studio.errors import ConfigError
from studio.ui.api.base import listed, register, whole
from studio.ui.context import Context
from studio.ui.guard import guarded
from studio.ui.sets import received_set
from studio.ui.workshop import checks, sources
from studio.ui.workshop.form import Form, request_of
from studio.ui.workshop.knobs import ATTRIBUTE, FEW_PICTURES
from studio.ui.workshop.sources import key_of, place, take


def build(context: Context) -> None:
    """Register ``/train``, ``/data_check``, ``/data_label``, ``/jobs``, ``/job``, ``/job_...``."""

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
    ) -> str:
        """Start a job on a set of the home, or on an uploaded zip, which becomes one.

        Returns the job's name. ``fields`` are the method's own settings, such as ``attribute``.
        """
        numbers = {"steps": steps, "batch_size": batch_size, "size": size, "seed": seed}
        numbers |= {"save_every": save_every, "patience": patience}
        words = {"method": method, "tag": tag, "parent": parent, "terms": terms}
        words |= {"device": device, "precision": precision}
        return trained(data, upload, words, numbers, fields)

    def data_check(data: str = "", upload: gr.FileData | None = None) -> dict[str, Any]:
        """Look at every picture and label of a set of the home, or of an uploaded zip."""
        return checked(data, upload)

    def data_label(
        data: str, attribute: str, shown: list[str], absent: list[str], name: str = ""
    ) -> str:
        """Mark files of a set as with or without something; returns the name of the marked set."""
        return labelled(data, attribute, shown, absent, name)

    trained, checked = guarded(context, on_train), guarded(context, on_check)
    labelled = guarded(context, on_label)
    register(train, data_check, data_label)
    _build_jobs(context)


def _build_jobs(context: Context) -> None:
    """Register what is done with jobs that are there."""
    found, told = guarded(context, on_jobs), guarded(context, on_job)

    def all_jobs() -> list[dict[str, Any]]:
        """List all jobs, the oldest first."""
        return found()

    def job(name: str) -> dict[str, Any]:
        """Return a job with its losses, the steps of its sample sheets and the end of its log."""
        return told(name)

    all_jobs.__name__ = "jobs"
    register(all_jobs, job, *(_verb(context, name, *of) for name, of in _VERBS.items()))


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
) -> str:
    """Start a job."""
    if fields is not None and not isinstance(fields, dict):
        raise ConfigError(f"fields are settings by name, such as {{'width': 32}}, not {fields!r}.")
    asked = dict(fields or {})
    counts = {name: whole(name, value) for name, value in numbers.items()}
    texts = {name: str(value or "") for name, value in words.items()}
    given: dict[str, Any] = {**texts, **counts}
    form = Form(
        **given,
        attribute=str(asked.pop(ATTRIBUTE, "")),
        few=bool(asked.pop(FEW_PICTURES, False)),
        fields=asked,
    )
    key = take(upload.get("path")) if isinstance(upload, dict) else str(data or "")
    return jobs.submit(request_of(context, key, form, modest=False))


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
    return intake.label(place(str(data or "")), wish, str(attribute), *given).name


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
        told["request"] = {**told["request"], "data": key_of(job.name, job.request.data)}
    return {**told, "checkpoint": Path(job.checkpoint).name, "left": job.left}
