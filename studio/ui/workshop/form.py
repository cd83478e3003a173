"""What is asked of a training: the form's values, and the request that they make."""

from dataclasses import dataclass, field, replace
from typing import Any

from studio import jobs, methods, traits
from studio.checkpoints import Card, check_name
from studio.errors import ConfigError, DataError, StudioError
from studio.training.request import TrainRequest
from studio.ui.context import Context
from studio.ui.workshop import checks, knobs, sources

SCRATCH = "Nothing (from scratch)"


@dataclass(frozen=True)
class Form:
    """The controls of the form, in their order on the page."""

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

    @classmethod
    def read(cls, *values: Any) -> "Form":
        """Take what the page sends; an empty number counts as 0, an empty text as nothing."""
        given = dict(zip(cls.__dataclass_fields__, values, strict=True))
        plain: dict[str, Any] = {
            name: type(default)(given[name] or default * 0)
            for name, default in cls().__dict__.items()
            if name != "fields"
        }
        plain |= {"tag": plain["tag"].strip(), "fields": knobs.changed(given["fields"])}
        return cls(**plain)

    @property
    def name(self) -> str:
        """Of the checkpoint."""
        return f"{self.method}.{self.tag}"

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
    begun = knobs.MODEST.get(form.method, {}) if modest and not form.parent else {}
    asked = {**begun, **form.fields}
    if knobs.has(form.method, knobs.ATTRIBUTE):
        asked[knobs.ATTRIBUTE] = _attribute(facts, form.attribute)
    elif needs_labels(form.method) and not facts.learnable:
        raise DataError(_unlabelled(facts))
    if knobs.has(form.method, knobs.FEW_PICTURES):
        asked[knobs.FEW_PICTURES] = form.few
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
        patience=form.patience,
        processes=form.processes,
        compile=form.compile,
    )
    method.config.from_dict({**knobs.start(context.store, form.method, form.parent), **asked})
    request.check()
    return request


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


def of_job(job: jobs.Job) -> Form:
    """Return the form that asks for the same training once more.

    Raises:
        ConfigError: The job's request was damaged.
    """
    request = job.request
    if request is None:
        raise ConfigError(f"{job.name} cannot be cloned. {job.error}")
    asked = dict(request.fields)
    shared = {
        name: getattr(request, name)
        for name in Form.__dataclass_fields__
        if hasattr(request, name) and name != "fields"
    }
    form = Form(**shared, attribute=str(asked.pop(knobs.ATTRIBUTE, "")))
    few = bool(asked.pop(knobs.FEW_PICTURES, False))
    return replace(form, few=few, fields=asked)
