"""Settings that suit a data set: what a person who changes nothing trains with."""

import re
from collections.abc import Sequence
from dataclasses import replace

from studio import methods, traits
from studio.checkpoints import Card
from studio.data.batch import DataSpec
from studio.methods.base import GradientStage, Operation
from studio.training.heldout import LEAST
from studio.ui.context import Context
from studio.ui.workshop import knobs, sources
from studio.ui.workshop.form import Form, making, parents
from studio.ui.workshop.sources import Facts

# Fewer training pictures than these are learnt by heart before they are learnt.
FEW = 2000
STEPS = {"few": 2000, "many": 3000, "scratch": 6000}
SAVES = 20
PATIENCE = 5
# What models of a method will be able to do, in the order in which a person should read of them.
METHOD_WORDS = {
    "genegan": "Swap one thing, such as a hat",
    "attribute-mapping": "Sliders for a face, and new faces",
    "cyclic": "Put one thing on or take it off",
    "stargan": "Turn attributes of a face over",
    "dcgan": "New faces from attributes",
    "attributes": "Read attributes off a face",
    "aeai": "Interpolate evenly (AEAI)",
    "autoencoder": "Interpolate (plain autoencoder)",
    "aae": "Interpolate (AAE)",
    "acai": "Interpolate (ACAI)",
    "beta_vae": "Interpolate (Beta-VAE)",
    "amr": "Interpolate (AMR)",
    "gaia": "Interpolate (GAIA)",
    "identity": "Tell how alike two faces are",
    "eyes": "Find the eyes in a rough crop",
    "realness": "Tell real pictures from made ones",
}


def method_choices() -> list[tuple[str, str]]:
    """Return what a person reads of each method, and its name."""
    named = [*METHOD_WORDS, *(name for name in methods.METHODS if name not in METHOD_WORDS)]
    return [
        (METHOD_WORDS.get(name, methods.find(name).summary), name)
        for name in named
        if name in methods.METHODS
    ]


def settle(context: Context, key: str, form: Form, before: Form) -> tuple[Form, Form]:
    """Propose anew whatever nobody changed.

    Args:
        context: The shared context.
        key: Of the data set; empty where none is chosen.
        form: What the page says.
        before: What was proposed last: where the form says the same, nobody changed it.

    Returns:
        The form to show, and what is proposed by now.
    """
    facts = sources.facts_of(context, key) if key else None
    cards, same = parents(context, form.method), form.method == before.method
    usual = _parent(cards, facts)
    cloned = same and bool(form.cloned)
    chosen = cloned or (same and form.parent != before.parent)
    parent = form.parent if chosen and form.parent in {card.name for card in cards} else usual
    parent = "" if chosen and not form.parent else parent
    attribute = first = _attribute(facts, _own_attribute(cards, parent)) if facts else ""
    kept = cloned or form.attribute != before.attribute
    if kept and facts and form.attribute in facts.learnable:
        attribute = form.attribute
    proposed = _proposed(context, form.method, parent, attribute, facts)
    # A clone asks for what it was made of, whether or not that would be proposed.
    open_to = {"tag"} if cloned else set(Form.__dataclass_fields__) - {"base"}
    unchanged = [
        name
        for name in Form.__dataclass_fields__
        if (name in open_to and getattr(form, name) == getattr(before, name))
        or (name == "size" and parent)
    ]
    shown = replace(form, **{name: getattr(proposed, name) for name in unchanged})
    # Another method has other settings.
    shown = replace(shown, parent=parent, attribute=attribute, fields=form.fields if same else {})
    return shown, replace(proposed, parent=usual, attribute=first)


def _parent(cards: Sequence[Card], facts: Facts | None) -> str:
    """Return a checkpoint that knows such pictures, or nothing where none may."""
    rendered = facts.rendered if facts else False
    alike = [card for card in cards if ("heads" in card.name) == rendered]
    # Photographs' own eyeglasses are the largest object that any model of ours knows.
    alike.sort(key=lambda card: ("eyeglasses" not in card.name, card.name))
    return alike[0].name if alike else ""


def _own_attribute(cards: Sequence[Card], parent: str) -> str:
    card = next((card for card in cards if card.name == parent), None)
    return str(card.config.get(knobs.ATTRIBUTE, "")) if card else ""


def _attribute(facts: Facts, known: str) -> str:
    """Return the attribute with most pictures on both sides that the parent does not know yet."""
    named = [name for name in facts.learnable if _plain(name) in _plain(facts.name)]
    others = [name for name in facts.learnable if name != known]
    return next(iter([*named, *others, *facts.learnable]), "")


def _plain(name: str) -> str:
    return re.sub(r"wearing|[^a-z0-9]", "", name.lower())


def _proposed(
    context: Context, method: str, parent: str, attribute: str, facts: Facts | None
) -> Form:
    few = bool(facts and facts.train < FEW)
    steps = STEPS["scratch" if not parent else "few" if few else "many"]
    save_every = max(50, steps // SAVES)
    return Form(
        method=method,
        parent=parent,
        attribute=attribute,
        tag=_tag(context, method, attribute, facts),
        steps=steps,
        size=context.store.card(parent).spec.size if parent else 64,
        batch_size=16 if few else 32,
        save_every=save_every,
        patience=PATIENCE if few and facts and _can_stop(context, method, parent, facts) else 0,
        few=few and knobs.has(method, knobs.FEW_PICTURES),
    )


def _tag(context: Context, method: str, attribute: str, facts: Facts | None) -> str:
    """Return a free name after what is learnt, or after the data."""
    words = facts.name if facts else ""
    if attribute and knobs.has(method, knobs.ATTRIBUTE):
        words = traits.label(attribute).removeprefix("Wearing ")
    stem = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-") or "mine"
    return free_tag(context, method, f"my-{stem}")


def free_tag(context: Context, method: str, wish: str) -> str:
    """Return a tag like the given one under which no model of the method stands or is made."""
    taken = {*context.store.names(), *making()}
    tags = (f"{wish}{f'-{number}' if number > 1 else ''}" for number in range(1, 1000))
    return next(tag for tag in tags if f"{method}.{tag}" not in taken)


def _can_stop(context: Context, method: str, parent: str, facts: Facts) -> bool:
    """Say whether a training of this method gives a result on held-out pictures to wait for."""
    entry = methods.find(method)
    measured = entry.operations & {Operation.SWAP, Operation.EDIT, Operation.INTERPOLATE}
    if facts.validation < LEAST or not (measured or method == "attributes"):
        return False
    card = context.store.card(parent) if parent else None
    config = card.typed_config if card else entry.config.from_dict(knobs.MODEST.get(method, {}))
    spec = card.spec if card else DataSpec(64, attributes=tuple(facts.learnable))
    stages = entry.stages(config, spec)
    return sum(isinstance(stage, GradientStage) for stage in stages) == 1
