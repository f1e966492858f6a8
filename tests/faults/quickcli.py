"""The command line ``gpwf``, with workers that do without gammapy: they start in no time."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def main() -> None:
    """Run the command line."""
    sys.path[0] = str(HERE)
    from gpwf.api import recording
    from gpwf.cli.main import cli
    from gpwf.run.executors.local import LocalExecutor

    original = LocalExecutor.__init__

    def quick(self: LocalExecutor, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **{**options, "prepare": "fakecatalog:prepare"})

    LocalExecutor.__init__ = quick  # type: ignore[method-assign]
    if "MANY_TASKS" in os.environ:  # from which on a run has a companion
        recording.MANY_TASKS = int(os.environ["MANY_TASKS"])
    cli(prog_name="gpwf")


if __name__ == "__main__":
    main()
