"""Jobs and servers that are killed: is a run lost, and does it go on bit for bit?

    python benchmarks/killing.py [--steps 1500] [--seed 0]

A job is started through the HTTP API of a served page. Its process is killed with SIGKILL at five
random moments and resumed through the API each time; the server is killed at two and started anew.
The finished weights and the losses of every step are compared with those of the same request that
nobody disturbed. Exits with status 1 where anything differs.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from gradio_client import Client
from page import free_port, wait_for

from studio import jobs, paths
from studio.render.heads import write_set
from studio.training.request import TrainRequest
from studio.training.run import run
from studio.training.saves import CARD, STATE
from studio.training.status import PROGRESS, read_lines, read_status

CHILD, SERVER = 5, 2


def main() -> int:
    """Print the moments and what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LATENT_STUDIO_HOME"] = str(Path(folder) / "home")
        return disturb(options, Path(folder))


def disturb(options: argparse.Namespace, folder: Path) -> int:
    """Kill, resume and compare."""
    rng = random.Random(options.seed)
    write_set(paths.data() / "heads", 200, 32, 0)
    server = Server()
    name = server.call(
        "/train",
        method="genegan",
        tag="killed",
        data="heads",
        fields={"recipe": "hinge", "width": 16, "attribute": "Eyeglasses"},
        steps=options.steps,
        batch_size=16,
        size=32,
        save_every=20,
        device="cpu",
    )
    run_folder = paths.runs() / name
    moments = ["process"] * CHILD + ["server"] * SERVER
    rng.shuffle(moments)
    for number, moment in enumerate(moments):
        # Somewhere in the next part of the run, also in the middle of a save.
        aim = options.steps * (number + rng.random()) / (len(moments) + 1)
        wait_until(name, aim)
        time.sleep(2 * rng.random())
        step = jobs.read(name).step
        if moment == "server":
            server.kill()
            server = Server()
            told = server.call("/job", name=name)
            print(f"server killed at step {step}: the job is {told['state']}")
        else:
            os.kill(read_status(run_folder)["pid"], signal.SIGKILL)
            while jobs.read(name).is_live:
                time.sleep(0.02)
            saved = json.loads((run_folder / CARD).read_text())["step"] if step else 0
            server.call("/job_resume", name=name)
            print(f"process killed at step {step}: resumed from {saved}")
    while jobs.read(name).is_live:
        time.sleep(0.2)
    server.kill()
    done = jobs.read(name)
    print(f"the job {done.state} at step {done.step} {done.error}".rstrip())
    return int(not same_as_undisturbed(run_folder, folder, done.request))


def wait_until(name: str, step: float) -> None:
    """Wait until a job has come to a step."""
    while (job := jobs.read(name)).step < step:
        if not job.is_live:
            raise RuntimeError(f"The job {job.state}: {job.error}")
        time.sleep(0.02)


def same_as_undisturbed(killed: Path, folder: Path, request: TrainRequest | None) -> bool:
    """Run the request once more in peace and compare everything."""
    if request is None:
        return False
    quiet = folder / "quiet"
    run(replace(request, tag="quiet"), quiet)
    one, two = (read_lines(place / PROGRESS) for place in (killed, quiet))
    for line in (*one, *two):
        line.pop("seconds")
    states = [sorted(place.glob(f"*.{STATE}"))[-1].read_bytes() for place in (killed, quiet)]
    losses, weights = one == two, states[0] == states[1]
    print(f"losses of {len(two)} steps   {'equal' if losses else 'DIFFERENT'}")
    print(f"state of the last save {'equal, bit for bit' if weights else 'DIFFERENT'}")
    return losses and weights


class Server:
    """A served page, in a process of its own."""

    def __init__(self) -> None:
        """Start it."""
        port = free_port()
        command = [sys.executable, "app.py", "--port", str(port)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, cwd=paths.REPOSITORY, **quiet)
        wait_for(port)
        self._client = Client(f"http://127.0.0.1:{port}", verbose=False)

    def call(self, endpoint: str, **values: Any) -> Any:
        """Ask the API."""
        return self._client.predict(**values, api_name=endpoint)

    def kill(self) -> None:
        """End it without a word."""
        self._process.kill()
        self._process.wait()


if __name__ == "__main__":
    sys.exit(main())
