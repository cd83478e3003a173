"""From a request to everything that training needs before its first step."""

import os
import shutil
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from studio import methods
from studio.checkpoints import CheckpointStore
from studio.data.batch import DataSpec
from studio.data.folder import Classes, DataSet, Labelled, open_set
from studio.data.joined import JoinedSet
from studio.errors import ConfigError
from studio.methods.base import FitStage, GradientStage, Objective, Stage
from studio.methods.evaluators import AttributeClassifier
from studio.training.parents import Origin, Parent
from studio.training.request import TrainRequest, pick_device, pick_precision, read_only
from studio.training.trainer import Precision, Trainer


class Prepared:
    """What a request makes, untrained.

    Attributes:
        request: The request.
        store: The checkpoints that a parent or an evaluator may be among.
        method: The method.
        config: Its settings: the request's on top of the parent's.
        device: Where to train.
        data: The set.
        train_part: Its training pictures, with those of another set where one is added.
        spec: The pictures that the model expects, with the attributes that can be learnt.
        stages: The stages that are trained.
        ends: Steps that were taken at the end of each stage.
        model: The network; weights of the parent, where there is one.
        parent: What training starts from, or None.
        rest: What is left of objectives by name: critics and the algorithms' own state.
    """

    def __init__(
        self, request: TrainRequest, root: Path, origin: Origin, *, anew: bool = True
    ) -> None:
        """Prepare.

        Args:
            request: What to train.
            root: Where the checkpoint will stand; a parent may stand there, too, as in the folder
                of an experiment.
            origin: What is known of the parent.
            anew: Whether training begins; where it goes on, a save has what the parent gave.

        Raises:
            StudioError: The request, the data or the parent is not usable.
        """
        self.request = request
        self.store = CheckpointStore(root, *CheckpointStore().roots)
        self.method = methods.find(request.method)
        self.config = self.method.config.from_dict({**origin.config, **request.fields})
        self.device = pick_device(request.device)
        _check_compiler(request, self.device)
        self.data: DataSet = open_set(Path(request.data))
        if request.only:
            self.data = self.data.where(*read_only(request.only))
        self.train_part: Labelled = self.data.part("train")
        if request.also:
            added = open_set(Path(request.also)).part("train")
            self.train_part = JoinedSet((self.data.part("train"), added))
        self.spec = DataSpec(request.size, self.data.alignment, self._attributes(), self._classes())
        torch.manual_seed(request.seed)
        stages = self.method.stages(self.config, self.spec)
        self.stages = [one for one in stages if isinstance(one, FitStage) or one.share > 0]
        self.ends = _ends(self.stages, request.steps)
        self.model: Any = self.method.model(self.config, self.spec)
        self.rest: dict[str, Tensor] = {}
        self.parent: Parent | None = None
        if request.parent and anew:
            self.parent = Parent(self.store, request.parent, self.method, self.config, self.spec)
            self.parent.raise_model(self.model)
            self.rest = self.parent.critics

    def _attributes(self) -> tuple[str, ...]:
        """Return the attributes that can be learnt: some training pictures have them, some not."""
        names = tuple(self.data.attributes)
        labels = self.train_part.attribute_matrix(names)
        varied = (labels == 0).any(axis=0) & (labels == 1).any(axis=0)
        return tuple(name for name, varies in zip(names, varied, strict=True) if varies)

    def _classes(self) -> Classes:
        """Return the columns of classes that the method learns, with the values that it can."""
        train = self.data.part("train")
        wanted = ((name, train.values(name)) for name in self.method.classes(self.config))
        return tuple((name, values) for name, values in wanted if len(values) > 1)

    def trainer(self, stage: GradientStage, steps: int) -> Trainer:
        """Build what takes the steps of a stage.

        Args:
            stage: One of ``stages``.
            steps: Of the stage.
        """
        objective = stage.objective(self.model)
        if stage.features:
            evaluator = self.store.load(stage.features)[0].to(self.device)
            if not isinstance(evaluator, AttributeClassifier):
                raise ConfigError(
                    f"{stage.features} is no attribute classifier: it has no feature maps."
                )
            # A bound method, not a module: the evaluator is no part of what is trained or saved.
            objective.features = evaluator.eval().requires_grad_(False).feature_maps
        self._give_back(objective)
        precision: Precision = "fp32"
        if pick_precision(self.request.precision, self.device) == "bf16":
            precision = "bf16"
        return Trainer(
            objective,
            stage,
            steps=steps,
            device=self.device,
            precision=precision,
            compiled=self.request.compile,
        )

    def _give_back(self, objective: Objective) -> None:
        """Give an objective the critics that its parent's run left, all of them or none."""
        own = objective.state_dict()
        left = {name: tensor for name, tensor in self.rest.items() if name in own}
        # A stage that the parent's run left out has left nothing, and begins anew.
        if self.parent and (left or len(self.stages) == 1):
            self.parent.raise_critics(objective, self.rest)
        elif left:
            objective.load_state_dict({**own, **left})


def _check_compiler(request: TrainRequest, device: torch.device) -> None:
    """Refuse to compile for a processor without a compiler, which torch would find out late.

    Raises:
        ConfigError: There is none.
    """
    needed = os.environ.get("CXX", "c++")
    if request.compile and device.type == "cpu" and shutil.which(needed) is None:
        raise ConfigError(
            f"To compile networks for the processor torch needs a C++ compiler, and there is no "
            f"{needed} here. Install one, or train without compiling."
        )


def _ends(stages: Sequence[Stage], steps: int) -> list[int]:
    """Share a run's steps out: return how many were taken at the end of each stage.

    Raises:
        ConfigError: There are fewer steps than stages that need some.
    """
    shares = [one.share if isinstance(one, GradientStage) else 0.0 for one in stages]
    if not any(shares):
        raise ConfigError("All stages have the share 0: nothing would be trained.")
    ends = [round(steps * total / sum(shares)) for total in accumulate(shares)]
    taken = [end - before for before, end in pairwise([0, *ends])]
    for stage, share, count in zip(stages, shares, taken, strict=True):
        if share > 0 and count == 0:
            raise ConfigError(
                f"{steps} steps leave none for the stage {stage.name!r}; ask for more steps."
            )
    return ends
