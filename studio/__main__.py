"""``python -m studio`` is ``latent-studio``."""

from studio.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
