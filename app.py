"""Serve the studio: ``python app.py``, with the options of ``latent-studio serve``."""

import sys

from studio.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["serve", *sys.argv[1:]]))
