"""Compare the studio's training step with the same step as a plain PyTorch loop, side by side.

    python benchmarks/training_loop.py [--size 64] [--width 64] [--batch 32] [--rounds 8]

Both train GeneGAN's ``hinge`` recipe on the same random pictures: the studio's Trainer (bf16
autocast where the CPU computes it, channels-last layout, our convolutions, glibc told to keep its
memory), and a loop written down as a textbook has it (fp32, contiguous, ``torch.nn`` alone). Each
runs in a process of its own; the processes take turns, so that a busy machine slows both alike.
Prints one JSON object.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

OBJECT_SHARE, REPRODUCTIONS = 0.25, 0.375


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32, help="pictures, half of each kind")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=4, help="per round")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    # Settings of glibc in the shell would give the plain loop what the studio sets itself.
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        del os.environ[name]
    seconds = measure(options)
    rounds = zip(seconds["plain"], seconds["studio"], strict=True)
    ratios = [plain / studio for plain, studio in rounds]
    print(
        json.dumps(
            {
                **vars(options),
                "studio_seconds": statistics.median(seconds["studio"]) / options.steps,
                "plain_seconds": statistics.median(seconds["plain"]) / options.steps,
                "ratio": statistics.median(ratios),
                "ratio_lowest": min(ratios),
                "ratio_highest": max(ratios),
                "bf16": torch.cpu.get_capabilities().get("avx512_bf16", False),
            },
            indent=2,
        )
    )


def measure(options: argparse.Namespace) -> dict[str, list[float]]:
    """Return the seconds of every round, by loop."""
    context = multiprocessing.get_context("spawn")
    pipes, workers = {}, []
    for name in ("studio", "plain"):
        pipes[name], end = context.Pipe()
        worker = context.Process(target=work, args=(name, options, end), daemon=True)
        worker.start()
        workers.append(worker)
    seconds: dict[str, list[float]] = {name: [] for name in pipes}
    # The first round warms up: memory, kernels, optimizers' states.
    for number in range(options.rounds + 1):
        for name, pipe in pipes.items():
            pipe.send("go")
            took = pipe.recv()
            if number > 0:
                seconds[name].append(took)
    for pipe, worker in zip(pipes.values(), workers, strict=True):
        pipe.send("stop")
        worker.join()
    return seconds


def work(name: str, options: argparse.Namespace, pipe: Connection) -> None:
    """Run rounds of one loop whenever the other end asks for one."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    builders = {"studio": studio_loop, "plain": plain_loop}
    step = builders[name](options)
    while pipe.recv() == "go":
        start = time.perf_counter()
        for _ in range(options.steps):
            step()
        pipe.send(time.perf_counter() - start)


def studio_loop(options: argparse.Namespace) -> Callable[[], None]:
    """Return the studio's step, as ``training.run`` sets it up."""
    from studio import methods
    from studio.data.batch import Batch, DataSpec
    from studio.training.request import pick_precision
    from studio.training.run import keep_memory
    from studio.training.trainer import Trainer

    keep_memory()
    method = methods.find("genegan")
    config = method.config.from_dict({"recipe": "hinge", "width": options.width})
    spec = DataSpec(options.size)
    (stage,) = method.stages(config, spec)
    objective = stage.objective(method.model(config, spec))
    precision = pick_precision("auto", torch.device("cpu"))
    endless: Any = 10**9
    trainer = Trainer(
        objective, stage, steps=endless, precision="bf16" if precision == "bf16" else "fp32"
    )
    images = pictures(options).to(memory_format=torch.channels_last)
    labels, eyes = torch.zeros(options.batch, 0).long(), torch.zeros(options.batch, 2, 2)

    def batches() -> Iterator[Batch]:
        while True:
            yield Batch(images, labels, labels, eyes)

    source = batches()

    def step() -> None:
        target = trainer.step + 1
        trainer.fit(source, before_step=lambda number: number < target)

    return step


def pictures(options: argparse.Namespace) -> Tensor:
    """Return the random pictures that both loops train on."""
    rng = torch.Generator().manual_seed(0)
    return torch.rand(options.batch, 3, options.size, options.size, generator=rng) * 2 - 1


def plain_encoder(width: int) -> nn.Sequential:
    """Build GeneGAN's encoder: 4x4 convolutions of stride 2, batch norm, leaky ReLU."""
    return nn.Sequential(
        nn.Conv2d(3, width, 4, 2, 1),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(2 * width, 4 * width, 4, 2, 1, bias=False),
        nn.BatchNorm2d(4 * width),
        nn.LeakyReLU(0.2, inplace=True),
    )


def plain_decoder(width: int) -> nn.Sequential:
    """Build GeneGAN's decoder: 4x4 transposed convolutions of stride 2."""
    return nn.Sequential(
        nn.ConvTranspose2d(4 * width, 4 * width, 4, 2, 1, bias=False),
        nn.BatchNorm2d(4 * width),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(2 * width, 3, 4, 2, 1),
        nn.Tanh(),
    )


def plain_critic(size: int, width: int) -> nn.Sequential:
    """Build a spectrally normalized critic."""
    channels = [3, width, 2 * width, 4 * width, 4 * width]
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(channels):
        convolution = spectral_norm(nn.Conv2d(inputs, outputs, 4, 2, 1))
        layers += [convolution, nn.LeakyReLU(0.2, inplace=True)]
    score = spectral_norm(nn.Linear(4 * width * (size // 16) ** 2, 1))
    return nn.Sequential(*layers, nn.Flatten(), score)


class PlainGeneGAN:
    """GeneGAN's step in fp32 and contiguous layout; Eq. 2 to 5 with the weights of ``hinge``."""

    def __init__(self, options: argparse.Namespace) -> None:
        width = options.width
        self.encoder, self.decoder = plain_encoder(width), plain_decoder(width)
        self.object_channels = round(4 * width * OBJECT_SHARE)
        self.critics = nn.ModuleList(plain_critic(options.size, width) for _ in range(2))
        generator = [*self.encoder.parameters(), *self.decoder.parameters()]
        betas = (0.5, 0.999)
        self.generator_optimizer = torch.optim.Adam(generator, 2e-4, betas)
        self.critic_optimizer = torch.optim.Adam(self.critics.parameters(), 2e-4, betas)
        self.averaged = [parameter.detach().clone() for parameter in generator]
        self.parameters = generator
        self.images = pictures(options)

    def step(self) -> None:
        """Train the critics, then the generator, on one batch."""
        showing, plain = self.images.chunk(2)
        features = self.encoder(self.images)
        a, b = features[:, : -self.object_channels].chunk(2)
        u, epsilon = F.relu(features[:, -self.object_channels :]).chunk(2)
        zero = torch.zeros_like(u)
        own = epsilon * (torch.rand(len(u), 1, 1, 1) < 0.5)
        parts = torch.cat([torch.cat([a, a, b, b]), torch.cat([u, zero, u, own])], dim=1)
        au, a0, bu, b0 = self.decoder(parts).chunk(4)
        # Some of the critics' fakes are reproductions.
        crossbreeds = len(bu) - round(len(bu) * REPRODUCTIONS)
        fakes = [
            torch.cat([crossed[:crossbreeds], again[crossbreeds:]])
            for crossed, again in ((bu, au), (a0, b0))
        ]
        self.train_critics(
            [(showing, fakes[0].detach(), plain), (plain, fakes[1].detach(), showing)]
        )
        self.critics.requires_grad_(False)
        loss = 6.0 * (F.l1_loss(au, showing) + F.l1_loss(b0, plain))
        loss = loss - 0.3 * (self.critics[0](fakes[0]).mean() + self.critics[1](fakes[1]).mean())
        loss = loss + epsilon.abs().mean() / u.abs().mean()
        loss = loss + 0.8 * F.l1_loss(showing + plain, a0 + bu)
        self.generator_optimizer.zero_grad()
        loss.backward()
        self.generator_optimizer.step()
        self.critics.requires_grad_(True)
        with torch.no_grad():
            for average, parameter in zip(self.averaged, self.parameters, strict=True):
                average.lerp_(parameter, 0.002)

    def train_critics(self, sides: list[tuple[Tensor, Tensor, Tensor]]) -> None:
        """Tell real pictures from crossbreeds and from real ones of the wrong kind."""
        loss = torch.zeros(())
        for critic, (real, fake, wrong) in zip(self.critics, sides, strict=True):
            right = F.relu(1 - critic(real)).mean()
            loss = loss + right + F.relu(1 + critic(fake)).mean()
            loss = loss + 0.5 * (right + F.relu(1 + critic(wrong)).mean())
        self.critic_optimizer.zero_grad()
        loss.backward()
        self.critic_optimizer.step()


def plain_loop(options: argparse.Namespace) -> Callable[[], None]:
    """Return the plain step."""
    return PlainGeneGAN(options).step


if __name__ == "__main__":
    main()
