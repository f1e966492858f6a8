"""Publishing beside the computation, in groups."""

from __future__ import annotations

import errno
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from gpwf.core.runs import TaskState
from gpwf.run.executors.base import Outcome
from gpwf.run.publishing import Computed, Publisher, publish
from gpwf.store.commit import Committer, Draft


def _computed(folder: Path, name: str) -> Computed:
    place = folder / "work" / name
    place.mkdir(parents=True)
    (place / "value").write_text(name)
    draft = Draft(source=place / "value", target=folder / "store" / name)
    outcome = Outcome(attempt_id=name, state=TaskState.OK)
    return Computed(outcome=outcome, drafts=(draft,))


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


class Slow(Committer):
    """Waits for a signal before the first group; keeps how large the groups were."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.begun = threading.Event()
        self.groups: list[int] = []

    def commit(self, drafts: Sequence[Draft]) -> None:
        self.begun.set()
        assert self.go.wait(30)
        self.groups.append(len(drafts))
        super().commit(drafts)


def test_what_is_told_is_in_the_store(tmp_path: Path) -> None:
    told: list[str] = []

    def tell(outcome: Outcome) -> None:
        assert (tmp_path / "store" / outcome.attempt_id).read_text() == outcome.attempt_id
        told.append(outcome.attempt_id)

    with Publisher(tell) as publisher:
        for name in "abc":
            publisher.submit(_computed(tmp_path, name))
        publisher.drain()
        assert told == ["a", "b", "c"]
        assert publisher.cpu_s() >= 0.0


def test_what_comes_meanwhile_is_one_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow()
    monkeypatch.setattr("gpwf.run.publishing.Committer", lambda: slow)
    told: list[str] = []
    with Publisher(lambda outcome: told.append(outcome.attempt_id)) as publisher:
        publisher.submit(_computed(tmp_path, "first"))
        assert slow.begun.wait(30)
        for name in "abcd":  # none of these waits for the disk
            publisher.submit(_computed(tmp_path, name))
        assert told == []
        slow.go.set()
    assert told == ["first", "a", "b", "c", "d"]
    assert slow.groups == [1, 4]


def test_one_that_cannot_be_published_harms_no_other(tmp_path: Path) -> None:
    good, bad = _computed(tmp_path, "good"), _computed(tmp_path, "bad")
    bad.drafts[0].source.unlink()
    told: list[Outcome] = []
    publish([bad, good], Committer(), told.append)
    assert [(item.attempt_id, item.state) for item in told] == [
        ("bad", TaskState.FAILED),
        ("good", TaskState.OK),
    ]
    assert told[0].failure is not None
    assert "No such file" in told[0].failure.message


def test_a_full_disk_is_said_and_leaves_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    item = _computed(tmp_path, "a")
    monkeypatch.setattr("os.fsync", full)
    told: list[Outcome] = []
    publish([item], Committer(), told.append)
    assert told[0].state is TaskState.FAILED
    assert told[0].failure is not None
    assert "No space left" in told[0].failure.message
    assert not item.drafts[0].source.exists()
    assert not item.drafts[0].target.exists()


def test_a_worker_that_cannot_tell_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would wait for ever for who publishes."""
    said: list[object] = []
    monkeypatch.setattr(threading, "excepthook", said.append)

    def tell(outcome: Outcome) -> None:
        raise OSError(errno.EIO, "Input/output error")

    codes: list[int] = []
    publisher = Publisher(tell, codes.append)
    publisher.submit(_computed(tmp_path, "a"))
    publisher.close()
    assert codes == [1]
    assert len(said) == 1
