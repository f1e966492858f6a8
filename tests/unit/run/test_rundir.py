"""Run directories: readable names, privacy, the lock."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gpwf.core.digests import digest_bytes
from gpwf.core.plan import Plan, Task
from gpwf.core.plan_codec import plan_from_plain
from gpwf.core.runs import Product
from gpwf.errors import RunError
from gpwf.run.rundir import RunDirectory, lock_holder, new_run_path
from gpwf.store.store import Store


def _task(name: str, step: str | None = None) -> Task:
    return Task(
        id=name,
        step=step or name,
        tag="act",
        version="1",
        settings={},
        types={},
        origins={},
        inputs={},
        input_ports=(),
        output_ports=(),
    )


def _product(store: Store, folder: Path, **files: str) -> Product:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    return store.objects.publish(folder, "text", {})


def _names(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir())


def test_a_run_directory_is_private_and_latest(tmp_path: Path) -> None:
    path = new_run_path(tmp_path, "crab 1d/é")
    with RunDirectory(path) as rundir:
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert path.parent.parent == tmp_path
        assert (path.parent / "latest").resolve() == path
        for place in (rundir.work, rundir.products, rundir.prov):
            assert place.is_dir()
    second = new_run_path(tmp_path, "crab 1d/é")
    RunDirectory(second).close()
    assert second != path
    assert (path.parent / "latest").resolve() == second


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "workflow.yaml").write_text("precious")
    with pytest.raises(RunError, match=r"no run directory and not empty: it has workflow\.yaml"):
        RunDirectory(tmp_path)
    assert _names(tmp_path) == ["workflow.yaml"]
    assert (tmp_path / "workflow.yaml").read_text() == "precious"


def test_an_empty_folder_can_be_taken(tmp_path: Path) -> None:
    RunDirectory(tmp_path).close()
    RunDirectory(tmp_path).close()  # and then it is a run directory


def test_a_folder_called_latest_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    (tmp_path / "latest" / "mine").touch()
    RunDirectory(tmp_path / "run").close()
    assert (tmp_path / "latest" / "mine").exists()


def test_the_plan_is_frozen(tmp_path: Path) -> None:
    plan = Plan(name="crab", workflow_digest=digest_bytes(b""), tasks=(_task("a"),), steps=())
    with RunDirectory(tmp_path / "run") as rundir:
        digest = rundir.freeze(plan, "gpwf: 1\n# as given\n")
        assert digest == digest_bytes(rundir.plan.read_bytes())
        document = json.loads(rundir.plan.read_text())
        assert document["format"] == "gpwf-plan/2"
        assert plan_from_plain(document) == plan
        assert rundir.workflow.read_text() == "gpwf: 1\n# as given\n"


def test_products_have_readable_names(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    first = _product(store, tmp_path / "one", **{"a.txt": "one", "b.txt": "more"})
    second = _product(store, tmp_path / "two", **{"a.txt": "two"})
    with RunDirectory(tmp_path / "run") as rundir:
        rundir.show(_task("fit"), {"models": first}, store.objects)
        shown = rundir.products / "fit" / "models"
        assert _names(shown) == ["a.txt", "b.txt"]
        rundir.show(_task("fit"), {"models": second}, store.objects)
        assert _names(shown) == ["a.txt"]
        assert (shown / "a.txt").read_text() == "two"
        rundir.show(_task("fit[seed=3]", "fit"), {"models": second}, store.objects)
        assert (rundir.products / "fit" / "seed=3" / "models" / "a.txt").read_text() == "two"
        assert _names(rundir.products / "fit") == ["models", "seed=3"]


def test_the_whole_folder_can_be_moved(tmp_path: Path) -> None:
    before = tmp_path / "project"
    store = Store(before / "store")
    product = _product(store, tmp_path / "one", **{"a.txt": "one"})
    with RunDirectory(before / "run") as rundir:
        rundir.show(_task("fit"), {"models": product}, store.objects)
    after = tmp_path / "moved"
    before.rename(after)
    assert (after / "run" / "products" / "fit" / "models" / "a.txt").read_text() == "one"


def test_links_lead_into_the_store_from_a_folder_that_is_itself_a_link(tmp_path: Path) -> None:
    (tmp_path / "scratch" / "deep" / "runs").mkdir(parents=True)
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "runs").symlink_to(tmp_path / "scratch" / "deep" / "runs")
    store = Store(tmp_path / "project" / "store")
    product = _product(store, tmp_path / "one", **{"a.txt": "one"})
    with RunDirectory(tmp_path / "project" / "runs" / "run") as rundir:
        rundir.show(_task("fit"), {"models": product}, store.objects)
        assert (rundir.products / "fit" / "models" / "a.txt").read_text() == "one"


def test_pages_are_copies_for_browsers_judge_them_by_the_name(tmp_path: Path) -> None:
    """They follow a link first; the name in the store has no suffix."""
    store = Store(tmp_path / "store")
    product = _product(store, tmp_path / "one", **{"a.html": "<p>", "a.txt": "one"})
    with RunDirectory(tmp_path / "run") as rundir:
        for _ in range(2):  # shown again in its place
            rundir.show(_task("notebook"), {"html": product}, store.objects)
            shown = rundir.products / "notebook" / "html"
            assert (shown / "a.html").read_text() == "<p>"
            assert not (shown / "a.html").is_symlink()
            assert (shown / "a.txt").is_symlink()


def test_copies_where_links_are_impossible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    store = Store(tmp_path / "store")
    product = _product(store, tmp_path / "one", **{"a.txt": "one"})
    monkeypatch.setattr(os, "symlink", refuse)
    with RunDirectory(tmp_path / "run") as rundir:
        rundir.show(_task("fit"), {"models": product}, store.objects)
        shown = rundir.products / "fit" / "models" / "a.txt"
        assert shown.read_text() == "one"
        assert not shown.is_symlink()


@pytest.mark.parametrize("name", ["..", "a/b", "a\0b", ".", "", "x" * 300, "fit[a=../../b]"])
def test_strange_names_stay_inside(tmp_path: Path, name: str) -> None:
    with RunDirectory(tmp_path / "run") as rundir:
        path = rundir.attempt_folder(name, 1)
        assert path.parent.parent == rundir.work
        assert path.parent.name not in ("", ".", "..")
        path.mkdir(parents=True)
        assert rundir.attempt_folder(name, 1) != path


def test_names_that_look_alike_do_not_collide(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "run") as rundir:
        folders = {rundir.attempt_folder(name, 1).parent for name in ("a b", "a/b", "a_b")}
        assert len(folders) == 3


def test_the_lock_names_its_holder_and_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "run"
    code = (
        "import sys, time; from pathlib import Path; from gpwf.run.rundir import RunDirectory\n"
        "held = RunDirectory(Path(sys.argv[1])); print('held', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        for _ in range(2):
            with pytest.raises(RunError, match=f"in use by process {holder.pid} on "):
                RunDirectory(path)
        assert f"process {holder.pid} " in (lock_holder(path) or "")
    finally:
        holder.kill()
        holder.communicate()
    assert lock_holder(path) is None
    RunDirectory(path).close()


def test_who_asks_is_no_holder(tmp_path: Path) -> None:
    RunDirectory(tmp_path / "run").close()
    with (tmp_path / "run" / "run.lock").open() as stream:
        fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)  # as another `gpwf status` does
        assert lock_holder(tmp_path / "run") is None


def test_nobody_holds_what_is_not_there(tmp_path: Path) -> None:
    assert lock_holder(tmp_path / "nothing") is None
