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


def cubic(codes: Sequence[Latents], position: Tensor) -> Latents:
    """Walk through key-frames on a smooth curve (Catmull and Rom 1974).

    Args:
        codes: K key-frames, batches of 1; at least 2.
        position: (N,) in [0, K - 1]; whole numbers are the key-frames.

    Returns:
        N codes; the curve's velocity is continuous, and between two key-frames alone it is the
        straight line at even speed.
    """

    def one(name: str) -> Tensor:
        points = torch.cat([code.parts[name] for code in codes])
        # Reflected end points: the curve leaves the first key-frame towards the second one.
        ends = 2 * points[:1] - points[1:2], 2 * points[-1:] - points[-2:-1]
        padded = torch.cat([ends[0], points, ends[1]])
        left = position.floor().clamp(0, len(codes) - 2).long()
        t = _weight_like(position - left, points)
        p0, p1, p2, p3 = (padded[left + k] for k in range(4))
        slope1, slope2 = (p2 - p0) / 2, (p3 - p1) / 2
        # Hermite's basis on [0, 1].
        return (
            (2 * t**3 - 3 * t**2 + 1) * p1
            + (t**3 - 2 * t**2 + t) * slope1
            + (3 * t**2 - 2 * t**3) * p2
            + (t**3 - t**2) * slope2
        )

    return Latents({name: one(name) for name in codes[0]})


PATHS = ("linear", "slerp", "cubic")


def along(codes: Sequence[Latents], alpha: Tensor, kind: str = "linear") -> Latents:
    """Walk through key-frames at equal times from one to the next.

    Args:
        codes: K key-frames, batches of 1; at least 2.
        alpha: (N,) in [0, 1], 0 the first and 1 the last key-frame.
        kind: One of ``PATHS``.

    Returns:
        N codes.

    Raises:
        ValueError: Fewer than 2 key-frames, or an unknown kind.
    """
    if kind not in PATHS or len(codes) < 2:
        raise ValueError(f"A path is one of {PATHS} through at least 2 key-frames.")
    position = alpha * (len(codes) - 1)
    if kind == "cubic":
        return cubic(codes, position)
    left = position.floor().clamp(0, len(codes) - 2).long()
    frames = cat(codes)
    walk = slerp if kind == "slerp" else lerp
    return walk(frames[left], frames[left + 1], position - left)


def _weight_like(alpha: Tensor | float, part: Tensor) -> Tensor:
    """Shape alpha so that it broadcasts over a part of shape (B, ...)."""
    weight = torch.as_tensor(alpha, dtype=part.dtype, device=part.device)
    return weight.reshape(-1, *[1] * (part.dim() - 1))
