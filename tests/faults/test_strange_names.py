"""File names as only Linux allows them: in products, as inputs, as folders of runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fakecatalog import STRANGE, plan, task
from harness import cli, run, states
from invariant import check_nothing_left, check_shown, check_whole

from gpwf.core.plan import Plan
from gpwf.run.journal import read_journal
from gpwf.store.store import Store

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")


def _plan(what: str) -> Plan:
    return plan(task("a", say=what), task("b", "a"))


def test_products_keep_the_names_of_their_files(tmp_path: Path) -> None:
    """Also two that look alike: composed and decomposed letters."""
    view = run(_plan("strange names"), tmp_path)
    assert states(view) == {"a": "ok", "b": "ok"}
    names = [item.name for item in view.tasks["a"].products["text"].files]
    assert set(STRANGE) < set(names)
    for name in STRANGE:
        shown = tmp_path / "run" / "products" / "a" / "text" / name
        assert shown.read_text() == name
    check_shown(view, tmp_path / "run")
    check_whole(tmp_path / "store")
    again = run(_plan("strange names"), tmp_path)
    assert states(again) == {"a": "cached", "b": "cached"}
    assert again.tasks["a"].products == view.tasks["a"].products
    check_nothing_left(tmp_path, tmp_path / "run")


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are no UTF-8: records cannot say them."""
    view = run(_plan("undecodable name"), tmp_path)
    assert states(view) == {"a": "failed", "b": "blocked"}
    assert "is not UTF-8" in view.tasks["a"].reason
    assert "xff" in view.tasks["a"].reason
    assert read_journal(tmp_path / "run" / "journal.jsonl")
    view = run(_plan("plain"), tmp_path)
    assert states(view) == {"a": "ok", "b": "ok"}


@pytest.mark.parametrize("name", STRANGE, ids=ascii)
def test_inputs_of_any_name(tmp_path: Path, name: str) -> None:
    data = tmp_path / name
    data.write_text("data")
    store = Store(tmp_path / "store")
    store.inputs.digest(data)
    store.flush()
    data.write_text("other")
    assert Store(tmp_path / "store").inputs.digest(data)[1] == len("other")


@pytest.mark.parametrize(
    "name", ["-new\nline '\"", "caf\u00e9 $(touch x)", "\u202eleft" + "x" * 200], ids=ascii
)
def test_folders_of_any_name(tmp_path: Path, name: str) -> None:
    """Every view of a run, wherever its folder is."""
    folder = tmp_path / name
    folder.mkdir()
    (folder / "w.gpwf.yaml").write_text(
        "gpwf: 1\nname: w\nsteps:\n  - name: a\n    tag: command\n    config:\n"
        '      argv: [cp, "${inputs.data}", "${outputs.out}"]\n'
        "      inputs: {data: data.txt}\n      outputs: {out: a.txt}\n"
    )
    (folder / "data.txt").write_text("data")
    document, runs = folder / "w.gpwf.yaml", folder / "run"
    done = cli("run", document, "--run-dir", runs, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (runs / "products" / "a" / "out" / "a.txt").read_text() == "data"
    for arguments in (["status", runs], ["logs", runs], ["prov", "show", runs]):
        shown = cli(*arguments, cwd=tmp_path)
        assert shown.returncode == 0, (arguments, shown.stderr)
    assert not list(tmp_path.rglob("x"))
