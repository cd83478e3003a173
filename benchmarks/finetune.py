"""From eyeglasses to hats in minutes: a fine-tune on 400 rendered heads, started from the page.

    python benchmarks/finetune.py FOLDER [--steps 2000] [--chromium /usr/bin/chromium]

FOLDER keeps the renders, the judge and the result, so that a second call measures the same again
with less waiting. The judge is an attribute classifier of 2,400 other heads; the swaps that it
judges are of people whom neither it nor the fine-tune was trained on. The clock runs from the click
on "Start training" to the end of the job. Exits with status 1 where it takes longer than ten
minutes or fewer than 80 % of the swaps succeed.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from page import ARGUMENTS, free_port, wait_for
from playwright.sync_api import Page, sync_playwright

from studio import jobs, keeping, paths
from studio.checkpoints import CheckpointStore, ModelCache
from studio.data.folder import open_set
from studio.evaluation import evaluate
from studio.render.heads import write_set
from studio.training.request import TrainRequest
from studio.training.run import run

SIZE = 64
PARENT, ATTRIBUTE, TAG = "genegan.heads-eyeglasses-64", "Wearing_Hat", "hats"
JUDGE = "attributes.hats-judge"
SECONDS, SUCCESS = 600.0, 0.8
SHOWN = ("swap_success", "swap_success_low", "swap_success_high", "removed", "monotonic",
         "kept_reconstruction", "psnr")  # fmt: skip


def main() -> int:
    """Print the numbers, one a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    os.environ["LATENT_STUDIO_HOME"] = str((options.folder / "home").resolve())
    others = options.folder / "others"
    for folder, count, seed in ((paths.data() / "hats", 400, 101), (others, 2400, 202)):
        if not folder.exists():
            write_set(folder, count, SIZE, seed, choices={"hat": [True, False]})
    store = CheckpointStore()
    if JUDGE not in store.names():
        method, _, tag = JUDGE.partition(".")
        asked = TrainRequest(method, tag, str(others), steps=600, size=SIZE, save_every=300)
        run(asked, options.folder / "judge")
    if f"genegan.{TAG}" in store.names():
        keeping.delete(store, f"genegan.{TAG}")
    seconds = train(options.chromium, options.steps)
    judged = open_set(others)
    numbers = evaluate(ModelCache(store), f"genegan.{TAG}", judged, instrument=JUDGE)
    learnt = len(open_set(paths.data() / "hats").part("train"))
    print(f"load of the machine      {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"training pictures        {learnt} of 400")
    print(f"steps                    {store.card(f'genegan.{TAG}').step}")
    print(f"click to checkpoint      {seconds:.0f} s")
    print(f"pairs judged             {numbers['pairs']:.0f}")
    for name in SHOWN:
        print(f"{name:24} {numbers[name]:.4g}")
    return int(seconds > SECONDS or numbers["swap_success"] < SUCCESS)


def train(chromium: str, steps: int) -> float:
    """Start the job in the tab Train as a person does; return the seconds until it is done."""
    port = free_port()
    command = [sys.executable, "app.py", "--port", str(port)]
    server = subprocess.Popen(command, cwd=paths.REPOSITORY, stdout=subprocess.DEVNULL)
    try:
        wait_for(port)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(f"http://127.0.0.1:{port}")
            began = click_start(page, steps)
            browser.close()
        # The page is closed, and the job goes on.
        (name,) = [job.name for job in jobs.jobs() if job.is_live]
        while jobs.read(name).is_live:
            time.sleep(0.5)
        took = time.perf_counter() - began
        done = jobs.read(name)
        if not done.checkpoint:
            raise RuntimeError(f"The job {done.state}: {done.error}")
        jobs.delete(name)
        return took
    finally:
        server.terminate()
        server.wait()


def click_start(page: Page, steps: int) -> float:
    """Choose data, parent, attribute and name, and click; return when."""
    page.wait_for_selector(".ls-stage[data-painted]", timeout=120_000)
    page.get_by_role("tab", name="Train", exact=True).click()
    choose(page, "#train-sets", "hats")
    choose(page, "#train-parent", PARENT)
    choose(page, "#train-attribute", ATTRIBUTE.replace("_", " ").capitalize())
    fill(page, "#train-tag input, #train-tag textarea", TAG)
    fill(page, "#train-steps input", str(steps))
    page.wait_for_timeout(500)
    page.locator("#train-start").click()
    began = time.perf_counter()
    while not any(job.is_live for job in jobs.jobs()):
        if time.perf_counter() - began > 60:
            raise RuntimeError(page.locator(".toast-body").all_inner_texts())
        page.wait_for_timeout(100)
    return began


def choose(page: Page, box: str, words: str) -> None:
    """Choose the first entry of a dropdown that begins with words."""
    page.wait_for_selector(f"{box} input")
    page.locator(f"{box} input").click()
    page.locator("ul[role=listbox] li").filter(has_text=words).first.click()
    page.wait_for_timeout(1500)


def fill(page: Page, box: str, text: str) -> None:
    """Write into a box and leave it."""
    page.locator(box).first.fill(text)
    page.locator(box).first.press("Tab")
    page.wait_for_timeout(800)


if __name__ == "__main__":
    sys.exit(main())
