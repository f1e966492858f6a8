"""Files beside the inputs of a run that tell of their making.

Apart from what reads them, so that a run without such files imports none of that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from gpwf.core.plan import Plan

__all__ = ["SIDECARS", "find_sidecars"]

#: Endings of files beside an input that tell of its making.
SIDECARS = (".prov.json", ".provenance.log", ".provn", ".provx")


def find_sidecars(plan: Plan) -> list[Path]:
    """Return the files with provenance that go with the inputs of a plan.

    Those that lie beside an input, and those that the metadata of the workflow name, whether they
    are there or not. Each ending is asked for once per input, the folders are not listed: they may
    hold the files of a whole archive.
    """
    inputs = dict.fromkeys(item.path for task in plan.tasks for item in task.files)
    beside = (path + suffix for path in inputs for suffix in SIDECARS)
    found = dict.fromkeys(Path(path) for path in beside if os.path.isfile(path))  # noqa: PTH113
    found.update(dict.fromkeys(_named(plan)))
    return list(found)


def _named(plan: Plan) -> Iterator[Path]:
    """Yield the files that the workflow names."""
    names = plan.metadata.get("provenance", ())
    workflows = [path for path, digest in plan.sources.items() if digest == plan.workflow_digest]
    base = Path(workflows[0]).parent if workflows else Path()
    for name in [names] if isinstance(names, str) else names:
        if isinstance(name, str):
            yield base / name
