"""The contracts that every method fulfils: models, objectives, updates, stages, the table entry."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar, Literal, Self

from torch import Tensor, nn

from studio.data.batch import Batch, DataSpec
from studio.errors import ConfigError
from studio.latents import Latents


class Operation(StrEnum):
    """What a method's checkpoints can do; a tab offers those that declare its operation."""

    EDIT = "edit"
    SWAP = "swap"
    TRANSFER = "transfer"
    INTERPOLATE = "interpolate"
    GENERATE = "generate"
    ANIMATE = "animate"
    TRANSLATE = "translate"
    EVALUATE = "evaluate"


@dataclass(frozen=True)
class Config:
    """Base of the frozen configurations, one per method, with the method's defaults."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from plain values, checking names and types.

        Raises:
            ConfigError: A field is unknown or has a value of the wrong type.
        """
        defaults = {entry.name: entry.default for entry in fields(cls)}
        checked = {}
        for name, value in values.items():
            if name not in defaults:
                raise ConfigError(f"There is no setting {name!r}; there are {', '.join(defaults)}.")
            checked[name] = _convert(name, value, defaults[name])
        return cls(**checked)


def _convert(name: str, value: Any, default: Any) -> Any:
    """Convert text from the command line or JSON to the type of the field's default."""
    kind = type(default)
    if kind is bool and str(value).lower() in {"true", "false", "1", "0"}:
        return str(value).lower() in {"true", "1"}
    try:
        if kind is bool or (kind is int and float(value) != int(float(value))):
            raise ValueError
        return int(float(value)) if kind is int else kind(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name} must be a {kind.__name__}, not {value!r}.") from error


class LatentModel(nn.Module):
    """What the studio runs: pictures to latents and back, without losses or critics."""

    # The part that carries the object of a swap; empty where a method cannot swap.
    swap_part: ClassVar[str] = ""
    # The parts that a transfer takes from other pictures; empty where a method has none to take.
    parts: tuple[str, ...] = ()

    @abstractmethod
    def encode(self, images: Tensor) -> Latents:
        """Encode (B, 3, H, W) images in [-1, 1]."""

    @abstractmethod
    def decode(self, latents: Latents) -> Tensor:
        """Decode to (B, 3, H, W) images in [-1, 1]."""

    def remove(self, latents: Latents) -> Latents:
        """Return latents without the object, where the method has one."""
        raise NotImplementedError

    def means(self) -> Mapping[str, tuple[str, ...]]:
        """Return the classes whose mean latents the model keeps, by part."""
        return {}

    def mean(self, part: str, value: str) -> Tensor:
        """Return the mean latent of one of the classes in :meth:`means`, batch of 1."""
        raise NotImplementedError


class AttributeModel(LatentModel):
    """A latent model that knows what attributes do to its latents.

    Attributes:
        attributes: Names of the columns below.
    """

    attributes: tuple[str, ...]

    @abstractmethod
    def measure(self, images: Tensor) -> Tensor:
        """Read (B, A) probabilities off (B, 3, H, W) images in [-1, 1]."""

    @abstractmethod
    def sensitivity(self, latents: Latents) -> Tensor:
        """Say how the measured attributes answer to the latents.

        Args:
            latents: Batch of 1.

        Returns:
            (A, D), the derivative of each attribute's logit in ``latents.flatten()``.
        """

    @abstractmethod
    def edit(
        self,
        latents: Latents,
        before: Tensor,
        after: Tensor,
        sensitivity: Tensor | None = None,
        held: Sequence[int] = (),
    ) -> Latents:
        """Move latents from one set of attributes to another.

        Args:
            latents: Batch of 1.
            before: (1, A) in [0, 1], what was measured.
            after: (N, A) in [0, 1], what is wanted; rows equal to ``before`` change nothing.
            sensitivity: (A, D), as :meth:`sensitivity` returns it; needed to hold attributes.
            held: Columns of attributes that must stay; those that are wanted otherwise do move.

        Returns:
            N latents.
        """


class Generator(nn.Module):
    """A network from attributes and noise to pictures.

    Attributes:
        attributes: Names of the columns of the attributes.
        noise_size: Numbers of noise for a picture; 0 where equal attributes give one picture.
    """

    attributes: tuple[str, ...]
    noise_size: int

    @abstractmethod
    def generate(self, attributes: Tensor, noise: Tensor) -> Tensor:
        """Make pictures.

        Args:
            attributes: (B, A) in [0, 1].
            noise: (B, noise_size), standard normal; 0 gives the most typical picture.

        Returns:
            (B, 3, H, W) in [-1, 1].
        """


class Translator(nn.Module):
    """A network from picture and target attributes to picture, without latents to work on.

    Attributes:
        attributes: Names of the columns of the targets.
    """

    attributes: tuple[str, ...]

    @abstractmethod
    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """Give pictures the target attributes.

        Args:
            images: (B, 3, H, W) in [-1, 1].
            targets: (B, A) int64 in {0, 1}; columns as in ``attributes``.

        Returns:
            (B, 3, H, W) in [-1, 1].
        """


class Evaluator(nn.Module):
    """A network that reads numbers off pictures; the studio's measuring instruments."""

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Map (B, 3, H, W) images in [-1, 1] to (B, D) numbers."""


@dataclass(frozen=True, eq=False)
class Update:
    """One optimizer step that an objective asks for.

    Attributes:
        player: Whose parameters move.
        loss: Scalar to minimize.
        terms: Named scalars for the log, detached.
        lr_scale: Factor on the learning rate for this step only.
    """

    player: str
    loss: Tensor
    terms: Mapping[str, Tensor] = field(default_factory=dict)
    lr_scale: float = 1.0


class Objective(nn.Module):
    """One stage of training: the model, its critics and weights, and the algorithm's own state."""

    model: LatentModel | Generator | Translator | Evaluator
    # Maps (B, 3, H, W) images to feature maps; set by the run where the stage names an evaluator.
    features: Callable[[Tensor], list[Tensor]] | None = None

    @abstractmethod
    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return each player's parameters."""

    @abstractmethod
    def updates(self, batches: Iterator[Batch], step: int) -> Iterator[Update]:
        """Yield the updates of one step; after a ``yield`` the optimizer step has been taken.

        Args:
            batches: Endless; each draw is fresh data.
            step: Counted from 0.
        """


@dataclass(frozen=True)
class OptimizerConfig:
    """Which optimizer moves a player.

    Attributes:
        kind: ``adam`` or ``rmsprop``.
        lr: Learning rate.
        betas: Adam's two decay rates; RMSProp's squared-gradient decay is the second.
        weight_decay: Decoupled (AdamW) where it is not 0.
        clip: A gradient whose norm, over all of the player's parameters, is larger is scaled down
            to it; 0 leaves gradients as they are.
    """

    kind: Literal["adam", "rmsprop"] = "adam"
    lr: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    weight_decay: float = 0.0
    clip: float = 0.0


@dataclass(frozen=True)
class GradientStage:
    """A stage that gradients solve.

    Attributes:
        name: Of the stage; logs and saves tell stages apart by it.
        objective: Builds the objective around a model.
        optimizers: One per player.
        sampling: ``uniform`` or ``contrast``, functions of ``data/loading.py``.
        attribute: What a contrast batch contrasts.
        averaging: Decay of the averaged weights that are shipped; 0 ships the raw weights.
        decay: The learning rate falls linearly to 0 over this last fraction of the steps.
        flip: Mirror training pictures at random.
        features: Checkpoint of an evaluator whose feature maps the loss compares; the run loads it
            and sets the objective's ``features``.
        share: Part of the run's steps, relative to the shares of the other stages; a stage with
            share 0 is left out.
    """

    name: str
    objective: Callable[[Any], Objective]
    optimizers: Mapping[str, OptimizerConfig]
    sampling: Literal["uniform", "contrast"] = "uniform"
    attribute: str = ""
    averaging: float = 0.0
    decay: float = 0.0
    flip: bool = True
    features: str = ""
    share: float = 1.0


@dataclass(frozen=True)
class FitStage:
    """A stage that is solved in one pass over the training pictures, without gradients.

    Attributes:
        name: Of the stage.
        fit: Takes the model, in ``eval`` on its device, and batches of all training pictures in
            their order, and fills the model's buffers.
        most: Pictures that are read at most.
    """

    name: str
    fit: Callable[[Any, Iterable[Batch]], None]
    most: int = 20_000


Stage = GradientStage | FitStage


@dataclass(frozen=True)
class Method:
    """A row of the table ``METHODS``.

    Attributes:
        name: First half of a checkpoint's name.
        title: What a person reads.
        citation: Authors, title, year.
        summary: One line on what its checkpoints do.
        operations: What its checkpoints can do.
        config: The configuration's class.
        tiny: A configuration small enough for tests.
        model: Builds the network that the studio runs.
        stages: The training stages, in order.
        attribute_offsets: Where, along the axis of a tensor that has something for each attribute,
            the attributes begin, by the beginning of the name that an objective gives the tensor;
            0 for those that are not named.
        classes: Names, from the configuration, the columns of classes that the method learns.
    """

    name: str
    title: str
    citation: str
    summary: str
    operations: frozenset[Operation]
    config: type[Config]
    tiny: Config
    model: Callable[[Any, DataSpec], nn.Module]
    stages: Callable[[Any, DataSpec], tuple[Stage, ...]]
    attribute_offsets: Mapping[str, int] = field(default_factory=dict)
    classes: Callable[[Any], tuple[str, ...]] = lambda config: ()
