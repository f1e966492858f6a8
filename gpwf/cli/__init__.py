"""The command line."""

from gpwf.cli.main import main

__all__ = ["main"]
