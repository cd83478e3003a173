"""Measure interpolation: a 9 x 9 grid, and the dot on the pad to the painted picture.

    python benchmarks/interpolation.py [--model aeai.pole-64] [--moves 60] [--chromium PATH]

The grid needs a checkpoint; the pad needs Chromium and playwright too. Everything is on loopback.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time

import torch
from page import ARGUMENTS, wait_for
from playwright.sync_api import Page, sync_playwright

from studio import editing, interpolation, paths
from studio.checkpoints import CheckpointStore, ModelCache
from studio.faces.align import Alignment
from studio.images import to_pictures
from studio.methods.base import Operation

# Moves the pointer on the pad, and waits until the picture of that place is painted.
DRAG = """async ([count, pause]) => {
  const root = document.querySelector(".ls-morph");
  const pad = root.querySelector(".ls-pad");
  pad.scrollIntoView();
  const box = pad.getBoundingClientRect();
  let painted = null;
  new MutationObserver(() => requestAnimationFrame(() => { painted = performance.now(); }))
    .observe(root, { attributes: true, attributeFilter: ["data-painted"] });
  const send = (kind, x, y) => pad.dispatchEvent(new PointerEvent(kind, {
    pointerId: 1, clientX: box.left + x * box.width, clientY: box.top + y * box.height,
    bubbles: true, cancelable: true,
  }));
  pad.setPointerCapture = () => {};
  send("pointerdown", 0.2, 0.2);
  const times = [];
  for (let index = 0; index < count; index++) {
    painted = null;
    const start = performance.now();
    send("pointermove", 0.3 + (0.4 * index) / count, 0.35 + 0.3 * ((index * 7) % 11) / 11);
    while (painted === null && performance.now() - start < 5000) {
      await new Promise((done) => setTimeout(done, 1));
    }
    times.push(painted - start);
    await new Promise((done) => setTimeout(done, pause));
  }
  send("pointerup", 0.7, 0.5);
  return times;
}"""


def main() -> None:
    """Print the numbers, one a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="by default the first one that interpolates")
    parser.add_argument("--moves", type=int, default=60)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    print(f"load of the machine            {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    store = CheckpointStore()
    grid(options.model or store.names(Operation.INTERPOLATE)[0], store)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port)],
        cwd=paths.REPOSITORY,
        env={**os.environ, "GRADIO_ANALYTICS_ENABLED": "False"},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(port)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=options.chromium, args=ARGUMENTS)
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            drag(page, f"http://127.0.0.1:{port}", options.moves)
            browser.close()
    finally:
        server.terminate()
        server.wait()


def grid(checkpoint: str, store: CheckpointStore, side: int = 9, repeats: int = 20) -> None:
    """Time the decode of a grid, latents to images, in one batch."""
    models = ModelCache(store)
    size = store.card(checkpoint).spec.size
    pictures = to_pictures(torch.rand(4, 3, size, size) * 2 - 1)
    whole = Alignment.whole(size, size)
    corners = [editing.encode(models, checkpoint, one, whole) for one in pictures]
    places = editing.grid_places(side)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        interpolation.decode(models, checkpoint, corners, places, interpolation.BILINEAR)
        times.append(1000 * (time.perf_counter() - start))
    print(f"{side} x {side} grid of {size} pixels       median {statistics.median(times):.0f} ms, "
          f"best {min(times):.0f} ms, {checkpoint}, {torch.get_num_threads()} threads")  # fmt: skip


def drag(page: Page, url: str, moves: int) -> None:
    """Time the way from the pointer to the pixels."""
    page.goto(url)
    page.wait_for_selector(".ls-stage[data-painted]", timeout=120_000)
    start = time.perf_counter()
    page.get_by_role("tab", name="Interpolate").click()
    page.wait_for_selector(".ls-morph[data-painted]", timeout=120_000)
    print(f"tab opened with its example    {time.perf_counter() - start:.1f} s")
    page.locator("#walk-examples button").first.click()
    page.wait_for_selector('.ls-morph[data-mode="square"]', timeout=120_000)
    page.evaluate(DRAG, [10, 30])
    times = sorted(page.evaluate(DRAG, [moves, 30]))
    high = times[min(len(times) - 1, round(0.95 * len(times)))]
    print(f"pointer to painted picture     median {statistics.median(times):.0f} ms, "
          f"95th percentile {high:.0f} ms, {moves} moves")  # fmt: skip


if __name__ == "__main__":
    main()
