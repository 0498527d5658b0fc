"""``python -m glial`` is the command ``glial``."""

from glial.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
