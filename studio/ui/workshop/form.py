"""What is asked of a training: the form's values, and the request that they make."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio import jobs, methods, traits
from studio.checkpoints import Card, CheckpointStore, check_name
from studio.errors import ConfigError, DataError, StudioError
from studio.training.request import TrainRequest
from studio.ui.context import Context
from studio.ui.workshop import checks, knobs, sources

SCRATCH = "Nothing (from scratch)"


@dataclass(frozen=True)
class Form:
    """The controls of the form, in their order on the page.

    The last one is none: ``base`` is the request that is asked for once more, if one is.
    """

    method: str = "genegan"
    parent: str = ""
    attribute: str = ""
    tag: str = ""
    steps: int = 1000
    size: int = 64
    batch_size: int = 16
    seed: int = 0
    save_every: int = 100
    patience: int = 0
    few: bool = False
    device: str = "auto"
    precision: str = "auto"
    compile: bool = False
    processes: int = 1
    terms: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    base: TrainRequest | None = None

    @classmethod
    def read(cls, *values: Any) -> "Form":
        """Take what the page sends; an empty number counts as 0, an empty text as nothing."""
        given = dict(zip(cls.__dataclass_fields__, values, strict=True))
        plain: dict[str, Any] = {
            name: type(default)(given[name] or default * 0)
            for name, default in cls().__dict__.items()
            if name not in ("fields", "base")
        }
        plain |= {"tag": plain["tag"].strip(), "fields": knobs.changed(given["fields"])}
        plain["base"] = given["base"]
        return cls(**plain)

    @property
    def name(self) -> str:
        """Of the checkpoint."""
        return f"{self.method}.{self.tag}"

    @property
    def cloned(self) -> TrainRequest | None:
        """The request whose settings are asked for once more; none of another method's."""
        return self.base if self.base and self.base.method == self.method else None

    def values(self) -> list[Any]:
        """Return the values in the order of the page, as plain ones."""
        return [getattr(self, name) for name in self.__dataclass_fields__]


def parents(context: Context, method: str) -> list[Card]:
    """List the checkpoints that a method can start from."""
    return [card for card in context.store.cards() if card.method == method]


def request_of(context: Context, key: str, form: Form, *, modest: bool = True) -> TrainRequest:
    """Return the request that a form makes of a data set.

    Args:
        context: The shared context.
        key: Of the data set.
        form: What is asked.
        modest: Whether training from scratch begins with settings for a small machine.

    Raises:
        StudioError: Something is missing or does not go together.
    """
    facts = sources.facts_of(context, key)
    refusal = facts.refusal() or checks.refusal(context, key)
    if refusal:
        raise DataError(refusal)
    method, size = methods.find(form.method), form.size
    if form.parent:
        size = _parent(context, form).spec.size
    if not form.tag:
        raise ConfigError("Give the new model a name first: 1 or more of a-z, 0-9, - and _.")
    own, modest = _own(facts, form), modest and not form.cloned
    begun = knobs.start(context.store, form.method, form.parent, modest=modest)
    if form.cloned:
        asked = _repeated(context.store, form.cloned, form, own)
    else:
        asked = {**({} if form.parent else begun), **form.fields, **own}
    request = TrainRequest(
        form.method,
        form.tag,
        str(sources.place(key)),
        fields=asked,
        steps=form.steps,
        batch_size=form.batch_size,
        size=size,
        seed=form.seed,
        device=form.device,
        precision=form.precision,
        parent=form.parent,
        save_every=form.save_every,
        terms=form.terms,
        **confined(key, form),
        patience=form.patience,
        processes=form.processes,
        compile=form.compile,
    )
    method.config.from_dict({**begun, **asked})
    request.check()
    return request


def _own(facts: sources.Facts, form: Form) -> dict[str, Any]:
    """Return the settings of the method that have a place of their own in the form.

    Raises:
        StudioError: What is to be learnt cannot be.
    """
    own: dict[str, Any] = {}
    if knobs.has(form.method, knobs.ATTRIBUTE):
        own[knobs.ATTRIBUTE] = _attribute(facts, form.attribute)
    elif needs_labels(form.method) and not facts.learnable:
        raise DataError(_unlabelled(facts))
    if knobs.has(form.method, knobs.FEW_PICTURES):
        own[knobs.FEW_PICTURES] = form.few
    return own


def _repeated(
    store: CheckpointStore, base: TrainRequest, form: Form, own: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the settings of a request, with what was changed in the form since."""
    first, same = of_request(store, base), form.parent == base.parent
    before = {knobs.ATTRIBUTE: first.attribute, knobs.FEW_PICTURES: first.few}
    # What the form shows as unchanged may mean something else beside what was changed.
    shown = () if same and form.fields == first.fields else knobs.shown(form.method)
    kept = {name: value for name, value in base.fields.items() if name not in shown}
    told = {name: value for name, value in own.items() if not same or value != before[name]}
    return {**kept, **form.fields, **told}


def confined(key: str, form: Form) -> dict[str, str]:
    """Return which pictures a cloned request learns from, where it still asks for its data set.

    Raises:
        StudioError: The data set is not there.
    """
    base = form.base
    if base is None or sources.place(key).resolve() != Path(base.data).resolve():
        return {}
    return {"only": base.only, "also": base.also}


def needs_labels(method: str) -> bool:
    """Say whether a method learns from attributes of the pictures."""
    return method in {"attribute-mapping", "dcgan", "stargan", "attributes"}


def _parent(context: Context, form: Form) -> Card:
    card = context.store.card(form.parent)
    if card.method != form.method:
        raise ConfigError(
            f"{card.name} was made by {card.entry.title}, and {methods.find(form.method).title} "
            "cannot start from it; choose another one to start from."
        )
    return card


def _attribute(facts: sources.Facts, name: str) -> str:
    if not facts.learnable:
        raise DataError(_unlabelled(facts))
    if not name:
        raise ConfigError("Choose what is to be learnt: something that some pictures have.")
    if name not in facts.learnable:
        with_it, without = facts.attributes.get(name, (0, 0))
        raise ConfigError(
            f"{traits.label(name)} cannot be learnt from {facts.name}: {with_it} training "
            f"pictures have it and {without} lack it. Choose another attribute."
        )
    return name


def _unlabelled(facts: sources.Facts) -> str:
    return (
        f"No attribute of {facts.name} can be learnt: some training pictures must be marked as "
        "having it and some as lacking it. Mark them under Label, beside Data."
    )


def taken(context: Context, form: Form) -> str:
    """Say why the name cannot be used; empty where it is free."""
    if not form.tag:
        return "It needs a name."
    try:
        check_name(form.name)
    except StudioError as error:
        return str(error)
    if form.name in context.store.names():
        return f"There is a model {form.name} already; choose another name."
    if form.name in making():
        return f"A job is making {form.name} already; choose another name."
    return ""


def making() -> set[str]:
    """Return the names of the models that jobs are making."""
    return {job.request.name for job in jobs.jobs() if job.is_live and job.request}


def of_job(store: CheckpointStore, job: jobs.Job) -> Form:
    """Return the form that asks for the same training once more.

    Args:
        store: Of the parent.
        job: The job.

    Raises:
        ConfigError: The job's request was damaged.
        CheckpointError: What it started from is gone.
    """
    if job.request is None:
        raise ConfigError(f"{job.name} cannot be cloned. {job.error}")
    return of_request(store, job.request)


def of_request(store: CheckpointStore, request: TrainRequest) -> Form:
    """Return the form that makes a request.

    Args:
        store: Of the parent.
        request: The request.

    Raises:
        CheckpointError: What it starts from is gone.
    """
    method, parent = request.method, request.parent
    begun = knobs.start(store, method, parent, modest=False)
    config = methods.find(method).config.from_dict({**begun, **request.fields})
    described = knobs.describe(store, method, parent, request.fields, modest=False)
    shared = {
        name: getattr(request, name)
        for name in Form.__dataclass_fields__
        if hasattr(request, name) and name != "fields"
    }
    return Form(
        **shared,
        attribute=str(getattr(config, knobs.ATTRIBUTE, "")),
        few=bool(getattr(config, knobs.FEW_PICTURES, False)),
        fields=knobs.changed(described),
        base=request,
    )
