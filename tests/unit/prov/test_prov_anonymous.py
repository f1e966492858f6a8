"""A record without user, machine and home folder, as text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpwf.errors import ProvenanceError
from gpwf.prov.anonymous import anonymous_lines, names_in, write_anonymous


def record(user: str, host: str, home: str) -> dict[str, object]:
    person = f"gpwf:user-{user}-{host}"
    return {
        "activity": {
            "gpwf:act-1": {"gpwf:host": host, "gpwf:pid": 1},
            "gpwf:act-2": {"gpwf:pid": 1, "gpwf:host": host},
            "gpwf:act-3": {"gpwf:host": host},
            "gpwf:act-4": {"gpwf:errorMessage": f'{home}/x on {host}: "gpwf:host":"no" {user}.'},
        },
        "entity": {
            "gpwf:file-1": {"prov:location": f"{home}/data/a.fits", "gpwf:name": "adalovelace"}
        },
        "agent": {person: {"prov:label": user, "gpwf:user": user, "gpwf:host": host}},
        "actedOnBehalfOf": {"_:1": {"prov:responsible": person}},
    }


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(
    ("user", "host", "home"),
    [
        ("ada", "node7.lab.org", "/lustre/users/ada"),
        ("ada", "node7", "/home/ada"),
        ("root", "localhost", "/root"),
        ("ubuntu", "ci-17", "/home/ubuntu"),
    ],
)
def test_nothing_is_left_of_who_and_where(
    tmp_path: Path, user: str, host: str, home: str, indent: int | None
) -> None:
    (tmp_path / "prov.json").write_text(json.dumps(record(user, host, home), indent=indent))
    assert user in write_anonymous(tmp_path / "prov.json", tmp_path / "a.json").users
    made = (tmp_path / "a.json").read_text()
    found = json.loads(made)
    assert list(found["agent"]) == ["gpwf:user-anonymous"]
    assert found["actedOnBehalfOf"]["_:1"]["prov:responsible"] == "gpwf:user-anonymous"
    assert [found["activity"][f"gpwf:act-{n}"] for n in (1, 2, 3)] == [
        {"gpwf:pid": 1},
        {"gpwf:pid": 1},
        {},
    ]
    assert found["entity"]["gpwf:file-1"]["prov:location"] == "~/data/a.fits"
    assert found["entity"]["gpwf:file-1"]["gpwf:name"] == "adalovelace"
    assert home not in made
    if user == "ada":
        assert user not in made.replace("adalovelace", "")
        assert host not in made


def test_a_record_that_names_nobody_stays_as_it_is() -> None:
    lines = ['{"entity": {"gpwf:e": {"gpwf:name": "x"}}}\n']
    assert list(anonymous_lines(lines, names_in(lines))) == lines


def test_what_cannot_be_read_or_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProvenanceError, match="No such file"):
        write_anonymous(tmp_path / "nothing.json", tmp_path / "a.json")
    (tmp_path / "b.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ProvenanceError, match="is not PROV-JSON"):
        write_anonymous(tmp_path / "b.json", tmp_path / "a.json")
