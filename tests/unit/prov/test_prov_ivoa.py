"""The IVOA view holds what the record holds, in the classes of the IVOA model."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import prov_factory as factory
import pytest
from prov.model import ProvDocument, ProvInfluence
from prov_constraints import problems
from prov_crates import RUNS

from gpwf.errors import ProvenanceError
from gpwf.prov.document import build_document
from gpwf.prov.export import Source, export, serialise
from gpwf.prov.formats import format_of, guess_format
from gpwf.prov.ivoa import ivoa_document

Json = dict[str, Any]

#: Classes of the model (table 1 of the recommendation) that a record of gpwf can have.
CLASSES = {
    "Activity",
    "Entity",
    "DatasetEntity",
    "Agent",
    "Parameter",
    "ConfigFile",
    "ActivityDescription",
    "UsageDescription",
    "GenerationDescription",
    "DatasetDescription",
    "ParameterDescription",
}


@pytest.fixture(scope="module")
def pairs() -> Callable[[str], tuple[Json, Json]]:
    made: dict[str, tuple[Json, Json]] = {}

    def pair(name: str) -> tuple[Json, Json]:
        if name not in made:
            make, run = RUNS[name]
            plan = make()
            record = json.loads(serialise(build_document(plan, run(plan))))
            made[name] = (record, ivoa_document(record))
        return made[name]

    return pair


def types(element: Json) -> list[str]:
    found = element.get("prov:type", [])
    return [item["$"] for item in (found if isinstance(found, list) else [found])]


def without_ivoa(view: Json) -> Json:
    """Return the record that a view was made of: every addition taken away again."""
    data = json.loads(json.dumps(view))
    added = {f"voprov:{name}" for name in CLASSES - {"Parameter"}}
    influences = data.pop("wasInfluencedBy", {})
    for name, item in influences.items():
        if types(item) == ["voprov:WasConfiguredBy"]:
            del item["prov:type"], item["voprov:artefactType"]
            renamed = {"prov:influencee": "prov:activity", "prov:influencer": "prov:entity"}
            data.setdefault("used", {})[name] = {
                renamed.get(key, key): value for key, value in item.items()
            }
    for section in ("entity", "activity", "agent"):
        for name, item in list(data[section].items()):
            kept = [kind for kind in types(item) if kind not in added]
            if not kept:
                del data[section][name]
                continue
            values = [{"$": kind, "type": "xsd:QName"} for kind in kept]
            item["prov:type"] = values[0] if len(values) == 1 else values
            if "voprov:Parameter" not in kept:
                for key in [key for key in item if key.startswith("voprov:")]:
                    del item[key]
    for section in ("used", "wasGeneratedBy"):
        for item in data.get(section, {}).values():
            item.pop("voprov:isDescribedBy", None)
    associations = data.get("wasAssociatedWith", {})
    for name in [name for name, item in associations.items() if "voprov:role" in item]:
        del associations[name]
    return data


@pytest.mark.parametrize("name", RUNS)
def test_nothing_is_lost(name: str, pairs: Callable[[str], tuple[Json, Json]]) -> None:
    record, view = pairs(name)
    assert without_ivoa(view) == record


def test_the_record_is_left_as_it_is() -> None:
    plan = factory.make_plan()
    record = json.loads(serialise(build_document(plan, factory.mixed_run(plan))))
    before = json.dumps(record)
    ivoa_document(record)
    assert json.dumps(record) == before


@pytest.mark.parametrize("name", RUNS)
def test_library_reads_the_same_elements(
    name: str, pairs: Callable[[str], tuple[Json, Json]]
) -> None:
    record, view = pairs(name)
    read = ProvDocument.deserialize(content=json.dumps(view), format="json")
    names = {str(item.identifier) for item in read.get_records() if item.is_element()}
    assert names >= {key for kind in ("entity", "activity", "agent") for key in record[kind]}
    # every influence leads from something known to something known
    for item in read.get_records(ProvInfluence):
        assert {str(value) for _, value in item.formal_attributes} <= names


@pytest.mark.parametrize("name", RUNS)
def test_view_is_valid(name: str, pairs: Callable[[str], tuple[Json, Json]]) -> None:
    _, view = pairs(name)
    assert problems(json.dumps(view)) == []


@pytest.mark.parametrize("name", RUNS)
def test_every_element_has_a_class(name: str, pairs: Callable[[str], tuple[Json, Json]]) -> None:
    _, view = pairs(name)
    seen = set()
    for section in ("entity", "activity", "agent"):
        for key, item in view[section].items():
            found = {kind.removeprefix("voprov:") for kind in types(item)} & CLASSES
            assert found, key
            assert "voprov:name" in item or "voprov:role" in item, key
            seen |= found
    # of an earlier run that made everything, the record does not say which step it carried out
    unknown = {"GenerationDescription"} if name.endswith("cached") else set()
    assert seen >= CLASSES - {"ConfigFile"} - unknown


def of_class(view: Json, name: str) -> dict[str, Json]:
    return {key: item for key, item in view["entity"].items() if f"voprov:{name}" in types(item)}


def influences(view: Json, kind: str) -> set[tuple[str, str]]:
    return {
        (item["prov:influencee"], item["prov:influencer"])
        for item in view["wasInfluencedBy"].values()
        if types(item) == [f"voprov:{kind}"]
    }


def test_settings_configure_and_are_described(
    pairs: Callable[[str], tuple[Json, Json]],
) -> None:
    record, view = pairs("good")
    parameters = of_class(view, "Parameter")
    assert not {item["prov:entity"] for item in view["used"].values()} & set(parameters)
    configured = influences(view, "WasConfiguredBy")
    assert {entity for _, entity in configured} >= set(parameters)
    wanted = {
        (item["prov:activity"], item["prov:entity"])
        for item in record["used"].values()
        if item["prov:entity"] in parameters
    }
    assert configured >= wanted
    described = influences(view, "IsDescribedBy")
    descriptions = of_class(view, "ParameterDescription")
    for name, item in parameters.items():
        about = [descriptions[other] for one, other in described if one == name]
        assert {text["voprov:name"] for text in about} == {item["voprov:name"]}
        assert {text.get("voprov:unit") for text in about} == {item.get("voprov:unit")}
    origins = [item.get("gpwf:origin") for item in view["wasInfluencedBy"].values()]
    assert "workflow" in origins


def test_documents_are_configuration_files(pairs: Callable[[str], tuple[Json, Json]]) -> None:
    _, view = pairs("good")
    files = of_class(view, "ConfigFile")
    assert files
    assert all(item["voprov:location"] for item in files.values())
    run = next(name for name in view["activity"] if ":run-" in name)
    assert {(run, name) for name in files} <= influences(view, "WasConfiguredBy")


def test_activities_and_data_are_described(pairs: Callable[[str], tuple[Json, Json]]) -> None:
    _, view = pairs("good")
    described = influences(view, "IsDescribedBy")
    steps = of_class(view, "ActivityDescription")
    for name, item in view["activity"].items():
        if item.get("gpwf:step"):
            (step,) = [other for one, other in described if one == name]
            assert steps[step]["voprov:name"] == item["gpwf:step"]
            assert steps[step]["voprov:type"] == item["gpwf:tag"]
            assert steps[step]["voprov:version"] == item["gpwf:version"]
    kinds = of_class(view, "DatasetDescription")
    assert kinds["gpwf:datasetdesc-flux-points"]["voprov:contentType"] == [
        "application/fits",
        "application/json",
    ]
    products = [key for key in view["entity"] if ":product-" in key]
    assert {one for one, other in described if other in kinds} == set(products)


@pytest.mark.parametrize("name", RUNS)
def test_an_activity_has_one_description_at_most(
    name: str, pairs: Callable[[str], tuple[Json, Json]]
) -> None:
    _, view = pairs(name)
    steps = of_class(view, "ActivityDescription")
    described = [one for one, other in influences(view, "IsDescribedBy") if other in steps]
    assert len(described) == len(set(described))
    assert described


def test_usages_and_generations_are_described(
    pairs: Callable[[str], tuple[Json, Json]],
) -> None:
    _, view = pairs("good")
    for section, kind in (("used", "Usage"), ("wasGeneratedBy", "Generation")):
        descriptions = of_class(view, f"{kind}Description")
        for item in view[section].values():
            if ":act-" in item["prov:activity"]:
                name = item["voprov:isDescribedBy"]["$"]
                assert descriptions[name]["voprov:role"] == item["prov:role"]
    related = influences(view, "IsRelatedTo")
    steps = of_class(view, "ActivityDescription")
    for name in of_class(view, "UsageDescription"):
        assert any(one == name and other in steps for one, other in related)


def test_people_operate_and_software_is_an_agent(
    pairs: Callable[[str], tuple[Json, Json]],
) -> None:
    _, view = pairs("good")
    agents = {item["voprov:name"]: item["voprov:type"] for item in view["agent"].values()}
    assert agents == {"mara": "Person", "gpwf": "SoftwareAgent"}
    roles = [item.get("voprov:role") for item in view["wasAssociatedWith"].values()]
    assert roles.count("operator") == 1


def test_failures_are_told(pairs: Callable[[str], tuple[Json, Json]]) -> None:
    _, view = pairs("mixed")
    comments = {
        item["voprov:name"]: item.get("voprov:comment") for item in view["activity"].values()
    }
    assert "no counts" in comments["flux-points, attempt 1"]
    assert comments["flux-points, attempt 1"].startswith("failed: ")


def test_it_is_a_format(tmp_path: Path) -> None:
    plan = factory.make_plan()
    loaded = build_document(plan, factory.good_run(plan))
    buffer = io.BytesIO()
    export(Source(record=tmp_path, loaded=loaded), format_of("ivoa"), buffer)
    assert json.loads(buffer.getvalue()) == ivoa_document(json.loads(serialise(loaded)))
    assert guess_format(Path("crab.ivoa.json")).name == "ivoa"
    assert guess_format(Path("crab.json")).name == "json"


def test_foreign_provenance_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"prefix": {"ex": "http://example.org/"}, "entity": {"ex:a": {}}}')
    with pytest.raises(ProvenanceError, match="not the record of a gpwf run"):
        export(Source(record=path), format_of("ivoa"), io.BytesIO())
