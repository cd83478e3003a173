"""Serve the studio: ``python app.py``."""

from studio.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["serve"]))
