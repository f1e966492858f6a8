"""The folder that a worker keeps from task to task."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpwf.run.desk import Desk, clear_desks, desk_folder, drafts_folder, keep
from gpwf.store.commit import Draft


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def _names(folder: Path) -> list[str]:
    return sorted(item.relative_to(folder).as_posix() for item in folder.rglob("*"))


def test_the_next_task_finds_nothing_of_the_last(work: Path) -> None:
    desk = Desk(str(work / "fit" / "1-ab"))
    scratch = desk.folder / "scratch"
    (scratch / "deep").mkdir()
    (scratch / "deep" / "file").write_text("x")
    (desk.folder / "in").mkdir()
    (desk.folder / "in" / "link").symlink_to("elsewhere")
    (desk.folder / "out-models").mkdir()
    (desk.folder / "stray").write_text("x")
    (desk.folder / "output.log").write_text("said")
    desk.tidy()
    assert _names(desk.folder) == ["out-models", "output.log", "scratch"]
    assert desk.is_for(str(work / "other" / "1-cd"))
    assert not desk.is_for(str(work.parent / "elsewhere" / "work" / "other" / "1-cd"))


def test_drafts_wait_elsewhere(work: Path) -> None:
    desk = Desk(str(work / "fit" / "1-ab"))
    inside = desk.folder / "value"
    inside.write_text("inside")
    outside = work.parent / "copy"
    outside.write_text("outside")
    drafts = [Draft(source=path, target=work / "target") for path in (inside, outside)]
    apart = desk.set_apart(drafts)
    assert apart[0].source.parent == drafts_folder(str(work / "x" / "1-a"), os.getpid())
    assert [item.source.read_text() for item in apart] == ["inside", "outside"]
    assert apart[1] == drafts[1]
    desk.leave(str(work / "next" / "1-cd"))  # a later task that fails takes none of them along
    assert apart[0].source.read_text() == "inside"


def test_a_task_that_fails_keeps_the_folder(work: Path) -> None:
    attempt = work / "fit" / "1-ab"
    desk = Desk(str(attempt))
    (desk.folder / "output.log").write_text("last words")
    desk.leave(str(attempt))
    assert (attempt / "output.log").read_text() == "last words"
    assert not desk.is_for(str(work / "fit" / "2-cd"))  # another one is made


def test_what_ended_workers_leave_goes(work: Path) -> None:
    attempt = work / "fit" / "1-ab"
    Desk(str(attempt))
    attempt.mkdir(parents=True)
    clear_desks(work)
    assert _names(work) == ["fit", "fit/1-ab"]


def test_nothing_is_kept_of_a_worker_that_never_began(work: Path) -> None:
    attempt = work / "fit" / "1-ab"
    keep(desk_folder(str(attempt), 0), str(attempt))
    assert _names(work) == []


def test_a_folder_of_an_earlier_process_with_this_number_is_emptied(work: Path) -> None:
    attempt = str(work / "fit" / "1-ab")
    desk_folder(attempt, os.getpid()).mkdir()
    (desk_folder(attempt, os.getpid()) / "old").write_text("x")
    assert _names(Desk(attempt).folder) == ["scratch"]
