"""A map, and what it answers: neighbours, what lies between points, paths, new pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.spatial import Delaunay, QhullError, cKDTree

from studio import directions, images
from studio.checkpoints import MODEL, ModelCache
from studio.errors import ConfigError, DataError
from studio.explore.encoding import Codes
from studio.explore.projection import Floats, Pca, weights
from studio.images import Picture
from studio.latents import Latents, lerp

Rows = npt.NDArray[np.intp]

# Neighbours whose points say where a new picture lies on a t-SNE map.
_PLACED_BY = 15


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The pictures nearest to something.

    Attributes:
        rows: (k,), the nearest first.
        distances: (k,), in the latent space's first components.
    """

    rows: Rows
    distances: Floats


@dataclass(frozen=True, eq=False)
class Spot:
    """What lives at a place of a map where there may be no point.

    Attributes:
        latents: Batch of 1, all parts.
        rows: The points that it was mixed from; none where PCA was inverted.
        weights: Their shares; they add up to 1.
        rest: Row of the picture whose other parts it has; -1 where all parts are drawn.
    """

    latents: Latents
    rows: tuple[int, ...]
    weights: tuple[float, ...]
    rest: int


@dataclass(frozen=True, eq=False)
class Map:
    """A data set laid out by its latents.

    Attributes:
        codes: The latents, and the data set whose pictures they are of.
        part: The part that was laid out; empty for all.
        method: ``pca`` or ``tsne``.
        perplexity: Of t-SNE.
        seed: Of the sample and the methods.
        pca: Of the drawn part.
        scores: (N, K) on the principal components.
        points: (N, 2 or 3).
        divergence: What t-SNE left of the Kullback-Leibler divergence; NaN for PCA.
        total: Pictures of the data set, of which the map may show a sample.
        notes: What a person should know, in sentences.
    """

    codes: Codes
    part: str
    method: str
    perplexity: float
    seed: int
    pca: Pca
    scores: Floats
    points: Floats
    divergence: float
    total: int
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.points)

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return int(self.points.shape[1])

    @property
    def axes(self) -> tuple[str, ...]:
        """What each axis is called."""
        if self.method == "tsne":
            return tuple(f"t-SNE {number + 1}" for number in range(self.dimensions))
        ratios = [*self.pca.ratios, 0.0, 0.0]
        return tuple(
            f"Component {number + 1} ({ratios[number]:.1%})" for number in range(self.dimensions)
        )

    @cached_property
    def _tree(self) -> "cKDTree[None]":
        return cKDTree(self.scores)

    @cached_property
    def _spots(self) -> "cKDTree[None]":
        return cKDTree(self.points)

    @cached_property
    def _triangles(self) -> Delaunay | None:
        try:
            return Delaunay(self.points)
        except (QhullError, ValueError):
            # Fewer than three points, or all on one line.
            return None

    def check_row(self, row: int) -> int:
        """Return a row's number.

        Raises:
            ConfigError: The map has no such point.
        """
        if not 0 <= row < len(self):
            raise ConfigError(f"The map has the points 0 to {len(self) - 1}, not {row}.")
        return row

    def near(self, row: int, count: int = 12) -> Neighbours:
        """Return the pictures whose latents are nearest to a point's, without itself."""
        scores = self.scores[self.check_row(row)]
        found = self._nearest(scores, min(count + 1, len(self)))
        others = found.rows != row
        return Neighbours(found.rows[others][:count], found.distances[others][:count])

    def _nearest(self, scores: Floats, count: int) -> Neighbours:
        distances, rows = self._tree.query(scores, count)
        return Neighbours(np.atleast_1d(rows).astype(np.intp), np.atleast_1d(distances))

    def place(self, latents: Latents) -> tuple[Floats, Neighbours]:
        """Place a new picture without laying the map out anew.

        PCA projects it. t-SNE puts it at the mean of its neighbours' points, each with the weight
        that its similarity would have at a perplexity of 5 (as openTSNE begins).

        Args:
            latents: Batch of 1, of the same checkpoint.

        Returns:
            Where it lies, (2 or 3,), and its neighbours.
        """
        scores = self.pca.transform(self._flat(latents))
        point = self._points_of(scores)[0]
        return point, self._nearest(scores[0], min(12, len(self)))

    def _flat(self, latents: Latents) -> npt.NDArray[Any]:
        names = (self.part,) if self.part else ()
        return latents.flatten(*names).float().cpu().numpy()

    def _points_of(self, scores: Floats) -> Floats:
        if self.method == "pca":
            missing = max(0, self.dimensions - scores.shape[1])
            return np.pad(scores[:, : self.dimensions], ((0, 0), (0, missing)))
        distances, rows = self._tree.query(scores, min(len(self), _PLACED_BY))
        distances, rows = (np.reshape(found, (len(scores), -1)) for found in (distances, rows))
        shares = weights(distances)
        found: Floats = np.einsum("bk,bkd->bd", shares, self.points[rows]).astype(np.float32)
        return found

    def at(self, x: float, y: float, rest: int = -1) -> Spot:
        """Say what lives at a place of a 2-D map.

        PCA is inverted, with all components that are not drawn at their means. t-SNE has no
        inverse: the latents of the corners of the triangle of points around the place are mixed by
        its barycentric coordinates, outside all triangles those of the three nearest points by the
        inverse of their distance.

        Args:
            x: In the map's units.
            y: As ``x``.
            rest: Row of the picture that gives the parts which are not drawn; -1 takes the
                nearest point's.

        Raises:
            ConfigError: The map has three dimensions.
        """
        if self.dimensions != 2:
            raise ConfigError("An empty place can be opened on a flat map only; choose 2-D.")
        place = np.array([x, y], np.float64)
        nearest = int(self._spots.query(place)[1])
        source = nearest if rest < 0 else self.check_row(rest)
        if self.method == "pca":
            kept = min(2, self.scores.shape[1])
            flat = self.pca.inverse(place[None, :kept])
            return Spot(self._whole(flat, source), (), (), source if self.part else -1)
        rows, shares = self._mixed(place)
        columns = self.codes.columns(self.part)
        theirs = np.asarray(self.codes.matrix[rows, columns], np.float32)
        flat = np.asarray(shares, np.float32) @ theirs
        return Spot(
            self._whole(flat[None], source),
            tuple(rows.tolist()),
            tuple(shares.tolist()),
            source if self.part else -1,
        )

    def _mixed(self, place: npt.NDArray[np.float64]) -> tuple[Rows, npt.NDArray[np.float64]]:
        triangles = self._triangles
        simplex = -1 if triangles is None else int(triangles.find_simplex(place))
        if triangles is not None and simplex >= 0:
            transform = triangles.transform[simplex]
            first = transform[:2] @ (place - transform[2])
            shares = np.clip(np.append(first, 1 - first.sum()), 0, 1)
            return triangles.simplices[simplex].astype(np.intp), shares / shares.sum()
        distances, rows = self._spots.query(place, min(3, len(self)))
        distances, rows = np.atleast_1d(distances), np.atleast_1d(rows)
        shares = 1 / np.maximum(distances, 1e-6)
        return rows.astype(np.intp), shares / shares.sum()

    def _whole(self, flat: npt.NDArray[Any], rest: int) -> Latents:
        """Return all parts, those that are not drawn from one of the pictures."""
        if not self.part:
            return self.codes.unflatten(flat)
        own = self.codes.matrix[[rest] * len(flat)].astype(np.float32)
        own[:, self.codes.columns(self.part)] = flat
        return self.codes.unflatten(own)

    def path(self, start: int, end: int, count: int) -> tuple[Latents, Floats]:
        """Walk from one point to another on a straight line in the latent space.

        Args:
            start: Row of the first picture.
            end: Row of the last one.
            count: Pictures, both included.

        Returns:
            Their latents, and the (count, 2 or 3) places where they lie on the map: of a new
            picture where it is one in between, so that a path may bend.
        """
        ends = self.codes.latents([self.check_row(start), self.check_row(end)])
        alphas = torch.linspace(0, 1, count)
        first, last = ends[:1].map(lambda p: p.float()), ends[1:].map(lambda p: p.float())
        start_of, end_of = (one[torch.zeros(count, dtype=torch.long)] for one in (first, last))
        between = lerp(start_of, end_of, alphas)
        points = self._points_of(self.pca.transform(self._flat(between)))
        points[0], points[-1] = self.points[start], self.points[end]
        return between, points

    def direction(
        self, models: ModelCache, name: str, shown: Sequence[int], absent: Sequence[int]
    ) -> directions.Direction:
        """Make a slider out of two groups of points, and keep it.

        Raises:
            ConfigError: A group is too small, they share a point, or the name is not usable.
        """
        shared = set(shown) & set(absent)
        if shared:
            raise ConfigError(
                f"{len(shared)} of the points are in both groups; a slider leads from pictures "
                "without something to others with it."
            )
        for row in (*shown, *absent):
            self.check_row(row)
        made = directions.make(
            name,
            (self.codes.checkpoint, models.store.card(self.codes.checkpoint).hashes.get(MODEL, "")),
            self._alone(self.codes.latents(list(shown))),
            self._alone(self.codes.latents(list(absent))),
            self._covariance(models),
        )
        directions.save(made)
        return made

    def _alone(self, latents: Latents) -> Latents:
        """Leave only the drawn part different, so that a slider moves nothing else."""
        if not self.part:
            return latents
        same = {n: torch.zeros_like(p) for n, p in latents.parts.items() if n != self.part}
        return latents.replace(**same)

    def _covariance(self, models: ModelCache) -> Any:
        return getattr(models.get(self.codes.checkpoint).model, "covariance", None)


@torch.inference_mode()
def decode(models: ModelCache, found: Map, latents: Latents) -> Picture:
    """Decode latents of a map's checkpoint to (B, S, S, 3) pictures."""
    model = models.get(found.codes.checkpoint).model
    return images.to_pictures(model.decode(latents.to(models.device)).cpu())


def picture(found: Map, row: int, size: int) -> Picture:
    """Return a point's own picture as (size, size, 3).

    Raises:
        ConfigError: The map has no such point.
        DataError: The data set changed or is gone.
    """
    data = found.codes.data
    file = data.files[found.check_row(row)]
    try:
        return data.decoded(file, data.source.read(file), size)
    except DataError as error:
        raise DataError(
            f"{file} of {data.name} cannot be read any more; draw the map again."
        ) from error
