"""The verb ``jobs``: training that goes on by itself."""

import argparse
import math
from typing import TYPE_CHECKING

from studio.cli.base import Outcome, Verbs, add_verb
from studio.cli.learning import add_request_options, read_request

if TYPE_CHECKING:
    from studio.jobs import Job


def add_jobs(verbs: Verbs) -> None:
    """Add ``jobs submit``, ``list``, ``show``, ``stop``, ``resume`` and ``delete``."""
    parser = verbs.add_parser("jobs", help="Train in the background.")
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="VERB")
    begin = add_verb(kinds, "submit", submit, "Start a training job, or queue it.")
    add_request_options(begin)
    add_verb(kinds, "list", list_jobs, "List all jobs.")
    for name, run, text in (
        ("show", show, "Show a job, and the end of its log if it failed."),
        ("stop", stop, "Pause a running job after a save, or cancel a waiting one."),
        ("resume", resume, "Let a job go on where its last save stands."),
        ("delete", delete, "Delete a job; its checkpoint stays."),
    ):
        add_verb(kinds, name, run, text).add_argument("name", help="of the job, as list shows it")


def submit(options: argparse.Namespace) -> Outcome:
    """Start a job."""
    from studio import jobs

    name = jobs.submit(read_request(options))
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
    lines = [_line(job)]
    lines += [f"  {name}: {value:.4g}" for name, value in (job.terms or {}).items()]
    log = jobs.log_tail(options.name) if job.state == FAILED else ""
    lines += [f"  {text}" for text in (job.error, job.checkpoint) if text]
    return Outcome({**job.to_dict(), "log": log}, "\n".join([*lines, *([log] if log else [])]))


def stop(options: argparse.Namespace) -> Outcome:
    """Stop a job."""
    from studio import jobs

    jobs.stop(options.name)
    return Outcome({"job": options.name}, f"The job {options.name} stops after its next save.")


def resume(options: argparse.Namespace) -> Outcome:
    """Let a job go on."""
    from studio import jobs

    jobs.resume(options.name)
    return Outcome({"job": options.name}, f"The job {options.name} goes on.")


def delete(options: argparse.Namespace) -> Outcome:
    """Delete a job."""
    from studio import jobs

    jobs.delete(options.name)
    return Outcome({"deleted": options.name}, f"Deleted the job {options.name}.")
