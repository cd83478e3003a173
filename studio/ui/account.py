"""Below the tabs of a page with passwords: who is logged in, and the end of their data."""

import html

import gradio as gr

from studio import accounts, paths
from studio.accounts import Belongings
from studio.data.folder import close_archives
from studio.errors import ConfigError
from studio.ui.context import Context
from studio.ui.guard import guarded
from studio.ui.repaint import SLOW

CONFIRMATION = "delete"


def build(context: Context, blocks: gr.Blocks) -> None:
    """Lay the account out; it shows itself where somebody is logged in."""
    with gr.Accordion(
        "Your account", open=False, visible=False, elem_id="account", elem_classes="ls-account"
    ) as account:
        told = gr.HTML(apply_default_css=False, elem_id="account-told")
        words = gr.Textbox(
            label=f"Write “{CONFIRMATION}” to confirm", max_length=20, elem_id="account-words"
        )
        delete = gr.Button("Delete my data", variant="stop", elem_id="account-delete")
    blocks.load(guarded(context, on_load), None, [account, told], **SLOW)
    delete.click(guarded(context, on_delete), words, [told, words], **SLOW).success(
        None, js="() => window.location.reload()"
    )


def on_load(context: Context) -> list[object]:
    """Say who is logged in and what is theirs."""
    del context
    shown = bool(paths.user())
    return [gr.Accordion(visible=shown), summary(accounts.belongings()) if shown else ""]


def on_delete(context: Context, words: str) -> list[str]:
    """Delete everything of the user who asks.

    Raises:
        ConfigError: They did not confirm it, or nobody is logged in.
    """
    if words.strip().lower() != CONFIRMATION:
        raise ConfigError(
            f"Nothing was deleted. Write “{CONFIRMATION}” into the box beside the button first."
        )
    forget(context)
    return [summary(accounts.belongings()), ""]


def forget(context: Context) -> None:
    """Delete everything of the user who asks, from the disk and from memory."""
    accounts.delete_everything()
    context.forget_user()
    close_archives()


def summary(found: Belongings) -> str:
    """Describe what a user has made, as HTML."""
    parts = [
        f"{count:,} {name if count == 1 else name + 's'}"
        for count, name in (
            (found.jobs, "training job"),
            (found.sets, "data set"),
            (found.checkpoints, "model"),
            (found.sliders, "own slider"),
        )
    ]
    listed = f"{', '.join(parts[:-1])} and {parts[-1]}"
    told = (
        f"You are logged in as {paths.user()}. Yours alone are {listed}, "
        f"{found.bytes / 2**20:,.0f} MB in all with what was computed from them. Deleting ends "
        "your jobs and cannot be undone; photographs that you uploaded are gone an hour later. "
    )
    leave = f'<a href="logout">Log {html.escape(paths.user())} out</a>'
    return f'<p class="ls-note">{html.escape(told)}{leave}</p>'
