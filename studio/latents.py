"""A batch of codes as named parts, and the arithmetic that every method shares."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Latents:
    """A batch of codes: the one thing that moves between tabs and models.

    Attributes:
        parts: Part name to tensor of shape (B, ...), with the same B everywhere. A flat
            autoencoder has ``z``; GeneGAN ``background`` and ``object``.
    """

    parts: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        if len({part.shape[0] for part in self.parts.values()}) != 1:
            raise ValueError("Latents need at least one part and one batch size for all parts.")

    def __len__(self) -> int:
        return next(iter(self.parts.values())).shape[0]

    def __getitem__(self, index: slice | Tensor) -> "Latents":
        """Select rows of the batch: a slice, or an index or mask tensor."""
        return self.map(lambda part: part[index])

    def __iter__(self) -> Iterator[str]:
        return iter(self.parts)

    def map(self, function: Callable[[Tensor], Tensor]) -> "Latents":
        """Apply ``function`` to every part."""
        return Latents({name: function(part) for name, part in self.parts.items()})

    def replace(self, **parts: Tensor) -> "Latents":
        """Return a copy in which the named, existing parts are other tensors."""
        unknown = parts.keys() - self.parts.keys()
        if unknown:
            raise ValueError(f"No part named {sorted(unknown)}; parts are {sorted(self.parts)}.")
        return Latents({**self.parts, **parts})

    def flatten(self, *names: str) -> Tensor:
        """Concatenate parts as rows.

        Args:
            names: The parts to take, all of them by default.

        Returns:
            (B, D).
        """
        chosen = names or tuple(self.parts)
        return torch.cat([self.parts[name].flatten(1) for name in chosen], dim=1)

    def to(self, device: torch.device | str) -> "Latents":
        """Move every part to a device."""
        return self.map(lambda part: part.to(device))


def cat(batches: Sequence[Latents]) -> Latents:
    """Join batches of codes along the batch."""
    return Latents({name: torch.cat([b.parts[name] for b in batches]) for name in batches[0]})


def lerp(start: Latents, end: Latents, alpha: Tensor | float) -> Latents:
    """Interpolate all parts on straight lines.

    Args:
        start: Reached at 0.
        end: Reached at 1.
        alpha: A number, or (B,); values outside [0, 1] extrapolate.

    Returns:
        (1 - alpha) start + alpha end, part by part.
    """
    return Latents(
        {
            name: torch.lerp(part, end.parts[name], _weight_like(alpha, part))
            for name, part in start.parts.items()
        }
    )


def slerp(start: Latents, end: Latents, alpha: Tensor | float) -> Latents:
    """Interpolate all parts along great circles, norms linearly.

    Args:
        start: Reached at 0.
        end: Reached at 1.
        alpha: A number, or (B,).

    Returns:
        Part by part, the point at angle alpha * omega between the two directions, with the norm
        interpolated linearly. Parallel directions fall back to the straight line, which is their
        limit.
    """

    def one(a: Tensor, b: Tensor) -> Tensor:
        weight = _weight_like(alpha, a).reshape(-1, 1)
        flat_a, flat_b = a.flatten(1), b.flatten(1)
        norm_a = flat_a.norm(dim=1, keepdim=True).clamp_min(1e-12)
        norm_b = flat_b.norm(dim=1, keepdim=True).clamp_min(1e-12)
        unit_a, unit_b = flat_a / norm_a, flat_b / norm_b
        omega = torch.acos((unit_a * unit_b).sum(1, keepdim=True).clamp(-1, 1))
        sine = torch.sin(omega)
        arc = torch.sin((1 - weight) * omega) * unit_a + torch.sin(weight * omega) * unit_b
        arc = arc / sine.clamp_min(1e-12) * torch.lerp(norm_a, norm_b, weight)
        straight = torch.lerp(flat_a, flat_b, weight)
        return torch.where(sine < 1e-4, straight, arc).reshape(a.shape)

    return Latents({name: one(part, end.parts[name]) for name, part in start.parts.items()})


def bilinear(corners: Sequence[Latents], x: Tensor | float, y: Tensor | float) -> Latents:
    """Interpolate between four corners (GeneGAN, Eq. 6, on the unit square).

    Args:
        corners: Upper left, upper right, lower left, lower right.
        x: A number or (B,) in [0, 1], 0 at the left.
        y: A number or (B,) in [0, 1], 0 at the top.

    Returns:
        The weighted sum, part by part.
    """
    upper_left, upper_right, lower_left, lower_right = corners
    return lerp(lerp(upper_left, upper_right, x), lerp(lower_left, lower_right, x), y)


def swap(receiver: Latents, donor: Latents, names: Sequence[str], strength: float = 1.0) -> Latents:
    """Move the named parts of the receiver towards the donor's.

    Args:
        receiver: Keeps every other part.
        donor: Same batch size, or 1.
        names: The parts to move.
        strength: 0 is the receiver itself, 1 the donor's part; beyond exaggerates, below inverts.

    Returns:
        The receiver with (1 - strength) own + strength donor's in the named parts.
    """
    moved = {name: torch.lerp(receiver.parts[name], donor.parts[name], strength) for name in names}
    return receiver.replace(**moved)


def path(start: Latents, end: Latents, steps: int, kind: str = "linear") -> Latents:
    """Walk from one code to another.

    Args:
        start: One code (batch of 1).
        end: One code.
        steps: Number of codes, both ends included; at least 2.
        kind: ``linear`` or ``slerp``.

    Returns:
        A batch of ``steps`` codes at equal distances in alpha.
    """
    walks = {"linear": lerp, "slerp": slerp}
    if kind not in walks or steps < 2:
        raise ValueError(f"A path is one of {sorted(walks)} with at least 2 steps.")
    alphas = torch.linspace(0, 1, steps, device=next(iter(start.parts.values())).device)
    repeated = [end_point.map(lambda part: _repeat(part, steps)) for end_point in (start, end)]
    return walks[kind](repeated[0], repeated[1], alphas)


def _repeat(part: Tensor, count: int) -> Tensor:
    return part.expand(count, *part.shape[1:])


def _weight_like(alpha: Tensor | float, part: Tensor) -> Tensor:
    """Shape alpha so that it broadcasts over a part of shape (B, ...)."""
    weight = torch.as_tensor(alpha, dtype=part.dtype, device=part.device)
    return weight.reshape(-1, *[1] * (part.dim() - 1))
