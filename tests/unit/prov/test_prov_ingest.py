"""Provenance of other tools: logs of ctapipe, FITS headers, PROV documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpwf.core.digests import digest_file
from gpwf.errors import ProvenanceError
from gpwf.prov.ingest import (
    Ingested,
    load_with_ingested,
    merged_record,
    read_foreign,
    write_ingested,
)
from gpwf.prov.ingest_links import OurFile
from gpwf.prov.validation.check import check_data

_LOG: list[dict[str, Any]] = [
    {
        "activity_name": "ctapipe-process",
        "activity_uuid": "11111111-2222-3333-4444-555555555555",
        "status": "completed",
        "start": {"time_utc": "2026-01-02T03:04:05.678"},
        "stop": {"time_utc": "2026-01-02T03:14:05.678"},
        "system": {
            "ctapipe_version": "0.24.0",
            "executable": "/usr/bin/python",
            "platform": {"system": "Linux", "machine": "x86_64", "node": "secret-host"},
            "python": {
                "version": ["3", "12", "1"],
                "packages": [{"name": "numpy", "version": "2.0"}],
            },
            "environment": {"USER": "somebody"},
            "arguments": ["ctapipe-process", "--input=gamma.simtel.gz", "--token", "s3cr3t"],
        },
        "input": [{"url": "/data/gamma.simtel.gz", "role": "r0", "reference_meta": None}],
        "output": [
            {
                "url": "/data/gamma.dl1.h5",
                "role": "dl1",
                "reference_meta": {"product": {"id_": "aaaa-bbbb"}},
            }
        ],
        "config": {"ProcessorTool": {"write_images": True, "api_key": "hidden"}},
        "exit_code": 0,
    },
    {
        "activity_name": "ctapipe-create-dl3",
        "activity_uuid": "66666666-2222-3333-4444-555555555555",
        "status": "completed",
        "start": {"time_utc": "2026-01-02T04:04:05.678"},
        "stop": {"time_utc": "2026-01-02T04:14:05.678"},
        "system": {"ctapipe_version": "0.24.0"},
        "input": ["/data/gamma.dl1.h5"],
        "output": ["file:///far/away/obs%201.fits"],
    },
]


@pytest.fixture
def ours(tmp_path: Path) -> OurFile:
    return a_file(tmp_path / "data/obs 1.fits", b"events")


def a_file(path: Path, data: bytes) -> OurFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return OurFile(path=str(path), name=path.name, digest=digest_file(path), size=len(data))


def ingested(folder: Path, data: Any, *ours: OurFile, **options: Any) -> Ingested:
    path = folder / "foreign.provenance.log"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return read_foreign(path, ours, **options)


def assert_valid(data: Any, but: tuple[str, ...] = ()) -> None:
    report = check_data(data)
    errors = [item for item in report.findings if item.severity == "error" and item.rule not in but]
    assert not errors, errors


# ---- ctapipe --------------------------------------------------------------------------------


def test_a_log_of_ctapipe(tmp_path: Path, ours: OurFile) -> None:
    found = ingested(tmp_path, _LOG, ours)
    assert found.form == "ctapipe"
    assert [(link.ours, link.how) for link in found.links] == [(ours, "name")]
    activity = found.data["activity"]["foreign:act-11111111-2222-3333-4444-555555555555"]
    assert activity["prov:startTime"] == "2026-01-02T03:04:05.678000+00:00"
    assert activity["gpwf:assumedZone"] == "UTC"
    assert activity["gpwf:distribution"] == "numpy==2.0"
    assert "foreign:software-ctapipe-0.24.0" in found.data["agent"]
    assert found.data["prefix"]["foreign"] == "urn:gpwf:foreign:"
    assert_valid(found.data)


def test_a_way_leads_from_our_input_to_the_raw_data(tmp_path: Path, ours: OurFile) -> None:
    data = ingested(tmp_path, _LOG, ours).data
    (same,) = data["alternateOf"].values()
    assert same["prov:alternate2"] == ours.entity
    made = {item["prov:entity"]: item["prov:activity"] for item in data["wasGeneratedBy"].values()}
    used = {item["prov:activity"]: item["prov:entity"] for item in data["used"].values()}
    dl1 = used[made[same["prov:alternate1"]]]
    assert dl1 == "foreign:product-aaaa-bbbb"
    raw = used[made[dl1]]
    assert data["entity"][raw]["prov:location"] == "/data/gamma.simtel.gz"
    assert raw not in made


def test_no_secret_no_account_no_machine_is_taken_in(tmp_path: Path, ours: OurFile) -> None:
    text = json.dumps(ingested(tmp_path, _LOG, ours).data)
    for word in ("s3cr3t", "hidden", "somebody", "secret-host"):
        assert word not in text


def test_a_file_that_is_written_again_is_another_one(tmp_path: Path, ours: OurFile) -> None:
    def activity(number: int, inputs: list[str], outputs: list[str]) -> dict[str, Any]:
        uuid = f"0000000{number}-2222-3333-4444-555555555555"
        return {"activity_name": "t", "activity_uuid": uuid, "input": inputs, "output": outputs}

    name = "/x/obs 1.fits"
    found = ingested(
        tmp_path,
        [activity(1, [], [name]), activity(2, [name], [name]), activity(3, [name], ["/x/end"])],
        ours,
    )
    made = [item["prov:entity"] for item in found.data["wasGeneratedBy"].values()]
    assert len(made) == len(set(made)) == 3
    (link,) = found.links
    used = {
        item["prov:activity"][12:20]: item["prov:entity"] for item in found.data["used"].values()
    }
    assert link.foreign == used["00000003"] != used["00000002"]
    assert_valid(found.data)


def test_logs_that_were_appended_to(tmp_path: Path, ours: OurFile) -> None:
    text = json.dumps(_LOG[:1]) + "\n" + json.dumps(_LOG[1:])
    assert ingested(tmp_path, text, ours).count("activity") == 2


def test_a_killed_activity_has_no_end(tmp_path: Path) -> None:
    found = ingested(tmp_path, [{**_LOG[1], "stop": {}, "status": "running"}])
    (activity,) = found.data["activity"].values()
    assert "prov:endTime" not in activity
    assert not found.links


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activity_name": 7}, "activity 1: it has no activity_name"),
        ({"input": "x"}, "activity 1: input is no list"),
        ({"output": [{"role": "x"}]}, "activity 1: an output has no url"),
        ({"start": {"time_utc": "yesterday"}}, "activity 1: start is no time: yesterday"),
    ],
)
def test_what_is_wrong_with_a_log(tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(ProvenanceError, match=message):
        ingested(tmp_path, [{**_LOG[0], **change}])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        (json.dumps(_LOG)[:-40], r"foreign.provenance.log:1:\d+: not JSON"),
        ("[]", "no entity, activity or agent|not PROV"),
        ("[1, 2]", "no entity, activity or agent|not PROV"),
        ("hello", "not JSON"),
        ("[" * 100_000, "nested|not JSON"),
    ],
)
def test_what_is_no_provenance(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ProvenanceError, match=message):
        ingested(tmp_path, text)


def test_bytes_are_no_provenance(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"[\xff\xfe\x00]")
    with pytest.raises(ProvenanceError, match="not a text file"):
        read_foreign(path, [])
    with pytest.raises(ProvenanceError, match="cannot read"):
        read_foreign(tmp_path / "absent", [])


# ---- links ----------------------------------------------------------------------------------


def test_the_same_path_is_better_than_the_same_name(tmp_path: Path, ours: OurFile) -> None:
    other = a_file(tmp_path / "other/obs 1.fits", b"others")
    log = [{**_LOG[1], "output": [ours.path]}]
    (link,) = ingested(tmp_path, log, other, ours).links
    assert (link.ours, link.how) == (ours, "path")


def test_a_name_that_fits_several_links_none(tmp_path: Path, ours: OurFile) -> None:
    other = a_file(tmp_path / "other/obs 1.fits", b"others")
    found = ingested(tmp_path, _LOG, ours, other)
    assert not found.links
    assert "2 inputs have this name" in found.warnings[0]
    assert any(item.get("gpwf:ambiguous") is True for item in found.data["entity"].values())
    (link,) = ingested(tmp_path, _LOG, ours, other, only=other).links
    assert (link.ours, link.how) == (other, "user")


def test_an_input_that_the_file_says_nothing_of(tmp_path: Path) -> None:
    other = a_file(tmp_path / "else.fits", b"x")
    with pytest.raises(ProvenanceError, match="says nothing of"):
        ingested(tmp_path, _LOG, other, only=other)


# ---- FITS -----------------------------------------------------------------------------------


def fits_file(path: Path, **cards: str) -> OurFile:
    from astropy.io import fits

    hdu = fits.PrimaryHDU()
    for key, value in cards.items():
        name = key.replace("_", " ")
        if name == "HISTORY":
            hdu.header.add_history(value)
        else:
            hdu.header[f"HIERARCH {name}" if len(name) > 8 else name] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    hdu.writeto(path)
    return a_file(path, path.read_bytes())


def test_the_header_of_a_fits_file(tmp_path: Path) -> None:
    ours = fits_file(
        tmp_path / "obs.fits",
        CTA_ACTIVITY_ID="66666666-2222-3333-4444-555555555555",
        CTA_ACTIVITY_NAME="ctapipe-create-dl3",
        CTA_ACTIVITY_SOFTWARE_NAME="ctapipe",
        CTA_ACTIVITY_SOFTWARE_VERSION="0.24.0",
        ORIGIN="CTAO",
        CREATOR="ctapipe",
        HISTORY="made by hand",
    )
    found = read_foreign(Path(ours.path), [ours])
    assert found.form == "fits"
    (link,) = found.links
    assert (link.ours, link.how) == (ours, "sha256")
    entity = found.data["entity"][link.foreign]
    assert entity["gpwf:history"] == "made by hand"
    assert "ORIGIN=CTAO" in entity["gpwf:card"]
    (special, _) = sorted(
        item["prov:specificEntity"] for item in found.data["specializationOf"].values()
    )[::-1] or ("", "")
    assert {special, link.foreign} <= {*found.data["entity"]}
    (made,) = found.data["wasGeneratedBy"].values()
    assert made["prov:activity"] == "foreign:act-66666666-2222-3333-4444-555555555555"
    assert "foreign:software-ctapipe-0.24.0" in found.data["agent"]
    assert len(found.data["wasAttributedTo"]) == 2
    assert_valid(found.data)


def test_a_creator_alone_makes_no_activity(tmp_path: Path) -> None:
    ours = fits_file(tmp_path / "obs.fits", CREATOR="gtselect", HISTORY="gtselect zmax=90")
    found = read_foreign(Path(ours.path), [ours])
    assert "activity" not in found.data
    assert_valid(found.data)


def test_a_header_that_says_nothing(tmp_path: Path) -> None:
    ours = fits_file(tmp_path / "obs.fits")
    with pytest.raises(ProvenanceError, match="says nothing of how it was made"):
        read_foreign(Path(ours.path), [ours])


def test_fits_files_that_are_damaged_or_of_others(tmp_path: Path, ours: OurFile) -> None:
    (tmp_path / "torn.fits").write_bytes(b"SIMPLE  =                    T")
    (tmp_path / "torn.fits.gz").write_bytes(b"\x1f\x8bno gzip")
    for name in ("torn.fits", "torn.fits.gz"):
        with pytest.raises(ProvenanceError):
            read_foreign(tmp_path / name, [])
    other = fits_file(tmp_path / "other.fits", CREATOR="x")
    assert "is no input of the run" in read_foreign(Path(other.path), [ours]).warnings[0]
    with pytest.raises(ProvenanceError, match="another SHA-256"):
        read_foreign(Path(other.path), [ours], only=ours)


# ---- PROV -----------------------------------------------------------------------------------


def prov_json(**entity: Any) -> dict[str, Any]:
    return {
        "prefix": {"up": "http://up.example/"},
        "entity": {"up:file": entity},
        "activity": {"up:make": {"prov:startTime": "2026-01-02T03:04:05"}},
        "wasGeneratedBy": {
            "_:g": {
                "prov:entity": "up:file",
                "prov:activity": "up:make",
                "prov:time": "2026-01-02T04:04:05+01:00",
            }
        },
    }


def test_a_prov_document_keeps_its_names(tmp_path: Path, ours: OurFile) -> None:
    found = ingested(tmp_path, prov_json(**{"up:sum": ours.digest, "up:note": "é"}), ours)
    assert found.form == "prov"
    assert found.data["prefix"]["up"] == "http://up.example/"
    assert found.data["entity"]["up:file"]["up:note"] == "é"
    assert [(link.foreign, link.how) for link in found.links] == [("up:file", "sha256")]
    special = [item["prov:specificEntity"] for item in found.data["specializationOf"].values()]
    assert "up:file" in special
    activity = found.data["activity"]["up:make"]
    assert activity["prov:startTime"] == "2026-01-02T03:04:05+00:00"
    assert activity["gpwf:assumedZone"] == "UTC"
    (made,) = found.data["wasGeneratedBy"].values()
    assert "gpwf:assumedZone" not in made
    assert_valid(found.data, but=("GR-04",))  # others need not give roles


def test_a_prov_document_with_a_location(tmp_path: Path, ours: OurFile) -> None:
    (link,) = ingested(tmp_path, prov_json(**{"prov:location": ours.path}), ours).links
    assert link.how == "path"
    document = prov_json(**{"prov:location": "/far/obs 1.fits", "up:sha256": "0" * 64})
    found = ingested(tmp_path, document, ours)
    assert not found.links
    assert "has another SHA-256" in found.warnings[0]


def test_prov_n_is_read_as_well(tmp_path: Path, ours: OurFile) -> None:
    text = (
        "document\n  prefix up <http://up.example/>\n"
        f'  entity(up:file, [up:sum="{ours.digest}"])\nendDocument\n'
    )
    assert ingested(tmp_path, text, ours).links


def test_a_prefix_of_ours_for_something_else(tmp_path: Path) -> None:
    document = prov_json()
    document["prefix"]["gpwf"] = "http://elsewhere/"
    with pytest.raises(ProvenanceError, match="prefix gpwf stands for"):
        ingested(tmp_path, document)


# ---- together -------------------------------------------------------------------------------


def test_a_record_with_what_was_taken_in(tmp_path: Path, ours: OurFile) -> None:
    record = tmp_path / "prov/prov.json"
    record.parent.mkdir()
    whole = {
        "prefix": {"gpwf": "urn:gpwf:"},
        "entity": {ours.entity: {"gpwf:size_B": 6}, ours.content: {}},
        "specializationOf": {
            "_:id1": {"prov:specificEntity": ours.entity, "prov:generalEntity": ours.content}
        },
    }
    record.write_text(json.dumps(whole))
    assert merged_record(record) == whole
    first = write_ingested(record.parent, ingested(tmp_path, _LOG, ours))
    again = write_ingested(record.parent, ingested(tmp_path, _LOG, ours))
    assert first == again
    assert len(list(record.parent.iterdir())) == 2
    merged = merged_record(record)
    assert merged["entity"][ours.entity]["gpwf:size_B"] == 6
    assert merged["entity"][ours.entity]["gpwf:name"] == ours.name
    assert len(merged["specializationOf"]) == 1
    assert len(merged["activity"]) == 2
    assert_valid(merged)
    assert len(load_with_ingested(record).get_records()) == sum(
        len(item) for name, item in merged.items() if name != "prefix"
    )


def test_the_same_activity_of_a_log_and_of_a_header_is_one(tmp_path: Path) -> None:
    ours = fits_file(
        tmp_path / "data/obs 1.fits",
        CTA_ACTIVITY_ID="66666666-2222-3333-4444-555555555555",
        CTA_ACTIVITY_NAME="ctapipe-create-dl3",
        CTA_PRODUCT_ID="cccc-dddd",
    )
    product = {"reference_meta": {"CTA PRODUCT ID": "cccc-dddd"}, "role": "dl3"}
    log = [_LOG[0], {**_LOG[1], "output": [{"url": "/far/any.fits", **product}]}]
    record = tmp_path / "prov/prov.json"
    record.parent.mkdir()
    record.write_text('{"prefix": {}, "entity": {}}')
    write_ingested(record.parent, ingested(tmp_path, log, ours))
    write_ingested(record.parent, read_foreign(Path(ours.path), [ours]))
    merged = merged_record(record)
    assert len(merged["activity"]) == 2
    assert_valid(merged)


def test_a_companion_that_is_damaged_is_named(tmp_path: Path) -> None:
    record = tmp_path / "prov.json"
    record.write_text('{"entity": {}}')
    (tmp_path / "ingested-00.json").write_text("{")
    with pytest.raises(ProvenanceError, match=r"ingested-00\.json is not JSON"):
        merged_record(record)
