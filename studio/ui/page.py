"""The page: a table of contents, and how it is served."""

from collections.abc import Sequence

import gradio as gr
import torch

from studio import paths
from studio.keeping import empty_old
from studio.ui import account, api, arrivals
from studio.ui.atlas.screen import plotly_file
from studio.ui.context import Context
from studio.ui.style import theme
from studio.ui.tabs import attributes, augment, explore, interpolate, models, swap, train

TITLE = "Latent Studio"
# Uploads are photographs; each place checks its own limit too and says so in a sentence.
# Of a result that is dropped back; photographs have a limit of their own.
MAX_UPLOAD = "200mb"


def build(context: Context) -> gr.Blocks:
    """Build the page around what all its tabs share."""
    with gr.Blocks(title=TITLE, fill_width=True, delete_cache=(600, 3600)) as blocks:
        gr.HTML(f'<h1 class="ls-name">{TITLE}</h1>', apply_default_css=False)
        gr.set_static_paths([plotly_file()])
        watch = arrivals.watch(context)
        with gr.Tabs() as tabs:
            doors = {}
            with gr.Tab("Swap", id="swap"):
                doors["swap"] = swap.build(context, watch)
            with gr.Tab("Attributes", id="attributes"):
                doors["attributes"] = attributes.build(context, watch)
            with gr.Tab("Interpolate", id="interpolate"):
                doors["interpolate"] = interpolate.build(context, watch)
            with gr.Tab("Explore", id="explore"):
                explore.build(context, doors, tabs, watch)
            with gr.Tab("Augment", id="augment"):
                augment.build(context, watch)
            with gr.Tab("Train", id="train"):
                train.build(context, doors, tabs, watch)
            with gr.Tab("Models", id="models"):
                models.build(context, watch)
        account.build(context, blocks)
        api.build(context)
    return blocks


def serve(
    host: str = "127.0.0.1",
    port: int | None = None,
    *,
    share: bool = False,
    auth: Sequence[tuple[str, str]] = (),
    device: torch.device | str = "cpu",
    memory: int | None = None,
    block: bool = True,
) -> gr.Blocks:
    """Serve the page.

    Args:
        host: Address to listen on; the default is reachable from this machine only.
        port: Number, or None for the first free one from 7860.
        share: Whether to open a public link.
        auth: Users with passwords, asked for by the page and by the HTTP API; what each of them
            makes is theirs alone. Without any, all visitors share one home.
        device: Where models run.
        memory: MB of models that stay loaded at most; None for the usual limit.
        block: Whether to stay until interrupted.

    Returns:
        The page; its ``local_url`` says where it is.
    """
    context = Context.open(device)
    if memory is not None:
        context.models.limit = memory * 2**20
    for trash in paths.all_trash():
        empty_old(trash)
    blocks = build(context)
    blocks.launch(
        server_name=host,
        server_port=port,
        share=share,
        auth=list(auth) or None,
        prevent_thread_lock=not block,
        theme=theme(),
        css_paths=paths.ASSETS / "style.css",
        max_file_size=MAX_UPLOAD,
        run_history=False,
        enable_monitoring=False,
        footer_links=["api", "settings"],
    )
    return blocks
