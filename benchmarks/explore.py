"""How fast maps are drawn and how smoothly they move; ratios and rates of one run.

``python benchmarks/explore.py encode SET``: latents of a set by a GeneGAN encoder of width 48, in a
stream, against one picture after another.

``python benchmarks/explore.py tsne SET [COUNT]``: t-SNE of those latents' first 50 components,
against scikit-learn's, with the divergence of both.

``python benchmarks/explore.py page``: pan, zoom and hover in headless Chromium with 50,000 points,
and what a set of 200,000 pictures does. Needs Chromium; nothing else runs on the machine, or the
numbers say little.
"""

import io
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from studio import images, paths
from studio.checkpoints import Card, CheckpointStore, ModelCache
from studio.data.batch import DataSpec
from studio.data.folder import DataSet, open_set
from studio.explore.charting import MapRequest, chart
from studio.explore.encoding import encode_set
from studio.explore.projection import fit_tsne
from studio.methods import METHODS
from studio.nn.blocks import initialize

MOST = 20_000
WIDTH, SIZE = 48, 64
POINTS, MANY = 50_000, 200_000
CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


def save_encoder(width: int, size: int, tag: str) -> str:
    """Save an untrained GeneGAN among the person's own; its speed is that of a trained one."""
    entry, spec = METHODS["genegan"], DataSpec(size, "celeba", ("Eyeglasses",))
    config = entry.config.from_dict({**entry.tiny.to_dict(), "width": width})
    torch.manual_seed(0)
    model = entry.model(config, spec)
    initialize(model, 0.2)
    card = Card(f"genegan.{tag}", "genegan", config.to_dict(), spec.to_dict(), step=0)
    CheckpointStore.save(paths.user_checkpoints(), card, model.state_dict(), {})
    return card.name


def some(data: DataSet, most: int) -> DataSet:
    """Return at most so many pictures of a set."""
    return data.select(np.arange(min(most, len(data))))


def silent(*values: object) -> None:
    """Take progress and say nothing."""


def encode(location: Path) -> None:
    """Compare a stream with a plain loop."""
    data, models = some(open_set(location), MOST), ModelCache(CheckpointStore())
    name = save_encoder(WIDTH, SIZE, "wide")
    loaded = models.get(name)
    # Both begin with warm kernels.
    warm = torch.zeros(64, 3, SIZE, SIZE)
    with torch.inference_mode():
        loaded.model.encode(warm)
        loaded.model.encode(warm[:1])
    began = time.perf_counter()
    codes = encode_set(models, name, data, silent, lambda: False)
    stream = len(codes) / (time.perf_counter() - began)
    plain, began = 2000, time.perf_counter()
    with torch.inference_mode():
        for _, content in zip(range(plain), data.contents(), strict=False):
            loaded.model.encode(images.to_images(np.array(data.decode(content, SIZE))))
    loop = plain / (time.perf_counter() - began)
    began = time.perf_counter()
    encode_set(models, name, data, silent, lambda: False)
    again = time.perf_counter() - began
    print(f"{len(codes)} pictures, {torch.get_num_threads()} threads")
    print(
        f"stream {stream:.0f} images/s, one by one {loop:.0f} images/s: {stream / loop:.2f} times"
    )
    print(f"the second time {again:.2f} s")


def tsne(location: Path, count: int) -> None:
    """Compare two implementations on the same components."""
    from openTSNE.affinity import PerplexityBasedNN
    from sklearn.manifold import TSNE

    data, models = some(open_set(location), count), ModelCache(CheckpointStore())
    name = save_encoder(WIDTH, SIZE, "wide")
    scores = chart(models, MapRequest(name, most=max(1, len(data))), data).scores
    jobs = os.cpu_count() or 1
    print(f"{len(scores)} pictures, {jobs} threads", flush=True)
    began = time.perf_counter()
    ours = fit_tsne(scores, 2, 30.0, 0, silent, jobs)
    own = time.perf_counter() - began
    began = time.perf_counter()
    theirs = TSNE(2, perplexity=30, init="pca", random_state=0, n_jobs=jobs).fit_transform(scores)
    other = time.perf_counter() - began
    # Both report an estimate, each its own.
    similar = PerplexityBasedNN(scores, perplexity=30, method="exact", n_jobs=jobs).P.tocoo()
    left, rest = divergence(similar, ours.points), divergence(similar, theirs)
    print(f"openTSNE {own:.1f} s, divergence {left:.4f}")
    print(f"scikit-learn {other:.1f} s, divergence {rest:.4f}")
    print(f"{other / own:.1f} times as fast, divergence {left / rest - 1:+.1%}")


def divergence(similar: Any, points: np.ndarray) -> float:
    """Return the Kullback-Leibler divergence of a map, without approximation.

    Args:
        similar: Sparse matrix of the similarities that t-SNE is to keep, in coordinate form.
        points: (N, 2).
    """
    exact = np.asarray(points, np.float64)
    total = -float(len(exact))
    for start in range(0, len(exact), 500):
        far = np.square(exact[start : start + 500, None] - exact[None]).sum(axis=2)
        total += (1 / (1 + far)).sum()
    near = np.square(exact[similar.row] - exact[similar.col]).sum(axis=1)
    return float((similar.data * np.log(similar.data * (1 + near) * total)).sum())


def write_many(target: Path, count: int) -> None:
    """Write a set of small smooth pictures, as a zip with an attribute."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(target, "w") as archive:
        lines = ["file,Bright,partition"]
        for number in range(count):
            coarse = rng.integers(0, 256, (3, 3, 3), np.uint8)
            held = io.BytesIO()
            Image.fromarray(coarse).resize((32, 32), Image.Resampling.BILINEAR).save(held, "JPEG")
            archive.writestr(f"{number:06d}.jpg", held.getvalue())
            lines.append(f"{number:06d}.jpg,{int(coarse.mean() > 127)},0")
        archive.writestr("attributes.csv", "\n".join(lines) + "\n")


@contextmanager
def served() -> Iterator[str]:
    """Serve the page as a process and give its address."""
    command = [sys.executable, "app.py", "--port", "7931", "--device", "cpu"]
    process = subprocess.Popen(command, cwd=paths.REPOSITORY, stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout or ():
            if "Running on local URL" in line:
                yield line.split()[-1].rstrip("/")
                break
    finally:
        process.terminate()


_COUNT_FRAMES = """() => {
  window.frames_ = [];
  let last = performance.now();
  const one = (now) => {
    window.frames_.push(now - last);
    last = now;
    requestAnimationFrame(one);
  };
  requestAnimationFrame(one);
}"""


def rate(page: Any, what: str) -> None:
    """Say how many frames a second were shown since the last call."""
    taken = "() => { const taken = window.frames_; window.frames_ = []; return taken; }"
    frames = sorted(page.evaluate(taken))
    mean, late = 1000 * len(frames) / sum(frames), frames[int(0.95 * len(frames))]
    print(f"{what}: {mean:.0f} frames/s, 95 % of the frames within {late:.0f} ms", flush=True)


def look_around(page: Any) -> None:
    """Pan, zoom and point at a map."""
    box = page.locator(".ls-map-frame").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.evaluate(_COUNT_FRAMES)
    time.sleep(1)
    rate(page, "  at rest")
    page.mouse.move(x, y)
    page.mouse.down()
    began, step = time.monotonic(), 0
    while time.monotonic() - began < 5:
        step += 1
        page.mouse.move(x + 120 * np.sin(step / 30), y + 80 * np.cos(step / 20) - 80)
    page.mouse.up()
    rate(page, "  pan")
    page.mouse.move(x, y)
    began, step = time.monotonic(), 0
    while time.monotonic() - began < 5:
        step += 1
        page.mouse.wheel(0, -20 if step % 100 < 50 else 20)
        time.sleep(0.016)
    rate(page, "  zoom")
    time.sleep(2)
    times = []
    for step in range(40):
        page.mouse.move(x + 9 * step - 180, y + 5 * step - 100)
        before = page.evaluate("document.querySelector('.ls-atlas').dataset.hover || ''")
        time.sleep(0.3)
        after = page.evaluate("document.querySelector('.ls-atlas').dataset.hover || ''")
        if after != before:
            times.append(float(after))
    high = np.quantile(times, 0.95)
    print(f"  hover: {np.median(times):.0f} ms median, {high:.0f} ms 95th percentile, {len(times)}")


def page() -> None:
    """Drive the page with large sets."""
    from playwright.sync_api import sync_playwright

    name = save_encoder(4, 32, "small")
    paths.data().mkdir(parents=True)
    for title, count in (("fifty", POINTS), ("many", MANY)):
        write_many(paths.data() / f"{title}.zip", count)
    models = ModelCache(CheckpointStore())
    with served() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        for title, most in (("fifty", POINTS), ("many", MapRequest("").most)):
            chart(models, MapRequest(name, most=most), open_set(paths.data() / f"{title}.zip"))
            view = browser.new_page(viewport={"width": 1440, "height": 900})
            view.goto(url)
            view.get_by_role("tab", name="Explore").click()
            view.wait_for_function("document.querySelector('.ls-atlas')?.dataset?.painted")
            for element, text in (("checkpoint", "small"), ("sets", f"{title}.zip")):
                before = painted(view)
                choose(view, f"#explore-{element}", text)
                settled(view, before)
            if most > MapRequest("").most:
                before = painted(view)
                view.locator("#explore-more button").first.click()
                number = view.locator("#explore-most input[type=number]")
                number.fill(str(most))
                number.blur()
                settled(view, before)
            shown = view.locator(".ls-colours").inner_text().replace("\n", ", ")
            print(f"{title}: {shown}; {view.locator('#explore-status').inner_text() or 'no note'}")
            look_around(view)
            view.close()
        browser.close()


def choose(view: Any, selector: str, text: str) -> None:
    """Take an entry of a dropdown."""
    view.locator(f"{selector} input").first.click()
    view.get_by_role("option").filter(has_text=text).first.click()


def painted(view: Any) -> str:
    """Return the name of the map that is there."""
    name: str = view.evaluate("document.querySelector('.ls-atlas').dataset.painted")
    return name


def settled(view: Any, before: str) -> None:
    """Wait until another map is painted."""
    view.wait_for_function(
        "(before) => document.querySelector('.ls-atlas').dataset.painted !== before",
        arg=before,
        timeout=120_000,
    )
    time.sleep(2)


def main() -> None:
    """Run what the command line asks for, in a home of its own."""
    what, *given = sys.argv[1:] or ["page"]
    with tempfile.TemporaryDirectory() as home:
        os.environ["LATENT_STUDIO_HOME"] = home
        if what == "encode":
            encode(Path(given[0]))
        elif what == "tsne":
            tsne(Path(given[0]), int(given[1]) if len(given) > 1 else MOST)
        else:
            page()


if __name__ == "__main__":
    main()
