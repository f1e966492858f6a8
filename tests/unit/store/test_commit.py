"""Files made durable together."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gpwf.store.commit import Committer, Draft


def _drafts(folder: Path, count: int) -> list[Draft]:
    drafts = []
    for number in range(count):
        source = folder / f"draft-{number}"
        source.write_text(str(number))
        target = folder / "place" / f"{number}"
        drafts.append(Draft(source=source, target=target, is_new_folder=number == 0))
    return drafts


@pytest.mark.parametrize("count", [0, 1, 40])
def test_every_file_is_synced_before_any_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    (tmp_path / "place").mkdir()
    done: list[str] = []
    sync, rename = os.fsync, Path.rename

    def fsync(handle: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        done.append("folder" if is_folder else "file")
        sync(handle)

    def name(self: Path, target: Path) -> Path:
        done.append("name")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", name)
    committer = Committer()
    drafts = _drafts(tmp_path, count)
    committer.commit(drafts)
    committer.close()
    # the folder, and the one that got it as a new entry
    folders = ["folder"] * 2 if count else []
    assert done == ["file"] * count + ["name"] * count + folders
    assert [item.target.read_text() for item in drafts] == [str(n) for n in range(count)]
    assert not any(item.source.exists() for item in drafts)


def test_nothing_has_its_name_where_one_cannot_be_synced(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    drafts = _drafts(tmp_path, 20)
    drafts[13].source.unlink()
    with pytest.raises(FileNotFoundError):
        Committer().commit(drafts)
    assert list((tmp_path / "place").iterdir()) == []
    for draft in drafts:
        draft.discard()
    assert [item.name for item in tmp_path.iterdir()] == ["place"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("x")
    (tmp_path / "link").symlink_to("elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        Committer().commit([Draft(source=tmp_path / "link", target=tmp_path / "target")])
