"""Observations from files without an index: what is found, and what is said of bad ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpwf.errors import StepInputError
from gpwf.steps.base import StepContext
from gpwf.steps.dl3_scan import event_files, scan_files
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle

pytestmark = pytest.mark.gammapy

AEFF = {"HDUCLAS1": "RESPONSE", "HDUCLAS2": "EFF_AREA", "HDUCLAS4": "AEFF_2D"}
EDISP = {"HDUCLAS1": "RESPONSE", "HDUCLAS2": "EDISP", "HDUCLAS4": "EDISP_2D"}
KING = {"HDUCLAS1": "RESPONSE", "HDUCLAS2": "RPSF", "HDUCLAS4": "PSF_KING"}


def events(obs_id: Any = 7, **cards: Any) -> list[tuple[str, dict[str, Any]]]:
    header = {"OBS_ID": obs_id, "TELESCOP": "FACT", "RA_PNT": 83.5, "DEC_PNT": 22.0} | cards
    return [("EVENTS", header | {"HDUCLAS1": "EVENTS"}), ("GTI", {"HDUCLAS1": "GTI"})]


def write(path: Path, hdus: list[tuple[str, dict[str, Any]]]) -> Path:
    from astropy.io import fits

    tables = [fits.PrimaryHDU()]
    for name, cards in hdus:
        column = fits.Column("TIME", "D", array=[1.0] * 400)
        table = fits.BinTableHDU.from_columns([column], name=name)
        table.header.update(cards)
        tables.append(table)
    fits.HDUList(tables).writeto(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as FACT publishes it: events, and one file with the response."""
    write(tmp_path / "b_dl3.fits", events(3))
    write(tmp_path / "a_dl3.fits.gz", events(20131103093))
    write(tmp_path / "irf.fits", [("EFFECTIVE AREA", AEFF), ("ENERGY DISPERSION", EDISP)])
    return tmp_path


def observations(**config: Any) -> tuple[Any, Any]:
    """Return the step and its settings."""
    step = load_catalog().step("observations")
    settled = settle(step, {"required_irf": "point-like"} | config, base=Path("/"))
    assert not settled.problems, settled.problems
    return step, restore(step, settled.settings)


def test_one_response_serves_all(folder: Path) -> None:
    index = scan_files("files", event_files("files", str(folder)))
    assert index.obs_ids == (3, 20131103093)
    assert index.hdu_types(3) == {"events", "gti", "aeff", "edisp"}
    assert index.pointings[3] == (83.5, 22.0)
    rows = [(item.hdu_class, item.hdu_name, item.path.name) for item in index.hdus[:4]]
    assert rows == [
        ("events", "EVENTS", "b_dl3.fits"),
        ("gti", "GTI", "b_dl3.fits"),
        ("aeff_2d", "EFFECTIVE AREA", "irf.fits"),
        ("edisp_2d", "ENERGY DISPERSION", "irf.fits"),
    ]


def test_patterns_and_paths_give_the_same_files_in_the_same_order(folder: Path) -> None:
    wanted = sorted(folder.iterdir())
    assert event_files("files", [str(folder / "*")]) == wanted
    assert event_files("files", [str(wanted[2]), str(folder / "?_dl3.fits*")]) == wanted
    assert event_files("files", [f"{folder.parent}/**/{folder.name}/*_dl3.fits"]) == wanted[1:2]


def test_the_class_of_a_response_is_that_of_its_header(tmp_path: Path) -> None:
    short = {**AEFF, "HDUCLAS4": "2D"}  # CTA's first data challenge
    write(tmp_path / "all.fits", [*events(), ("AREA", short), ("POINT SPREAD FUNCTION", KING)])
    index = scan_files("files", [tmp_path / "all.fits"])
    assert [item.hdu_class for item in index.hdus[2:]] == ["aeff_2d", "psf_king"]


def test_the_step_finds_them_and_opens_them(folder: Path) -> None:
    step, settings = observations(files=[str(folder / "*.fits*")], obs_ids=[20131103093])
    names = [(item.setting, item.name) for item in step.external_files(settings)]
    assert names == [("files", "a_dl3.fits.gz"), ("files", "irf.fits")]
    assert len(step.index_files(settings)) == 3
    context = StepContext(step="select", task_id="select", work_dir=folder)
    found = step.run(settings, {}, context)["observations"]
    assert [item.obs_id for item in found] == [20131103093]
    assert found[0]._aeff_hdu.path() == folder / "irf.fits"


def test_a_folder_without_an_index_is_a_datastore(folder: Path) -> None:
    step, settings = observations(datastore=str(folder))
    assert {item.setting for item in step.external_files(settings)} == {"datastore"}
    write(folder / "other_irf.fits", [("EFFECTIVE AREA", AEFF)])
    with pytest.raises(StepInputError, match=r"several files have no events: irf.fits, other"):
        step.external_files(settings)
    step, settings = observations(
        files=[str(folder / "*_dl3.fits*")], irfs=str(folder / "irf.fits")
    )
    assert [item.setting for item in step.external_files(settings)] == ["files", "irfs", "files"]


def test_half_an_index_is_an_error(folder: Path) -> None:
    write(folder / "obs-index.fits", [("OBS", {})])
    step, settings = observations(datastore=str(folder))
    with pytest.raises(StepInputError, match="it has no HDU index"):
        step.external_files(settings)


def test_a_missing_response_says_how_to_give_it(folder: Path) -> None:
    step, settings = observations(files=[str(folder / "*_dl3.fits*")])
    with pytest.raises(StepInputError, match="3 of the files has no aeff, edisp") as caught:
        step.external_files(settings)
    assert "'irfs'" in (caught.value.hint or "")


def test_bad_files_are_named(folder: Path) -> None:
    whole = (folder / "b_dl3.fits").read_bytes()
    cases = {
        r"torn.fits is not a FITS file, or is damaged": whole[: len(whole) - 5000],
        r"empty.fits is not a FITS file": b"",
        r"text.fits is not a FITS file": b"no fits",
    }
    for message, content in cases.items():
        path = folder / message.partition(" ")[0]
        path.write_bytes(content)
        with pytest.raises(StepInputError, match=message):
            scan_files("files", [path])
    path = folder / "torn.fits.gz"
    path.write_bytes((folder / "a_dl3.fits.gz").read_bytes()[:-40])
    with pytest.raises(StepInputError, match=r"torn\.fits\.gz is not a FITS file, or is damaged"):
        scan_files("files", [path])


@pytest.mark.parametrize(
    ("hdus", "message"),
    [
        (events(3), "observation 3 is in two files: b_dl3.fits and new.fits"),
        (events(4, TELESCOP="MAGIC"), r"several telescopes: FACT \(b_.*, MAGIC \(new.fits\)"),
        (events("W0.4"), "new.fits: the header of its events has the OBS_ID 'W0.4', which is no"),
        (events(""), "new.fits: the header of its events has no OBS_ID"),
        ([*events(4), ("PSF", {**KING, "HDUCLAS4": "PSF_X"})], "'PSF'.* is PSF_X; .* PSF_KING"),
    ],
)
def test_files_that_do_not_belong_together(
    hdus: list[tuple[str, dict[str, Any]]], message: str, folder: Path
) -> None:
    path = write(folder / "new.fits", hdus)
    with pytest.raises(StepInputError, match=message) as caught:
        scan_files("files", [folder / "b_dl3.fits", path])
    assert caught.value.hint


def test_files_without_events(folder: Path) -> None:
    with pytest.raises(StepInputError, match=r"no file has events: irf\.fits"):
        scan_files("files", [folder / "irf.fits"])
    with pytest.raises(StepInputError, match=r"irfs: b_dl3\.fits has events"):
        scan_files("files", [folder / "a_dl3.fits.gz"], folder / "b_dl3.fits")
    with pytest.raises(StepInputError, match=r"files\.0: no file matches"):
        event_files("files", [str(folder / "*.nothing")])
    (folder / "none").mkdir()
    with pytest.raises(StepInputError, match="neither an index nor FITS files"):
        event_files("datastore", str(folder / "none"))


def test_settings_that_exclude_each_other(folder: Path) -> None:
    step = load_catalog().step("observations")
    both = {"datastore": str(folder), "files": [str(folder / "*.fits")]}
    assert [item.path for item in settle(step, both, base=folder).problems] == [("files",)]
    assert [item.path for item in settle(step, {"irfs": "a.fits"}, base=folder).problems] == [
        ("irfs",)
    ]


def test_no_list_of_events_is_lost(tmp_path: Path) -> None:
    path = write(tmp_path / "two.fits", [*events(1), *events(2), ("AEFF", AEFF)])
    with pytest.raises(StepInputError, match=r"two\.fits has 2 lists of events: EVENTS, EVENTS"):
        scan_files("files", [path])


def test_response_of_another_telescope_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "events.fits", events())
    for name, given in (("fact", "FACT "), ("none", ""), ("magic", "MAGIC")):
        cards = AEFF | {"TELESCOP": given}
        irf = write(tmp_path / f"{name}.fits", [("EFFECTIVE AREA", cards)])
        if name != "magic":
            assert scan_files("files", [path], irf).hdu_types(7) >= {"aeff", "events"}
            assert scan_files("files", [path, irf]).hdu_types(7) >= {"aeff", "events"}
            continue
        for arguments in (([path], irf), ([path, irf], None)):
            with pytest.raises(StepInputError, match="response of MAGIC, and the events are of F"):
                scan_files("files", *arguments)


def test_a_file_without_events_is_not_passed_over(folder: Path) -> None:
    """With 'irfs' it is no response, and it may be one whose events were lost."""
    irf = folder / "irf.fits"
    assert scan_files("files", sorted(folder.iterdir()), irf).obs_ids == (3, 20131103093)
    write(folder / "c_dl3.fits", [("GTI", {"HDUCLAS1": "GTI"})])
    with pytest.raises(StepInputError, match=r"a file has no events: c_dl3\.fits"):
        scan_files("files", sorted(folder.iterdir()), irf)
