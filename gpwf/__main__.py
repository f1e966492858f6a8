"""``python -m gpwf`` is ``gpwf``."""

from gpwf.cli import main

if __name__ == "__main__":
    main()
