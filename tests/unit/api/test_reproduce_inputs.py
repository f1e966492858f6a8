"""Inputs of a recorded plan on another machine: found by name, digest, or below GAMMAPY_DATA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from gpwf.api.reproduce_inputs import Folders, check_inputs, relocate
from gpwf.core.catalog import ExternalFile, StepCatalog
from gpwf.core.digests import digest_bytes
from gpwf.core.plan import Plan, PlannedFile, Task
from gpwf.errors import PlanError, StepInputError

_OLD = "/old/data/dl3"
_NAMES = ("obs-index.txt", "run/1.txt", "run/2.txt")


class Catalog:
    """Reads the files of a datastore: what its index names, relative to it."""

    def files_key(
        self, tag: str, settings: Mapping[str, Any], types: Mapping[str, str]
    ) -> str | None:
        return str(settings["datastore"])

    def external_files(self, tag: str, settings: Mapping[str, Any]) -> Sequence[ExternalFile]:
        root = Path(settings["datastore"])
        if not (root / "obs-index.txt").is_file():
            raise StepInputError("there is no index", setting="datastore")
        names = ("obs-index.txt", *(root / "obs-index.txt").read_text().split())
        return [ExternalFile(setting="datastore", path=root / name, name=name) for name in names]


CATALOG = cast(StepCatalog, Catalog())


def content(name: str, index: str = "run/1.txt run/2.txt") -> bytes:
    return index.encode() if name == "obs-index.txt" else f"content of {name}".encode()


def plan(index: str = "run/1.txt run/2.txt") -> Plan:
    files = tuple(
        PlannedFile(
            setting="datastore",
            name=name,
            path=f"{_OLD}/{name}",
            digest=digest_bytes(content(name, index)),
            size=len(content(name, index)),
        )
        for name in _NAMES
    )
    settings = {"datastore": _OLD, "obs_ids": [1, 2]}
    common: dict[str, Any] = {
        "step": "read",
        "tag": "read",
        "version": "1",
        "settings": settings,
        "types": {"datastore": "path"},
        "origins": {},
        "inputs": {},
        "input_ports": (),
        "output_ports": (),
        "files": files,
    }
    tasks = tuple(Task(id=f"read[n={n}]", **common) for n in range(2))
    return Plan(name="p", workflow_digest=digest_bytes(b""), tasks=tasks, steps=())


def put(folder: Path, names: Mapping[str, str], index: str = "run/1.txt run/2.txt") -> None:
    for name, place in names.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(name, index))


def test_below_the_folder_of_the_data_of_now(tmp_path: Path) -> None:
    put(tmp_path / "here/dl3", {name: name for name in _NAMES})
    made = plan()
    checks = check_inputs(made, Folders(moved={"/old/data": str(tmp_path / "here")}))
    assert [str(item.state) for item in checks] == ["elsewhere"] * 3
    moved = relocate(made, checks, tmp_path / "farm", CATALOG)
    assert moved.tasks[0].settings == {"datastore": str(tmp_path / "here/dl3"), "obs_ids": [1, 2]}
    assert moved.tasks[0].files[1].path == str(tmp_path / "here/dl3/run/1.txt")
    assert not (tmp_path / "farm").exists()
    # what tasks share is shared afterwards, too: the plan of a large scatter stays small
    assert moved.tasks[0].files is moved.tasks[1].files
    assert moved.tasks[0].settings is moved.tasks[1].settings


def test_scattered_files_are_linked_under_their_names(tmp_path: Path) -> None:
    names = {"obs-index.txt": "a/obs-index.txt", "run/1.txt": "b/1.txt", "run/2.txt": "c/other.txt"}
    put(tmp_path / "here", names)
    put(tmp_path / "here", {"obs-index.txt": "z/1.txt"})  # the name of another
    made = plan()
    checks = check_inputs(made, Folders([tmp_path / "here"]))
    moved = relocate(made, checks, tmp_path / "farm", CATALOG)
    root = Path(moved.tasks[0].settings["datastore"])
    assert root.is_relative_to(tmp_path / "farm")
    for name, item in zip(_NAMES, moved.tasks[0].files, strict=True):
        assert Path(item.path) == root / name
        assert (root / name).read_bytes() == content(name)
    assert relocate(made, checks, tmp_path / "farm", CATALOG) == moved  # once more


def test_what_lies_where_it_was_is_left_alone(tmp_path: Path) -> None:
    made = Plan(name="p", workflow_digest=digest_bytes(b""), tasks=(), steps=())
    assert relocate(made, check_inputs(made, Folders()), tmp_path / "farm", CATALOG) is made


def test_missing_files_are_missing(tmp_path: Path) -> None:
    put(tmp_path / "here", {"run/1.txt": "1.txt"})
    checks = check_inputs(plan(), Folders([tmp_path / "here"]))
    assert [str(item.state) for item in checks] == ["missing", "elsewhere", "missing"]
    assert checks[0].steps == ("read",)


def test_links_that_lead_back_are_followed_once(tmp_path: Path) -> None:
    put(tmp_path / "here", {name: f"deep/{name}" for name in _NAMES})
    (tmp_path / "here/deep/back").symlink_to(tmp_path / "here")
    (tmp_path / "here/broken").symlink_to(tmp_path / "nowhere")
    assert all(item.is_there for item in check_inputs(plan(), Folders([tmp_path / "here"])))


def test_a_step_that_would_read_other_files_is_found_out(tmp_path: Path) -> None:
    """A path is written in an input: it still leads to the old place."""
    index = "run/1.txt"  # and the plan has another file, which something else names
    put(tmp_path / "here", {name: name for name in _NAMES}, index)
    made = plan(index)
    checks = check_inputs(made, Folders([tmp_path / "here"]))
    with pytest.raises(PlanError, match=r"other files than those recorded: .*2\.txt"):
        relocate(made, checks, tmp_path / "farm", CATALOG)
