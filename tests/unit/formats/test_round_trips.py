"""Every kind of product: what is read is what was written, and the bytes are always the same.

The cases are those of `test_card_and_content.MAKERS`, and `MORE`: a new kind, or a new form of one,
is a line there.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from deep_equal import differences
from test_card_and_content import MAKERS

from gpwf.core.digests import digest_file
from gpwf.store import formats

pytestmark = [
    pytest.mark.gammapy,
    pytest.mark.filterwarnings("ignore:divide by zero"),  # gammapy, for an index of exactly 2,
    pytest.mark.filterwarnings("ignore:invalid value"),  # where it takes another formula afterwards
]

CARD = {"GPWFKEY": "5" * 64, "GPWFPORT": "out", "GPWFTAG": "some-step"}
# values that are paths, pictures, or open files when they are used
OTHERS = {"datastore", "file", "figure", "observations"}


def make_observations(folder: Path) -> Any:
    """Write a datastore with two observations of a few events; return them."""
    import numpy as np
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from astropy.io import fits
    from astropy.table import Table
    from gammapy.data import DataStore, EventList, FixedPointingInfo, Observation
    from test_gammapy_formats import make_gti

    from gpwf.steps.parametric import ParametricIrfs, make_irfs

    gti = make_gti()
    irfs = make_irfs(ParametricIrfs.model_validate({}))
    where = SkyCoord(83.63, 22.01, unit="deg")
    paths = []
    folder.mkdir()
    for number in (1, 2):
        pointing = FixedPointingInfo(fixed_icrs=where.directional_offset_by(0 * u.deg, 0.5 * u.deg))
        events = Table(
            {
                "EVENT_ID": np.arange(5) + 1,
                "TIME": gti.time_start[number - 1] + np.arange(5.0) / 7 * u.s,
                "RA": np.linspace(83, 84, 5) * u.deg,
                "DEC": np.linspace(22, 23, 5) * u.deg,
                "ENERGY": np.geomspace(0.3, 30, 5).astype("float32") * u.TeV,
            },
            meta={"OBS_ID": number, "TELESCOP": "HESS", "INSTRUME": "gpwf", "EXTNAME": "EVENTS"}
            | {"RA_PNT": 83.63, "DEC_PNT": 22.51, "DEADC": 0.94, "OBJECT": "Crab"}
            | {"MJDREFI": 51910, "MJDREFF": 0.000742870370370241, "TIMESYS": "TT"},
        )
        one = gti.select_time([gti.time_start[number - 1], gti.time_stop[number - 1]])
        observation = Observation(
            obs_id=number, events=EventList(events), gti=one, pointing=pointing, **irfs
        )
        paths.append(folder / f"run-{number}.fits")
        observation.write(paths[-1])
        with fits.open(paths[-1], mode="update") as hdulist:  # gammapy's index wants them
            hdulist["EVENTS"].header.update(
                {"TSTART": 3.6e7, "TSTOP": 3.7e7, "ONTIME": 1e6, "LIVETIME": 9e5}
                | {"MJDREFI": 51910, "MJDREFF": 0.000742870370370241, "TIMEUNIT": "s"}
                | {"TIMESYS": "TT", "TIMEREF": "LOCAL"}
            )
            for hdu in hdulist:  # when it was made
                for card in ("DATE", "CREATED", "CHECKSUM", "DATASUM"):
                    hdu.header.remove(card, ignore_missing=True)
    store = DataStore.from_events_files(paths)
    return store.get_observations([2, 1], required_irf="all-optional")


def named(make: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """Return what names the reference model of fluxes, as steps do: gammapy's name is random."""

    def named_one(folder: Path) -> Any:
        from gammapy.modeling.models import SkyModel

        value = make(folder)
        value._reference_model = SkyModel(value.reference_model.spectral_model, name="crab")
        return value

    return named_one


FLUXES = ("flux-points", "light-curve", "flux-profile")
MORE = {"two observations": ("observations", make_observations)}
CASES = {
    name: (kind, named(make) if kind in FLUXES else make)
    for name, (kind, make) in (MAKERS | MORE).items()
    if name != "observations"  # of files that are no FITS, which cannot be read back
}


def content(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def write(kind: str, value: Any, folder: Path) -> dict[str, str]:
    folder.mkdir(parents=True)
    formats.write(kind, value, folder, CARD)
    found = content(folder)
    assert found
    return found


def finder(place: Path) -> Callable[[str], Path]:
    """Return what finds the files that a value refers to, by digest."""

    def locate(digest: str) -> Path:
        return next(
            path for path in place.rglob("*") if path.is_file() and digest_file(path) == digest
        )

    return locate


def write_all(folder: Path) -> dict[str, dict[str, str]]:
    """Write every case; return the digests of its files."""
    folder.mkdir(parents=True)
    found = {}
    for number, (name, (kind, make)) in enumerate(CASES.items()):
        found[name] = write(kind, make(folder / f"value-{number}"), folder / f"product-{number}")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A value that was written once."""

    kind: str
    value: Any
    place: Path
    folder: Path
    files: dict[str, str]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Written]:
    """Return a function that makes and writes a case; once, as some take seconds."""

    @cache
    def once(name: str) -> Written:
        kind, make = CASES[name]
        base = tmp_path_factory.mktemp("case")
        value = make(base / "value")
        files = write(kind, value, base / "product")
        return Written(
            kind=kind, value=value, place=base / "value", folder=base / "product", files=files
        )

    return once


def read(item: Written) -> Any:
    return formats.read(item.kind, item.folder, finder(item.place))


def test_every_kind_has_a_case() -> None:
    """A kind without a case would be stored and nobody had tried it."""
    assert {kind for kind, _ in CASES.values()} == set(formats.kinds())


@pytest.mark.parametrize("name", CASES)
def test_what_is_written_twice_has_the_same_bytes(
    name: str, written: Callable[[str], Written], tmp_path: Path
) -> None:
    item = written(name)
    assert write(item.kind, item.value, tmp_path / "again") == item.files


@pytest.mark.parametrize("name", [name for name, item in CASES.items() if item[0] not in OTHERS])
def test_what_is_read_holds_what_was_written(name: str, written: Callable[[str], Written]) -> None:
    from field_equal import different_fields

    item = written(name)
    assert different_fields(item.value, read(item)) == []


@pytest.mark.parametrize("name", [name for name, item in CASES.items() if item[0] != "figure"])
def test_what_was_read_is_written_as_it_was(
    name: str, written: Callable[[str], Written], tmp_path: Path
) -> None:
    """The same bytes, and from then on every bit of the value in memory."""
    item = written(name)
    assert write(item.kind, read(item), tmp_path / "again") == item.files
    if item.kind not in OTHERS:
        again = formats.read(item.kind, tmp_path / "again", finder(item.place))
        assert differences(read(item), again) == []


def test_a_picture_comes_back_pixel_by_pixel(written: Callable[[str], Written]) -> None:
    from matplotlib import image

    item = written("figure")
    stored = image.imread(item.folder / "figure.png")
    shown = read(item).axes[0].images[0].get_array()
    assert shown.shape[:2] == stored.shape[:2]
    assert abs(shown.astype(float) - stored).max() < 1e-6


def test_observations_come_back_event_by_event(written: Callable[[str], Written]) -> None:
    import numpy as np

    item = written("two observations")
    found = read(item)
    assert found.ids == item.value.ids
    for one, two in zip(item.value, found, strict=True):
        assert one.available_irfs == two.available_irfs
        for name in one.events.table.colnames:
            assert np.array_equal(one.events.table[name], two.events.table[name]), name
        assert one.aeff.data.tobytes() == two.aeff.data.tobytes()


def test_another_process_writes_the_same_bytes(
    written: Callable[[str], Written], tmp_path: Path
) -> None:
    """With another order of sets, another temporary folder, another locale and time zone."""
    (tmp_path / "tmp").mkdir()
    code = (
        "import json, sys, warnings; warnings.simplefilter('ignore');"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r});"
        "from pathlib import Path; from test_round_trips import write_all;"
        "print(json.dumps(write_all(Path(sys.argv[1]))))"
    )
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "4711",
        "TMPDIR": str(tmp_path / "tmp"),
        "TZ": "Pacific/Auckland",
        "LC_ALL": "C",
    }
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "there" / "a longer path")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    there = json.loads(done.stdout.splitlines()[-1])
    assert {name for name in CASES if there[name] != written(name).files} == set()
