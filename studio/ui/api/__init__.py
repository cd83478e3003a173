"""The HTTP API: named endpoints that keep nothing between calls.

Pictures come as uploads (``/gradio_api/upload``, or ``gradio_client.handle_file``); any other path
is refused. ``--auth`` protects these endpoints as it does the page.
"""

from studio.ui.api import account, data_sets, models, pictures, training, transfer
from studio.ui.context import Context


def build(context: Context) -> None:
    """Register all endpoints."""
    for module in (pictures, transfer, data_sets, training, models, account):
        module.build(context)
