"""The verb ``jobs``: training that goes on by itself."""

import argparse
import math
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from studio.cli.base import DONE, SKIPPED, Outcome, Verbs, add_verb, say
from studio.cli.learning import add_changes, add_request_options, changed_request, read_request

if TYPE_CHECKING:
    from studio.jobs import Job

# Seconds between two looks at a job that is watched.
_PAUSE = 1.0


def add_jobs(verbs: Verbs) -> None:
    """Add ``jobs submit``, ``list``, ``show`` and what can be done with a job."""
    parser = verbs.add_parser("jobs", help="Train in the background.")
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="VERB")
    begin = add_verb(kinds, "submit", submit, "Start a training job, or queue it.")
    add_request_options(begin)
    add_verb(kinds, "list", list_jobs, "List all jobs.")
    for name, run, text in (
        ("show", show, "Show a job, and the end of its log if it failed."),
        ("watch", watch, "Print how a job goes on until it ends."),
        ("stop", stop, "Pause a running job after a save, or cancel a waiting one."),
        ("resume", resume, "Let a job go on where its last save stands."),
        ("save", save, "Let a running job save before its next step."),
        ("sample", sample, "Let a running job draw a sample sheet before its next step."),
        ("finish", finish, "End a job where it is and make a checkpoint of it."),
        ("delete", delete, "Delete a job; its checkpoint stays."),
        ("clone", clone, "Start a job like another one, with changes."),
    ):
        verb = add_verb(kinds, name, run, text)
        verb.add_argument("name", help="of the job, as list shows it")
        if name == "clone":
            add_changes(verb)


def submit(options: argparse.Namespace) -> Outcome:
    """Start a job."""
    from studio import jobs

    name = jobs.submit(read_request(options))
    return Outcome({"job": name}, f"Started the job {name}.")


def clone(options: argparse.Namespace) -> Outcome:
    """Start a job like another one."""
    from studio import jobs
    from studio.errors import ConfigError

    job = jobs.read(options.name)
    if job.request is None:
        raise ConfigError(f"The job {job.name} cannot be cloned. {job.error}")
    name = jobs.submit(changed_request(asdict(job.request), options))
    return Outcome({"job": name}, f"Started the job {name}.")


def list_jobs(options: argparse.Namespace) -> Outcome:
    """List all jobs, the oldest first."""
    from studio import jobs

    del options
    found = jobs.jobs()
    lines = [_line(job) for job in found] or ["There are no jobs."]
    return Outcome({"jobs": [job.to_dict() for job in found]}, "\n".join(lines))


def _line(job: "Job") -> str:
    steps = f"of {job.request.steps}" if job.request else ""
    left = "" if math.isnan(job.left) or not job.is_live else f", {job.left / 60:.0f} min left"
    return f"{job.name}  {job.state or 'starting'}, step {job.step} {steps}{left}"


def show(options: argparse.Namespace) -> Outcome:
    """Show one job."""
    from studio import jobs
    from studio.training.status import FAILED

    job = jobs.read(options.name)
    sheets = [str(path) for _, path in jobs.sheets(options.name)]
    log = jobs.log_tail(options.name) if job.state == FAILED else ""
    lines = [_line(job), *(f"  {name}: {value:.4g}" for name, value in (job.terms or {}).items())]
    lines += [f"  {text}" for text in (*job.notes, job.error, job.checkpoint) if text]
    if sheets:
        lines.append(f"  {len(sheets)} sample sheets, the latest: {sheets[-1]}")
    return Outcome(
        {**job.to_dict(), "sheets": sheets, "log": log},
        "\n".join([*lines, *([log] if log else [])]),
    )


def watch(options: argparse.Namespace) -> Outcome:
    """Print a job's progress until it ends; one that failed gives status 1."""
    from studio import jobs
    from studio.training.status import FAILED

    told, notes = "", 0
    while True:
        job = jobs.read(options.name)
        for note in job.notes[notes:]:
            say(note)
        notes = len(job.notes)
        if (line := _progress(job)) != told:
            say(line)
            told = line
        if not job.is_live:
            break
        time.sleep(_PAUSE)
    text = f"The job {job.name} is {job.state}. {job.error or job.checkpoint}".strip()
    return Outcome(job.to_dict(), text, status=SKIPPED if job.state == FAILED else DONE)


def _progress(job: "Job") -> str:
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in (job.terms or {}).items())
    return f"{_line(job)}{f': {numbers}' if numbers else ''}"


def _done(options: argparse.Namespace, work: Any, words: str) -> Outcome:
    """Do something with a job and say so."""
    work(options.name)
    return Outcome({"job": options.name}, f"The job {options.name} {words}.")


def stop(options: argparse.Namespace) -> Outcome:
    """Stop a job."""
    from studio import jobs

    return _done(options, jobs.stop, "stops after its next save")


def resume(options: argparse.Namespace) -> Outcome:
    """Let a job go on."""
    from studio import jobs

    return _done(options, jobs.resume, "goes on")


def save(options: argparse.Namespace) -> Outcome:
    """Let a job save."""
    from studio import jobs

    return _done(options, jobs.save_now, "saves before its next step")


def sample(options: argparse.Namespace) -> Outcome:
    """Let a job draw samples."""
    from studio import jobs

    return _done(options, jobs.sample_now, "draws samples before its next step")


def finish(options: argparse.Namespace) -> Outcome:
    """End a job with a checkpoint."""
    from studio import jobs

    return _done(options, jobs.finish, "ends where it is and becomes a checkpoint")


def delete(options: argparse.Namespace) -> Outcome:
    """Delete a job."""
    from studio import jobs

    jobs.delete(options.name)
    return Outcome({"deleted": options.name}, f"Deleted the job {options.name}.")
