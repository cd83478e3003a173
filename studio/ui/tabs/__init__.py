"""One module per tab, each with ``build(context)``."""
