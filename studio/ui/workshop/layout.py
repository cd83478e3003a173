"""The three zones of the tab Train: data on the left, the stage in the middle, the form right."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.ui.components import note, scripted
from studio.ui.context import Context
from studio.ui.guard import beside
from studio.ui.workshop import asked, painting, proposals
from studio.ui.workshop.form import SCRATCH, Form

DATA, LABEL, JOBS = "train-data", "train-label", "train-jobs"
DEVICES = [("Best there is", "auto"), ("Processor", "cpu"), ("NVIDIA graphics card", "cuda")]
DEVICES += [("Apple graphics", "mps")]
PRECISIONS = [("Best there is", "auto"), ("32 bits", "fp32"), ("16 bits (bf16)", "bf16")]


@dataclass(frozen=True, eq=False)
class Desk:
    """The tab's components."""

    sets: gr.Dropdown
    upload: gr.File
    verdict: gr.HTML
    delete: gr.HTML
    views: gr.Tabs
    status: gr.HTML
    check: gr.Button
    stop: gr.Button
    report: gr.HTML
    plot: gr.Plot
    table: gr.HTML
    aligning: gr.Column
    aligned: gr.Textbox
    align: gr.Button
    flaws: gr.HTML
    attribute: gr.Textbox
    marked: gr.Textbox
    labels: gr.HTML
    board: gr.HTML
    form: list[Any]
    method_note: gr.HTML
    about: gr.HTML
    name_note: gr.HTML
    confined: gr.HTML
    estimate: gr.HTML
    start: gr.Button

    def data(self) -> list[Any]:
        """List the components that show a data set, in the order of ``painting.data``."""
        return [
            self.sets,
            self.verdict,
            self.status,
            self.check,
            self.stop,
            self.report,
            self.plot,
            self.table,
            self.aligning,
            self.aligned,
            self.flaws,
            self.labels,
            self.marked,
            self.delete,
        ]

    def asked(self) -> list[Any]:
        """List the components that show a form, in the order of ``painting.form``."""
        return [*self.form, self.method_note, self.about, self.name_note, self.confined]


def build(context: Context) -> Desk:
    """Lay the tab out."""
    with gr.Row(elem_classes="ls-desk"):
        with (
            gr.Column(elem_classes="ls-sources", min_width=0),
            gr.Accordion("Data", open=True, elem_classes="ls-fold"),
        ):
            sources = _build_sources()
        with gr.Column(elem_classes="ls-middle", min_width=0), gr.Tabs() as views:
            with gr.Tab("Data", id=DATA, elem_id=DATA):
                checked = _build_check()
            with gr.Tab("Label", id=LABEL, elem_id=LABEL):
                labelled = _build_labels(context)
            with gr.Tab("Jobs", id=JOBS, elem_id=JOBS):
                board = _board(context)
        with gr.Column(elem_classes="ls-controls", min_width=0):
            asked_for = _build_form()
    components = [*sources, views, *checked, *labelled, board, *asked_for]
    return Desk(*components)


def _build_sources() -> list[Any]:
    sets = gr.Dropdown([], label="Data set", elem_id="train-sets")
    verdict = gr.HTML(apply_default_css=False, elem_id="train-verdict")
    upload = gr.File(
        label="Or a zip of your own", file_types=[".zip"], height=160, elem_id="train-upload"
    )
    gr.HTML(
        note(
            "Pictures, with an attributes.csv if they are labelled: first column file, each other "
            "one an attribute with 0 and 1. Without one, mark them under Label. Zips above "
            "200 MB go into the data folder of your Latent Studio home."
        ),
        apply_default_css=False,
    )
    # Event: ``remove``, at the second press.
    delete = scripted("ls-delete", "delete.js", elem_id="train-delete")
    return [sets, upload, verdict, delete]


def _build_check() -> list[Any]:
    with gr.Row(elem_classes="ls-deeds"):
        check = gr.Button("Look at every picture", size="sm", elem_id="train-check")
        stop = gr.Button("Stop", size="sm", visible=False, elem_id="train-check-stop")
    status = gr.HTML(apply_default_css=False, elem_id="train-check-status")
    report = gr.HTML(apply_default_css=False, elem_id="train-report")
    with gr.Column(min_width=0, visible=False, elem_classes="ls-offer") as aligning:
        gr.HTML(
            note("Faces at the eyes' usual places are learnt far better; a copy is made."),
            apply_default_css=False,
        )
        with gr.Row(elem_classes="ls-pair"):
            aligned = gr.Textbox(label="Name of the aligned copy", elem_id="train-aligned")
            align = gr.Button("Align faces", size="sm", elem_id="train-align")
    plot = gr.Plot(show_label=False, visible=False, elem_classes="ls-plot", elem_id="train-plot")
    table = gr.HTML(apply_default_css=False, elem_id="train-table")
    flaws = gr.HTML(apply_default_css=False, elem_id="train-flaws")
    return [status, check, stop, report, plot, table, aligning, aligned, align, flaws]


def _build_labels(context: Context) -> list[Any]:
    with gr.Row(elem_classes="ls-pair"):
        attribute = gr.Textbox(
            label="What do you mark?", elem_id="train-attribute-name", max_length=40,
            info="A short name, such as Hat.",
        )  # fmt: skip
        marked = gr.Textbox(
            label="Save in the set", elem_id="train-marked", max_length=40,
            info="Its own name adds the marks to it.",
        )  # fmt: skip
    # Event: ``save``. Marks are kept beside the queue as they are made.
    labels = scripted(
        "ls-labels", "labels.js", elem_id="train-labels",
        server_functions=[
            beside(context, work)
            for work in (asked.pictures, asked.mark, asked.begin_with, asked.forget)
        ],
    )  # fmt: skip
    return [attribute, marked, labels]


def _board(context: Context) -> gr.HTML:
    """Return the jobs.

    Events: ``clone``, ``card``, ``open_swap`` and the like, each with the ``name`` of a job.
    """
    return scripted(
        "ls-jobs", "jobs.js", elem_id="train-board",
        server_functions=[
            beside(context, work) for work in (asked.look, asked.sheet, asked.act)
        ],
    )  # fmt: skip


def _build_form() -> list[Any]:
    first = Form()
    method = gr.Dropdown(
        proposals.method_choices(), value=first.method, label="What shall it learn to do?",
        elem_id="train-method",
    )  # fmt: skip
    method_note = gr.HTML(apply_default_css=False)
    parent = gr.Dropdown([(SCRATCH, "")], value="", label="Start from", elem_id="train-parent")
    about = gr.HTML(apply_default_css=False)
    attribute = gr.Dropdown([], label="Which attribute", elem_id="train-attribute")
    tag = gr.Textbox(label="Name of the new model", elem_id="train-tag", max_length=40)
    name_note = gr.HTML(apply_default_css=False, elem_id="train-name-note")
    with gr.Row(elem_classes="ls-pair"):
        steps = gr.Number(first.steps, label="Steps", precision=0, minimum=1, elem_id="train-steps")
        size = gr.Dropdown(
            painting.sizes(first.size), value=first.size, label="Picture size",
            elem_id="train-size",
        )  # fmt: skip
    with gr.Accordion("More", open=False, elem_id="train-more"):
        rest = _build_more(first)
        confined = gr.HTML(apply_default_css=False, elem_id="train-confined")
    estimate = gr.HTML(apply_default_css=False, elem_id="train-estimate")
    start = gr.Button("Start training", variant="primary", elem_id="train-start")
    form = [method, parent, attribute, tag, steps, size, *rest]
    return [form, method_note, about, name_note, confined, estimate, start]


def _build_more(first: Form) -> list[Any]:
    with gr.Row(elem_classes="ls-pair"):
        batch_size = gr.Number(
            first.batch_size, label="Pictures per step", precision=0, minimum=2,
            elem_id="train-batch",
        )  # fmt: skip
        save_every = gr.Number(
            first.save_every, label="Save every", precision=0, minimum=1, elem_id="train-save-every"
        )
    with gr.Row(elem_classes="ls-pair"):
        patience = gr.Number(
            first.patience, label="Patience", precision=0, minimum=0, elem_id="train-patience",
        )  # fmt: skip
        seed = gr.Number(first.seed, label="Seed", precision=0, elem_id="train-seed")
    gr.HTML(
        note(
            "Patience: it ends with the best result after so many saves without a better one on "
            "held-out pictures; 0 takes all steps."
        ),
        apply_default_css=False,
    )
    few = gr.Checkbox(
        first.few, label="Few pictures", elem_id="train-few",
        info="Shows the judges altered pictures, more of them the more they learn by heart.",
    )  # fmt: skip
    with gr.Row(elem_classes="ls-pair"):
        device = gr.Dropdown(DEVICES, value=first.device, label="Device", elem_id="train-device")
        precision = gr.Dropdown(
            PRECISIONS, value=first.precision, label="Numbers", elem_id="train-precision"
        )
    with gr.Row(elem_classes="ls-pair"):
        compiled = gr.Checkbox(first.compile, label="Compile", info="Pays on long runs.")
        processes = gr.Number(
            first.processes, label="Processes", precision=0, minimum=1, elem_id="train-processes"
        )
    terms = gr.Textbox(
        label="Terms of the data", elem_id="train-terms", max_length=200,
        info="Under which terms the pictures may be used; the model's card repeats it.",
    )  # fmt: skip
    with gr.Accordion("The method's own settings", open=False):
        # Event: ``edit``.
        fields = scripted("ls-settings", "settings.js", elem_id="train-fields")
    base = gr.State(first.base)
    return [
        batch_size, seed, save_every, patience, few, device, precision, compiled, processes, terms,
        fields, base,
    ]  # fmt: skip
