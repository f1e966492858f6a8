"""What is read to be checked: every kind of run, damaged files, other formats, other software."""

from __future__ import annotations

import json
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import prov_factory as factory
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_prov_stream import ALL, OPTIONS

from gpwf.errors import ProvenanceError
from gpwf.prov.document import build_document
from gpwf.prov.export import serialise
from gpwf.prov.stream import write_record
from gpwf.prov.validation import json_stream
from gpwf.prov.validation.check import check_data, check_file
from gpwf.prov.validation.components import components, cycles_of
from gpwf.prov.validation.form_rules import is_plain, json_schema
from gpwf.prov.validation.instance import ELEMENTS, FORMAL
from gpwf.prov.validation.json_stream import Damage, Member, members


def record_of(name: str, path: Path, **options: Any) -> Path:
    make, run = ALL[name]
    plan = make()
    return write_record(path, plan, run(plan), **options)


@pytest.mark.parametrize("name", ALL)
def test_every_kind_of_run_is_valid(name: str, tmp_path: Path) -> None:
    report = check_file(record_of(name, tmp_path / "prov.json", **OPTIONS))
    assert report.findings == []
    assert report.is_run_record
    assert report.counts["activity"] > 1


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("name", ["mixed", "scatter and failed", "healed", "early cut-off"])
def test_a_run_is_valid_wherever_its_journal_stops(name: str, live: bool, tmp_path: Path) -> None:
    make, run = ALL[name]
    plan = make()
    events = run(plan)
    for stop in range(1, len(events) + 1):
        path = write_record(tmp_path / "prov.json", plan, events[:stop], live=live)
        assert check_file(path).findings == []


@pytest.mark.parametrize("form", ["jsonld", "provn", "xml", "ttl", "trig", "json"])
def test_a_record_in_another_format_is_checked_all_the_same(form: str, tmp_path: Path) -> None:
    plan = factory.make_plan()
    document = build_document(plan, factory.mixed_run(plan), **OPTIONS)
    (tmp_path / "record").write_bytes(serialise(document, form).encode())
    report = check_file(tmp_path / "record")
    assert report.findings == []
    assert report.is_run_record


# ---- the corpus of the W3C's working group ------------------------------------------------------


def corpus() -> list[Path]:
    import prov

    folder = Path(prov.__file__).parent / "tests" / "unification"
    return sorted(path for path in folder.rglob("*") if path.suffix in (".json", ".xml", ".provx"))


#: Cases that say something else than the recommendation, or that the library cannot read.
EXCEPT = {
    "bundle-fail1": "the library does not read the old form of bundles",
    "bundle-success1": "the library does not read the old form of bundles",
    "bundle-success2": "the library does not read the old form of bundles",
    "delegation-fail4": "an open activity of a delegation may be any (definition 3)",
    "delegation-fail5": "an open activity of a delegation may be any (definition 3)",
    "mention-fail4": "unique mentions did not come into the recommendation",
    "usage-fail1": "no constraint says that something is used once",
    "usage-fail5": "no constraint says that something is used once",
    "usage-fail6": "no constraint says that something is used once",
    "usage-fail7": "no constraint says that something is used once",
}


@pytest.mark.parametrize("path", corpus(), ids=lambda path: path.stem)
def test_the_corpus_of_the_working_group(path: Path) -> None:
    if path.stem in EXCEPT:
        pytest.skip(EXCEPT[path.stem])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = check_file(path)
    assert report.is_valid == ("success" in path.name or "PASS" in path.name)


def test_the_corpus_is_there() -> None:
    if not corpus():
        pytest.skip("this release of the library prov comes without the corpus")
    assert len(corpus()) > 150


# ---- what is damaged ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = record_of("mixed", tmp_path_factory.mktemp("record") / "prov.json", **OPTIONS)
    return path.read_text()


def test_a_torn_record_is_checked_as_far_as_it_goes(text: str, tmp_path: Path) -> None:
    path = tmp_path / "prov.json"
    n_whole = sum(check_data(json.loads(text)).counts.values())
    last = 0
    for part in range(1, 12):
        path.write_text(text[: len(text) * part // 12])
        report = check_file(path)
        assert not report.is_valid
        (torn,) = report.findings  # and nothing of what is missing
        assert torn.rule == "RD-01"
        assert "torn" in torn.message
        assert torn.line == path.read_text().count("\n") + 1
        n_read = sum(report.counts.values())
        assert last <= n_read < n_whole
        last = n_read
    assert last > 0.8 * n_whole


def test_a_broken_line_is_named_and_the_others_are_read(text: str, tmp_path: Path) -> None:
    path = tmp_path / "prov.json"
    lines = text.splitlines()
    number = next(n for n, line in enumerate(lines) if '"gpwf:use-' in line and n > 100)
    lines[number] = lines[number].replace('"prov:role":"', '"prov:role":', 1)
    path.write_text("\n".join(lines))
    report = check_file(path)
    broken = [item for item in report.findings if item.rule == "RD-01"]
    assert [item.line for item in broken] == [number + 1]
    whole = sum(check_data(json.loads(text)).counts.values())
    assert sum(report.counts.values()) == whole - 1


def test_findings_have_the_line_of_their_record(text: str, tmp_path: Path) -> None:
    data = json.loads(text)
    name = next(iter(data["used"]))
    del data["used"][name]["prov:role"]
    for indent in (None, 1):
        path = tmp_path / "prov.json"
        path.write_text(json.dumps(data, indent=indent))
        (found,) = check_file(path).findings
        assert found.subject == name
        if indent:
            assert f'"{name}"' in path.read_text().splitlines()[(found.line or 0) - 1]


def test_an_identifier_that_stands_twice_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "prov.json"
    lines = text.splitlines()
    for section in ("gpwf:use-", "gpwf:param-"):
        number = next(n for n, line in enumerate(lines) if line.startswith(f'"{section}'))
        twice = [*lines[: number + 1], lines[number].rstrip(",") + ",", *lines[number + 1 :]]
        twice[number] = twice[number].rstrip(",") + ","
        path.write_text("\n".join(twice))
        assert "RD-03" in {item.rule for item in check_file(path).findings}


@pytest.mark.parametrize("size", [1, 7, 100, 5000])
def test_portions_of_any_size_give_the_same(
    size: int, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "prov.json"
    short = '{"prefix": {"x": "urn:x:"},\n "entity": {"x:é": {"x:n": -12.5e3, "x:t": true}},\n'
    short += ' "used": {"_:1": {"prov:activity": "x:a", "prov:entity": "x:\\u00e9"}}}\n'
    for content in (short, text if size > 5 else short):
        path.write_text(content)
        monkeypatch.setattr(json_stream, "_PORTION", size)
        found = list(members(path))
        assert [item for item in found if isinstance(item, Damage)] == []
        data: dict[str, Any] = {}
        for item in found:
            assert isinstance(item, Member)
            if item.name:
                data[item.section][item.name] = item.value
            else:
                data[item.section] = {}
        assert data == json.loads(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("SIMPLE  = T", "is no provenance record"),
        ('{"a": 1}', "not PROV-JSON"),
        ('{"results": {"x": {"y": 1}}}', "not PROV-JSON"),
        ("[1, 2]", "not PROV-JSON"),
        ("<html/>", "PROV-XML|holds no provenance"),
        ("\x00\x01\x02", "is no provenance record"),
    ],
)
def test_what_is_no_record_is_refused(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text(content)
    with pytest.raises(ProvenanceError, match=message):
        check_file(path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        '{"entity"',
        '{"entity": {"x:e": {"a": "' + "b" * 3_000_000,
        '{"entity": ' + "[" * 100_000,
        '{"entity": {"x:e": 1e999999}, "prefix": {"x": "urn:x:"}}}',
        '{"prefix": {"x": 3}, "entity": []}',
        '{"entity": {"x:e": 5}}',
        '{"activity": {"x:a": {"prov:startTime": {"$": 3}}}, "used": {"x:u": {"prov:time": []}}}',
        '{"entity": {"x:e": {}}} trailing',
        '{"bundle": {"x:b": 7}, "entity": {"x:e": {}}}',
        '{"entity": {"x:e": {"prov:type": {"$": []}}}, "hadMember": {"_:1": null}}',
        '{"prefix": {"gpwf": "urn:gpwf:"}, "activity": {"gpwf:run-1": {"gpwf:runId": "", '
        '"prov:type": {"$": "wfprov:WorkflowRun"}, "gpwf:notRun": ["x", {"$": "{}"}], '
        '"gpwf:state": 7, "gpwf:count": [5, "a=b"], "gpwf:format": "new"}}}',
    ],
)
def test_anything_else_is_findings_and_no_fault(content: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    report = check_file(path)
    assert not report.is_valid
    json.dumps(report.as_data(), allow_nan=False)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProvenanceError, match="cannot read"):
        check_file(tmp_path / "none")
    with pytest.raises(ProvenanceError, match="cannot read"):
        check_file(tmp_path)


def test_prefixes_may_come_last(tmp_path: Path) -> None:
    data = {"entity": {"x:e": {}}, "prefix": {"x": "urn:x:"}}
    (tmp_path / "x.json").write_text(json.dumps(data))
    assert check_file(tmp_path / "x.json").findings == []


def test_bundles_are_valid_or_not_by_themselves() -> None:
    inner = {"entity": {"x:e": {}}}
    data = {"prefix": {"x": "urn:x:"}, "activity": {"x:e": {}}, "bundle": {"x:b": inner}}
    assert check_data(data).findings == []
    broken = {"entity": {"x:e": {}}, "activity": {"x:e": {}}}
    report = check_data(data | {"bundle": {"x:b": broken}})
    assert [item.rule for item in report.findings] == ["PC-55"]


def test_a_record_of_a_newer_version_says_so_first(text: str) -> None:
    data = json.loads(text)
    run = next(item for item in data["activity"].values() if "gpwf:format" in item)
    run["gpwf:format"] = {"$": "2", "type": "xsd:int"}
    run["gpwf:mood"] = "cheerful"
    report = check_data(data)
    assert report.is_valid
    assert {item.rule for item in report.findings} == {"GR-09", "GR-10"}
    assert any("newer gpwf" in item.message for item in report.findings)


# ---- the schema ---------------------------------------------------------------------------------

_LITERALS = st.one_of(
    st.text(max_size=3),
    st.booleans(),
    st.integers(-5, 5),
    st.none(),
    st.dictionaries(st.sampled_from(["$", "type", "lang", "x"]), st.text(max_size=2), max_size=3),
)
_VALUES = st.one_of(_LITERALS, st.lists(_LITERALS, max_size=2))
_KEYS = st.sampled_from(
    [
        "x:a",
        "prov:type",
        "prov:time",
        *{f"prov:{name}" for names in FORMAL.values() for name in names},
    ]
)


@given(
    section=st.sampled_from([*ELEMENTS, *FORMAL]),
    value=st.one_of(_VALUES, st.dictionaries(_KEYS, _VALUES, max_size=4)),
)
def test_what_is_plain_is_valid_under_the_schema(section: str, value: Any) -> None:
    validator = json_schema()
    if validator is None:
        pytest.skip("this release of the library prov comes without the W3C schemas")
    if is_plain(section, value):
        assert validator.is_valid({section: {"x:r": value}})


def test_without_the_schema_the_form_is_still_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpwf.prov.validation.form_rules.json_schema", lambda: None)
    report = check_data({"prefix": {"x": "urn:x:"}, "entity": {"x:e": {"x:a": None}}})
    assert [item.rule for item in report.findings] == ["JS-01"]


# ---- graphs -------------------------------------------------------------------------------------


@given(
    st.integers(1, 8).flatmap(
        lambda n: st.lists(
            st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=16
        ).map(lambda edges: (n, edges))
    )
)
def test_components_are_those_of_networkx(graph: tuple[int, list[tuple[int, int]]]) -> None:
    import networkx

    n, pairs = graph
    edges: list[list[int]] = [[] for _ in range(n)]
    for first, second in pairs:
        edges[first].append(second)
    found = components(edges)
    wanted = networkx.DiGraph(pairs)
    wanted.add_nodes_from(range(n))
    groups = {frozenset(i for i in range(n) if found[i] == number) for number in found}
    assert groups == {frozenset(group) for group in networkx.strongly_connected_components(wanted)}
    assert all(found[first] >= found[second] for first, second in pairs)
    cycles = cycles_of((str(first), str(second)) for first, second in pairs)
    assert bool(cycles) == (not networkx.is_directed_acyclic_graph(wanted))
    for cycle in cycles:
        assert cycle[0] == cycle[-1]
        assert all((int(a), int(b)) in pairs for a, b in pairwise(cycle))
