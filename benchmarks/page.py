"""Measure the page: time to ready, slider drags to painted previews, memory.

    python benchmarks/page.py [--drags 60] [--training] [--chromium /usr/bin/chromium]

It needs a checkpoint that can swap, Chromium, playwright and psutil. Everything is on loopback.
With --training the same is measured while a job trains on the same device.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import psutil
from playwright.sync_api import Page, TimeoutError, sync_playwright

from studio import images, jobs, paths
from studio.training.request import TrainRequest

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Notes when a slider's value is set and when the stage has painted that value.
WATCH = """(selector) => {
  const stage = document.querySelector(selector);
  window.painted = {};
  new MutationObserver(() => {
    const value = stage.dataset.painted;
    requestAnimationFrame(() => { window.painted[value] ??= performance.now(); });
  }).observe(stage, { attributes: true, attributeFilter: ["data-painted"] });
}"""
DRAG = """async ([selector, moves, pause]) => {
  const slider = document.querySelector(selector);
  const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
  const times = [];
  for (const [value, serial] of moves) {
    window.painted = {};
    const start = performance.now();
    set.call(slider, value);
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    while (!window.painted[serial] && performance.now() - start < 5000) {
      await new Promise((done) => setTimeout(done, 1));
    }
    times.push(window.painted[serial] - start);
    await new Promise((done) => setTimeout(done, pause));
  }
  return times;
}"""
EXAMPLE = paths.ASSETS / "heads.zip"
STRENGTH = "#strength input[type=range]"
SLIDER = '#face-sliders .ls-slider[data-name="Eyeglasses"] .ls-range'


def main() -> None:
    """Print the page's numbers, one a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drags", type=int, default=60)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--training", action="store_true", help="while a job trains")
    options = parser.parse_args()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False"}
    start = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port)],
        cwd=paths.REPOSITORY,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(port)
        print(f"load of the machine            {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        print(f"page answers after             {time.perf_counter() - start:.1f} s")
        with training() if options.training else nullcontext(), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=options.chromium, args=ARGUMENTS)
            measure(browser.new_page(viewport={"width": 1440, "height": 900}), url, options.drags,
                    psutil.Process(server.pid), start)  # fmt: skip
            browser.close()
    finally:
        server.terminate()
        server.wait()


@contextmanager
def training() -> Iterator[None]:
    """Let a job train all the while, and say how fast it was."""
    request = TrainRequest(
        "genegan",
        f"benchmark-{os.getpid()}",
        str(EXAMPLE),
        fields={"attribute": "Wearing_Hat"},
        parent="genegan.heads-eyeglasses-64",
        steps=10**6,
        batch_size=32,
    )
    name = jobs.submit(request)
    try:
        while not jobs.read(name).step:
            if not jobs.read(name).is_live:
                raise RuntimeError(jobs.read(name).error)
            time.sleep(0.2)
        yield
        done = jobs.read(name)
        print(f"the job took meanwhile         {done.step} steps in {done.seconds:.0f} s")
    finally:
        jobs.stop(name)
        while jobs.read(name).is_live:
            time.sleep(0.2)
        jobs.delete(name)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    """Wait until the port takes connections."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return


def measure(page: Page, url: str, drags: int, server: psutil.Process, start: float) -> None:
    """Measure the first screen, the drags and the memory."""
    page.goto(url)
    page.wait_for_selector(".ls-stage[data-painted]", timeout=120_000)
    print(f"first screen painted after     {time.perf_counter() - start:.1f} s with the browser")
    page.evaluate(WATCH, ".ls-stage")
    strengths = [f"{0.2 + 0.01 * index:.2f}" for index in range(drags)]
    drag(page, "drag to painted preview", STRENGTH, [(value, value) for value in strengths])
    print(f"resident memory                {megabytes(server.memory_info().rss)}")
    large_photo(page, server)
    attributes(page, drags)


def drag(page: Page, name: str, selector: str, moves: list[tuple[str, str]]) -> None:
    """Move a slider to values and wait for the serials that tell that they are painted."""
    page.evaluate(DRAG, [selector, moves[:5], 50])
    times = sorted(page.evaluate(DRAG, [selector, moves, 30]))
    high = times[min(len(times) - 1, round(0.95 * len(times)))]
    print(f"{name:30} median {statistics.median(times):.0f} ms, "
          f"95th percentile {high:.0f} ms, {len(times)} drags")  # fmt: skip


def attributes(page: Page, drags: int) -> None:
    """Measure the sliders of a face, where there is a checkpoint that has some."""
    start = time.perf_counter()
    page.get_by_role("tab", name="Attributes").click()
    try:
        page.wait_for_selector(SLIDER, timeout=20_000)
    except TimeoutError:
        print("attribute sliders              not measured: no checkpoint has them")
        return
    page.wait_for_selector('#face-stage .ls-stage[data-painted="begun"]')
    count = page.locator("#face-sliders .ls-slider").count()
    print(f"{count} sliders are there after     {time.perf_counter() - start:.1f} s")
    page.evaluate(WATCH, "#face-stage .ls-stage")
    moves = [(str(20 + index % 70), f"Eyeglasses {(20 + index % 70) / 100:.3f}")
             for index in range(drags)]  # fmt: skip
    drag(page, "attribute drag to preview", SLIDER, moves)


def large_photo(page: Page, server: psutil.Process) -> None:
    """Upload a 50-megapixel photograph, edit and save it, and report the server's peak."""
    before, peak, working = server.memory_info().rss, 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not working.is_set():
            peak = max(peak, server.memory_info().rss)
            time.sleep(0.01)

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "large.jpg"
        coarse = np.random.default_rng(0).integers(0, 255, (60, 82, 3), np.uint8)
        file.write_bytes(images.encode_jpeg(images.resize(coarse, (8160, 6120)), 80))
        watcher = threading.Thread(target=watch)
        watcher.start()
        page.set_input_files("#drop-receiver .ls-file", file)
        place = "#drop-receiver .ls-drop"
        page.wait_for_selector(f'{place}[data-doubtful="true"]', timeout=120_000)
        page.locator("#drop-receiver .ls-confirm").click()
        page.wait_for_selector(f'{place}[data-doubtful="false"]', timeout=120_000)
        with page.expect_download(timeout=300_000) as started:
            page.locator("#save").click()
        started.value.path()
        working.set()
        watcher.join()
    after = server.memory_info().rss
    print(f"50-megapixel photo             {megabytes(peak - before)} more at the peak, "
          f"{megabytes(after - before)} more afterwards")  # fmt: skip


def megabytes(count: int) -> str:
    """Return bytes in words."""
    return f"{count / 2**20:.0f} MB"


if __name__ == "__main__":
    main()
