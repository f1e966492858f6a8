"""``gpwf prov export --format crate`` and ``--format ivoa``."""

from __future__ import annotations

import json
import zipfile


def test_a_crate_is_written_and_what_is_missing_named(gpwf, make_run, tmp_path):
    make_run()
    result = gpwf("prov", "export", "--format", "crate", "-o", tmp_path / "crate")
    # the made-up products of these tests have no bytes
    assert result.exit_code == 1
    assert "missing: " in result.stderr
    assert "is not in the store" in result.stderr
    assert "wrote crate: " in result.stderr
    metadata = json.loads((tmp_path / "crate" / "ro-crate-metadata.json").read_text())
    assert metadata["@graph"][0]["@id"] == "ro-crate-metadata.json"


def test_a_crate_without_products_is_complete(gpwf, make_run, tmp_path):
    make_run()
    result = gpwf("prov", "export", "--no-products", "-o", tmp_path / "x.crate.zip")
    assert result.exit_code == 0, result.stderr
    with zipfile.ZipFile(tmp_path / "x.crate.zip") as archive:
        assert "workflow.yaml" in archive.namelist()
    again = gpwf("prov", "export", "--no-products", "-o", tmp_path / "x.crate.zip")
    assert again.exit_code == 2
    assert "--overwrite replaces it" in again.stderr
    options = ("--no-products", "--overwrite")
    assert gpwf("prov", "export", *options, "-o", tmp_path / "x.crate.zip").exit_code == 0


def test_a_crate_needs_a_place_and_a_run(gpwf, make_run, tmp_path):
    path = make_run()
    refused = gpwf("prov", "export", "--format", "crate")
    assert refused.exit_code == 2
    assert "does not fit into standard output" in refused.stderr
    record = tmp_path / "record.json"
    assert gpwf("prov", "export", path, "-o", record).exit_code == 0
    refused = gpwf("prov", "export", record, "--format", "crate", "-o", tmp_path / "crate")
    assert refused.exit_code == 2
    assert "lies in no run directory" in refused.stderr


def test_other_formats_know_no_crate_options(gpwf, make_run):
    make_run()
    refused = gpwf("prov", "export", "--format", "json", "--with-inputs", "--overwrite")
    assert refused.exit_code == 2
    assert "--with-inputs, --overwrite: for --format crate only" in refused.stderr


def test_the_ivoa_view_is_json(gpwf, make_run):
    make_run()
    result = gpwf("prov", "export", "--format", "ivoa")
    assert result.exit_code == 0
    assert "voprov:ActivityDescription" in result.stdout
    assert json.loads(result.stdout)["activity"]
