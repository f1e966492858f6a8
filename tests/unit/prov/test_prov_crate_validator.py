"""Crates pass the checks of ``rocrate-validator``, without a network."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from crate_validator import Validator
from prov_crates import Maker

#: The validator lives in an environment of its own: it pins libraries that gpwf needs newer.
VARIABLE = "ROCRATE_VALIDATOR"

#: The one check that no crate with its workflow inside can pass. The profile says that the name of
#: a tool SHOULD be an absolute URI "but MAY be a relative URI to a data entity in the crate or a
#: local identifier"; the validator knows the first half only, and wants one that begins with http
#: (https://github.com/crs4/rocrate-validator/issues/51).
HALF_A_SENTENCE = "The SoftwareApplication id SHOULD be an absolute URI"


@pytest.fixture(scope="module")
def validator(tmp_path_factory: pytest.TempPathFactory) -> Validator:
    program = os.environ.get(VARIABLE)
    if not program:
        pytest.skip(f"{VARIABLE} does not say where rocrate-validator is")
    return Validator(Path(program), tmp_path_factory.mktemp("validator"))


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


@pytest.mark.parametrize("name", ["mixed", "nested", "scatter and failed"])
def test_crates_pass_every_recommended_check(name: str, validator: Validator, maker: Maker) -> None:
    crate = maker.crate(name)
    issues = validator.issues(crate.path)
    named = issues.pop(HALF_A_SENTENCE)
    # local identifiers, the workflow itself, and package URLs, which are absolute URIs
    root = f"file://{crate.path}/"
    assert all(item.startswith((f"{root}#", f"{root}workflow.yaml", "pkg:")) for item in named)
    assert issues == {}


def test_a_run_that_was_killed_lacks_its_end_alone(validator: Validator, maker: Maker) -> None:
    crate = maker.crate("killed")
    issues = validator.issues(crate.path)
    del issues[HALF_A_SENTENCE]
    assert set(issues) == {"The Action SHOULD have an endTime in ISO 8601 format"}
    assert validator.issues(crate.path, level="REQUIRED") == {}


def test_damaged_crates_do_not_pass(validator: Validator, maker: Maker) -> None:
    crate = maker.crate("good")
    damaged = crate.path.with_name("damaged")
    shutil.copytree(crate.path, damaged)
    graph = crate.document["@graph"]
    del crate.entities["./"]["license"]
    for item in crate.of_type("ControlAction"):
        del item["object"]
    crate.entities["./"]["mentions"] = crate.entities["./"]["mentions"][:1]
    crate.document["@graph"] = [item for item in graph if item["@id"] != "#tool-fit"]
    (damaged / "ro-crate-metadata.json").write_text(json.dumps(crate.document))
    (damaged / "plan.json").unlink()
    text = "\n".join(validator.issues(damaged))
    for message in (
        "must specify a license",
        "A ControlAction must reference the action",
        "The Action SHOULD be referenced from the Root Data Entity via mentions",
        "A HowToStep must refer to its corresponding tool",
        "does not include the Data Entity 'plan.json'",
    ):
        assert message in text
