"""Damage, places that cannot be written, inputs that change."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from fakecatalog import plan, task
from harness import lines, run, states

from gpwf.errors import ExitCode, RunError, StoreError
from gpwf.run.executors.base import Job
from gpwf.run.executors.local import LocalExecutor
from gpwf.run.rundir import RunDirectory
from gpwf.store.store import Store


def _damage(path: Path, *, keep_times: bool = False) -> None:
    """Change a byte of a file of the store."""
    before = path.stat()
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(bytes(data))
    path.chmod(0o444)
    if keep_times:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _object(folder: Path, view: object, name: str) -> Path:
    product = view.tasks[name].products["text"]  # type: ignore[attr-defined]
    digest = next(item.digest for item in product.files if item.name == "value.txt")
    return Store(folder / "store").objects.path(digest)


@pytest.mark.parametrize("how", ["changed", "changed in secret", "cut off", "deleted"])
def test_a_damaged_product_is_made_again(tmp_path: Path, how: str) -> None:
    counted, below = tmp_path / "n", tmp_path / "below"
    work = plan(
        task("a", do="count", file=str(counted)), task("b", "a", do="count", file=str(below))
    )
    first = run(work, tmp_path)
    path = _object(tmp_path, first, "a")
    good = path.read_bytes()
    match how:
        case "cut off":
            path.chmod(0o644)
            path.write_bytes(good[:3])
        case "deleted":
            path.unlink()
        case _:
            _damage(path, keep_times=how == "changed in secret")
    second = run(work, tmp_path, name="again")
    assert states(second) == {"a": "ok", "b": "cached"}
    assert path.read_bytes() == good
    assert len(lines(counted)) == 2
    assert len(lines(below)) == 1
    set_aside = list((tmp_path / "store" / "damaged").iterdir())
    assert len(set_aside) == (0 if how == "deleted" else 1)


def test_damage_that_only_the_worker_sees_is_mended_in_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(plan(task("a")), tmp_path)
    _damage(_object(tmp_path, first, "a"))
    monkeypatch.setattr(Store, "damage", lambda self, product: [])  # as if bits had rotted
    restored = Store.damage

    events: list = []

    def listen(event: object) -> None:
        events.append(event)
        if getattr(event, "retry", False):  # from now on the driver sees it as well
            monkeypatch.undo()

    class Events(list):
        append = staticmethod(listen)  # type: ignore[assignment]

    view = run(plan(task("a"), task("b", "a")), tmp_path, name="again", events=Events())
    assert restored is not Store.damage
    assert states(view) == {"a": "ok", "b": "ok"}
    ends = [(item.started_event.task, item.finished_event.retry) for item in _attempts(view)]
    assert sorted(ends) == [("a", False), ("b", False), ("b", True)]


def test_what_was_made_and_damaged_in_one_run_is_made_once_more(tmp_path: Path) -> None:
    """Its second attempt is called the second."""

    class Events(list):
        def append(self, event: object) -> None:
            if getattr(event, "task", "") == "a" and getattr(event, "products", None) and not self:
                super().append(event)
                name = event.products["text"].files[0].digest  # type: ignore[attr-defined]
                _damage(tmp_path / "store" / "objects" / name[:2] / name)

    view = run(plan(task("a"), task("b", "a")), tmp_path, events=Events())
    assert states(view) == {"a": "ok", "b": "ok"}
    assert [item.started_event.attempt for item in view.tasks["a"].attempts] == [1, 2]
    assert [item.started_event.attempt for item in view.tasks["b"].attempts] == [1, 2]


def _attempts(view: object) -> list:
    return [item for task in view.tasks.values() for item in task.attempts]  # type: ignore[attr-defined]


def test_a_damaged_result_is_no_result(tmp_path: Path) -> None:
    work = plan(task("a"))
    view = run(work, tmp_path)
    path = Store(tmp_path / "store").results.path(view.tasks["a"].key)
    path.write_bytes(path.read_bytes().replace(b"text", b"tixt", 1))
    assert states(run(work, tmp_path, name="again")) == {"a": "ok"}
    assert states(run(work, tmp_path, name="third")) == {"a": "cached"}


def test_an_input_that_changes_while_it_is_read_fails_the_task(tmp_path: Path) -> None:
    data = tmp_path / "data.txt"
    data.write_text("as planned")
    work = plan(task("a", do="overwrite", reads=data, file=str(data)))
    view = run(work, tmp_path)
    assert view.tasks["a"].state == "failed"
    assert str(data) in view.tasks["a"].reason
    assert "while the step read it" in view.tasks["a"].reason
    assert not list((tmp_path / "store" / "results").rglob("*/*"))


def test_an_input_that_changed_since_the_plan_fails_the_task(tmp_path: Path) -> None:
    data = tmp_path / "data.txt"
    data.write_text("as planned")
    work = plan(task("a", reads=data))
    data.write_text("later")
    assert "since the plan was made" in run(work, tmp_path).tasks["a"].reason
    data.unlink()
    again = run(work, tmp_path, name="again")
    assert f"{data} cannot be read: No such file" in again.tasks["a"].reason


_UNWRITABLE = [
    pytest.param(
        "/proc/no-such-place/here",
        marks=pytest.mark.skipif(sys.platform != "linux", reason="needs /proc"),
    ),
    "file/here",
    pytest.param(
        "locked/here",
        marks=pytest.mark.skipif(os.geteuid() == 0, reason="nothing is locked for root"),
    ),
]


def _places(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "locked").mkdir(mode=0o500)


@pytest.mark.parametrize("place", _UNWRITABLE)
def test_an_unwritable_store_is_refused_before_anything_runs(tmp_path: Path, place: str) -> None:
    _places(tmp_path)
    with pytest.raises(StoreError, match="here") as caught:
        Store(tmp_path / place)
    assert "--store" in caught.value.hint
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize("place", _UNWRITABLE)
def test_an_unwritable_run_directory_is_refused_before_anything_runs(
    tmp_path: Path, place: str
) -> None:
    _places(tmp_path)
    with pytest.raises(RunError, match=r"here.* cannot be written") as caught:
        RunDirectory(tmp_path / place)
    assert "--run-dir" in caught.value.hint
    assert caught.value.exit_code is ExitCode.USAGE


def test_a_store_that_breaks_during_a_run_fails_the_task_with_a_message(tmp_path: Path) -> None:
    objects = tmp_path / "store" / "objects"

    class BrokenAtStart(LocalExecutor):
        def submit(self, job: Job) -> str:
            if objects.is_dir():
                objects.rmdir()
                objects.write_text("in the way")
            return super().submit(job)

    executor = BrokenAtStart(1, prepare="fakecatalog:prepare")
    view = run(plan(task("a"), task("b", "a")), tmp_path, executor=executor)
    assert states(view) == {"a": "failed", "b": "blocked"}
    assert str(objects.parent) in view.tasks["a"].reason
