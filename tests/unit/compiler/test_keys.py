"""What the task key depends on, and what it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpwf.compiler.keys import task_key
from gpwf.core.digests import Digest
from gpwf.core.plan import PlannedFile, Task, TaskOutput
from gpwf.core.spec import StepPolicy

FILE = PlannedFile(setting="file", name="m.yaml", path="/a/m.yaml", digest=Digest("1" * 64), size=1)
INPUTS = {"datasets": (Digest("2" * 64),)}
TASK = Task(
    id="fit",
    step="fit",
    tag="fit",
    version="1",
    settings={"file": "/a/m.yaml", "range": {"min": "1.0 TeV"}, "files": ["/a/b"]},
    types={"file": "path", "range.min": "energy", "files.0": "path"},
    origins={},
    inputs={"datasets": (TaskOutput(task="d", product="datasets"),)},
    input_ports=(),
    output_ports=(),
    files=(FILE,),
    packages={"gammapy": "2.1"},
)
KEY = task_key(TASK, INPUTS)


@pytest.mark.parametrize(
    "other",
    [
        replace(TASK, id="other", step="other", place="w.yaml:1:1", coordinates={"seed": 1}),
        replace(TASK, policy=StepPolicy(n_jobs=4, retries=2)),
        replace(TASK, origins={"file": ("profile", "")}),
        replace(TASK, settings={**TASK.settings, "file": "/elsewhere/m.yaml", "files": ["/b/b"]}),
        replace(TASK, files=(replace(FILE, path="/elsewhere/m.yaml"),)),
        replace(TASK, settings=dict(reversed(list(TASK.settings.items())))),
    ],
    ids=["name", "policy", "origin", "path", "place of the file", "key order"],
)
def test_key_does_not_depend_on(other: Task) -> None:
    assert task_key(other, INPUTS) == KEY


@pytest.mark.parametrize(
    "other",
    [
        replace(TASK, tag="flux-points"),
        replace(TASK, version="2"),
        replace(TASK, settings={**TASK.settings, "range": {"min": "2.0 TeV"}}),
        replace(TASK, files=(replace(FILE, digest=Digest("3" * 64)),)),
        replace(TASK, files=(replace(FILE, name="other.yaml"),)),
        replace(TASK, packages={"gammapy": "2.1.1"}),
        replace(
            TASK,
            settings={**TASK.settings, "files": ["/a/b", "/a/c"]},
            types={**TASK.types, "files.1": "path"},
        ),
    ],
    ids=["tag", "version", "setting", "content", "file name", "package", "number of files"],
)
def test_key_depends_on(other: Task) -> None:
    assert task_key(other, INPUTS) != KEY


def test_key_depends_on_inputs_and_their_order() -> None:
    one, two = Digest("4" * 64), Digest("5" * 64)
    assert task_key(TASK, {"datasets": (one, two)}) != task_key(TASK, {"datasets": (two, one)})
    assert task_key(TASK, {"datasets": (one,)}) != KEY


def test_an_input_without_digest_is_refused() -> None:
    with pytest.raises(ValueError, match="datasets"):
        task_key(TASK, {})
