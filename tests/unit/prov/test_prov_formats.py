"""Every format, read back by the library, is equal to the record; what is written is valid."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import stat
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import prov_factory as factory
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prov.model import ProvDocument
from test_prov_stream import ALL, OPTIONS

from gpwf.errors import ProvenanceError
from gpwf.prov import export as export_module
from gpwf.prov.document import build_document
from gpwf.prov.document_recorder import DocumentRecorder
from gpwf.prov.entities import record_parameter
from gpwf.prov.export import Expected, Source, expected, export, serialise
from gpwf.prov.formats import FORMATS, TABLE, Format, format_of, guess_format
from gpwf.prov.parameters import Parameter
from gpwf.prov.reading import kind_of_text, read_document
from gpwf.prov.stream import write_record

READ_BACK = ("json", "jsonld", "provn", "xml", "ttl", "trig")
#: Texts with what one notation or another gives a meaning to.
TEXTS = (
    " ",
    "  leading and trailing  ",
    "two\nlines\r\nand\ttabs",
    "quotes \" and ' and \"\"\" and '''",
    "back\\slash \\n \\u00e9 \\",
    "<tag attr='x'>&amp; ]]> <!-- -->",
    "gpwf:looks-like-a-name",
    "prov:Plan",
    '{"$": "1", "type": "xsd:int"}',
    "%% 'single' @en ^^xsd:string",
    "é ü 中文 🙂 \u2028 \u200b \ufeff",
    "// no comment /* nor this */ # nor that",
    "NaN",
    "-Infinity",
    "true",
    "1e3",
    "2026-01-01T00:00:00",
    "https://example.org/a?b=c&d#e",
    "null",
    "",
)
NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2**31 - 1, 2**31, -(2**31), 2**63 - 1, 2**63, 10**40, -(10**40),
    0.0, -0.0, 0.1, 1 / 3, 1e-300, 1.7976931348623157e308, 5e-324, 1.0, 1e22, 123456789.123456789,
    math.pi, math.nan, math.inf, -math.inf, True, False, None,
)  # fmt: skip


def parsed(text: bytes, form: str) -> ProvDocument:
    """Read a text with the library alone."""
    options = {"ttl": {"rdf_format": "turtle"}, "trig": {"rdf_format": "trig"}}.get(form, {})
    name = "rdf" if options else form
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ProvDocument.deserialize(content=text, format=name, **options)


def odd_document() -> ProvDocument:
    """Return a record of odd values."""
    recorder = DocumentRecorder()
    for n, value in enumerate((*TEXTS, *NUMBERS)):
        for unit in ("", "1 / (cm2 s TeV)", "µas"):
            item = Parameter(name=f"odd.{n}", value=value, unit=unit, type=type(value).__name__)
            record_parameter(recorder, item)
    moment = datetime(2026, 3, 14, 9, 26, 53, 1, tzinfo=UTC)
    zones = [UTC, timezone(timedelta(hours=5, minutes=45)), timezone(-timedelta(hours=11))]
    for n, zone in enumerate(zones):
        for m, micro in enumerate((0, 1, 100_000, 999_999)):
            start = moment.astimezone(zone).replace(microsecond=micro)
            name = recorder.activity(f"act-{n}-{m}", start, start + timedelta(microseconds=1))
            used = recorder.entity(f"file-{n}-{m}", (), [("prov:location", "/dä ta/<x>&'\"")])
            recorder.used(name, used, "in.odd role/with [signs]", start)
            recorder.used(name, used, "in.without-a-time", None)
            made = recorder.entity(f"product-{n}-{m}")
            generation = recorder.generated(made, name, "out.x", start)
            recorder.derived(made, used, name, generation)
    return recorder.document


@pytest.fixture(scope="module")
def odd() -> ProvDocument:
    return odd_document()


@pytest.mark.parametrize("form", READ_BACK)
@pytest.mark.parametrize("name", ALL)
def test_every_kind_of_run_comes_back_equal(name: str, form: str) -> None:
    make, run = ALL[name]
    plan = make()
    document = build_document(plan, run(plan), **OPTIONS)
    found = parsed(serialise(document, form).encode(), form)
    assert found == document
    assert len(found.get_records()) == len(document.get_records())


@pytest.mark.parametrize("form", READ_BACK)
def test_odd_values_come_back_equal(odd: ProvDocument, form: str) -> None:
    found = parsed(serialise(odd, form).encode(), form)
    assert found == odd
    assert len(found.get_records()) == len(odd.get_records())


@pytest.mark.parametrize("form", READ_BACK)
@given(
    values=st.lists(
        st.one_of(
            st.text(max_size=12),
            st.integers(),
            st.floats(),
            st.datetimes(timezones=st.just(UTC)).map(str),
        ),
        max_size=6,
    )
)
@settings(max_examples=60)
def test_any_values_come_back_equal(form: str, values: list[Any]) -> None:
    recorder = DocumentRecorder()
    for n, value in enumerate(values):
        item = Parameter(name=f"any.{n}", value=value, unit="", type="any")
        recorder.entity(f"e{n}", (), [("prov:label", str(value)), ("reason", str(value))])
        record_parameter(recorder, item)
    document = recorder.document
    if document.get_records():
        assert parsed(serialise(document, form).encode(), form) == document


@pytest.mark.parametrize("form", READ_BACK)
def test_values_keep_their_types(odd: ProvDocument, form: str) -> None:
    def values(document: ProvDocument) -> list[str]:
        found = [(r.identifier, a, v) for r in document.get_records() for a, v in r.attributes]
        return sorted(
            f"{name} {key} {type(value).__name__} {value!r}" for name, key, value in found
        )

    # the library calls -0.0 and 0.0 equal, and 1 and True: this does not
    assert values(parsed(serialise(odd, form).encode(), form)) == values(odd)


@pytest.mark.parametrize("form", READ_BACK)
def test_our_reader_knows_every_format(form: str, odd: ProvDocument, tmp_path: Path) -> None:
    path = tmp_path / "no-suffix"
    path.write_bytes(serialise(odd, form).encode())
    assert read_document(path) == odd


# ---- the schemas of the W3C ---------------------------------------------------------------------


def schemas() -> Path:
    import prov

    folder = Path(prov.__file__).parent / "tests" / "schemas"
    if not folder.is_dir():
        pytest.skip("this release of the library prov comes without the W3C schemas")
    return folder


@pytest.mark.parametrize("name", [*ALL, "odd"])
def test_xml_is_valid(name: str, odd: ProvDocument) -> None:
    from lxml import etree

    schema = etree.XMLSchema(etree.parse(str(schemas() / "prov.xsd")))
    document = odd
    if name != "odd":
        make, run = ALL[name]
        plan = make()
        document = build_document(plan, run(plan), **OPTIONS)
    schema.assertValid(etree.fromstring(serialise(document, "xml").encode()))


@pytest.mark.parametrize(
    ("form", "schema"), [("json", "prov-json.schema.json"), ("jsonld", "prov-jsonld.schema.json")]
)
@pytest.mark.parametrize("name", ["mixed", "gathered and cached", "nested", "strange", "odd"])
def test_json_is_valid(name: str, form: str, schema: str, odd: ProvDocument) -> None:
    import jsonschema

    document = odd
    if name != "odd":
        make, run = ALL[name]
        plan = make()
        document = build_document(plan, run(plan), **OPTIONS)
    rules = json.loads((schemas() / schema).read_text())
    validator = jsonschema.validators.validator_for(rules)(rules)
    assert [
        error.message for error in validator.iter_errors(json.loads(serialise(document, form)))
    ] == []


# ---- files --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    plan = factory.make_plan()
    path = tmp_path_factory.mktemp("record") / "prov.json"
    return Source(record=write_record(path, plan, factory.mixed_run(plan)))


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_is_whole_and_has_the_mode_of_the_umask(
    form: str, source: Source, tmp_path: Path, umask: None
) -> None:
    if format_of(form).is_folder:
        pytest.skip("a folder")
    path = tmp_path / "new" / "record"
    export(source, format_of(form), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_size > 1000


def test_json_is_copied_byte_by_byte(source: Source, tmp_path: Path) -> None:
    export(source, format_of("json"), tmp_path / "copy.json")
    assert (tmp_path / "copy.json").read_bytes() == source.record.read_bytes()


def test_a_record_becomes_its_own_copy(source: Source, tmp_path: Path) -> None:
    path = tmp_path / "prov.json"
    path.write_bytes(source.record.read_bytes())
    export(Source(record=path), format_of("json"), path)
    assert path.read_bytes() == source.record.read_bytes()


@pytest.mark.parametrize("form", ["provn", "xml", "trig"])
def test_a_foreign_record_becomes_json(form: str, source: Source, tmp_path: Path) -> None:
    export(source, format_of(form), tmp_path / "foreign")
    export(Source(record=tmp_path / "foreign"), format_of("json"), tmp_path / "back.json")
    assert read_document(tmp_path / "back.json") == read_document(source.record)


def test_dot_is_a_graph(source: Source) -> None:
    buffer = io.BytesIO()
    export(source, format_of("dot"), buffer)
    text = buffer.getvalue().decode()
    assert text.startswith("digraph")
    assert "flux-points" in text


def test_what_fails_leaves_nothing(source: Source, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"entity": {"nowhere:x": {}}}')
    target = tmp_path / "out" / "x.provn"
    target.parent.mkdir()
    target.write_text("old")
    buffer = io.BytesIO()
    for goal in (target, buffer):
        with pytest.raises(ProvenanceError, match="not valid PROV-JSON"):
            export(Source(record=broken), format_of("provn"), goal)
    assert target.read_text() == "old"
    assert list(target.parent.iterdir()) == [target]
    assert buffer.getvalue() == b""
    with pytest.raises(ProvenanceError, match="cannot read"):
        export(Source(record=tmp_path / "none"), format_of("json"), target)


@pytest.mark.parametrize(
    ("form", "library"), [("xml", "lxml"), ("ttl", "rdflib"), ("trig", "rdflib")]
)
def test_a_missing_library_is_named(
    form: str, library: str, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = read_document(source.record)
    path = tmp_path / "record"
    path.write_text(serialise(there, form))
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr(export_module, "find_spec", lambda name: None)
    monkeypatch.setattr("gpwf.prov.reading.find_spec", lambda name: None)
    with pytest.raises(ProvenanceError, match=f"needs the library {library}") as caught:
        export(source, format_of(form), tmp_path / "x")
    assert 'pip install "gpwf[records]"' in str(caught.value.hint)
    with pytest.raises(ProvenanceError, match=f"needs the library {library}"):
        read_document(path)
    export(source, format_of("jsonld"), tmp_path / "y.jsonld")
    assert read_document(tmp_path / "y.jsonld") == there


def test_what_the_machine_cannot_hold_is_refused(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = Expected(size=10**12, seconds=1e5, memory=10**14)
    monkeypatch.setattr(export_module, "expected", lambda source, form: huge)
    with pytest.raises(ProvenanceError, match=r"1000000 MB takes some 1667 min and 100000\.0 GB"):
        export(source, format_of("ttl"), tmp_path / "x.ttl")
    assert list(tmp_path.iterdir()) == []


def test_a_small_record_costs_nothing_to_speak_of(source: Source) -> None:
    for form in TABLE:
        assert not expected(source, form).is_noticeable
    assert Expected(size=1, seconds=30, memory=10**9).is_noticeable
    assert str(Expected(size=1, seconds=30, memory=10**9)) == "some 30 s and 1.0 GB of memory"


# ---- the table ----------------------------------------------------------------------------------


def test_the_table_is_consistent() -> None:
    assert len(set(FORMATS)) == len(TABLE)
    suffixes = [suffix for form in TABLE for suffix in form.suffixes]
    assert len(set(suffixes)) == len(suffixes)
    assert all(suffix.startswith(".") for suffix in suffixes)


@pytest.mark.parametrize("form", TABLE, ids=lambda form: form.name)
def test_the_suffix_says_the_format(form: Format) -> None:
    for suffix in form.suffixes:
        assert guess_format(Path(f"some.record{suffix.upper()}")) is form


def test_no_file_means_json_and_no_suffix_nothing() -> None:
    assert guess_format(None).name == guess_format(Path("-")).name == "json"
    with pytest.raises(ProvenanceError, match=r"record\.txt does not say which format") as caught:
        guess_format(Path("a/record.txt"))
    assert ".provn" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"prefix": {}}', "json"),
        ('\n {"@context": ["x"], "@graph": []}', "jsonld"),
        ("<?xml version='1.0'?><x/>", "xml"),
        ("<http://example.org/a> a <http://example.org/b> .", "rdf"),
        ("# a comment\n@prefix prov: <http://www.w3.org/ns/prov#> .", "rdf"),
        ("// a comment\ndocument\nendDocument", "provn"),
        ("", ""),
        ("SIMPLE  =                    T", ""),
    ],
)
def test_the_first_signs_tell_the_format(text: str, kind: str) -> None:
    assert kind_of_text(text) == kind


def test_a_library_that_does_not_like_a_file_does_not_print(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.ttl"
    path.write_text(
        "@prefix prov: <http://www.w3.org/ns/prov#> . @prefix x: <urn:x y:> .\n"
        "@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .\n"
        'x:a a prov:Activity ; prov:startedAtTime "2026-02-31T00:00:00Z"^^xsd:dateTime .'
    )
    with contextlib.suppress(ProvenanceError):
        read_document(path)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SIMPLE  = T", "is not JSON"),
        ("<html><body/></html>", "not valid PROV-XML|holds no provenance"),
        ("<not closed", "not valid PROV-XML"),
        ("@prefix a: <urn:a> .\na:b a:c a:d .", "holds no provenance"),
        ("@prefix a <urn:a> .\n!", "not valid Turtle or TriG"),
        ("document\n entity(", "not valid PROV-N"),
        ("document\nendDocument", "holds no provenance"),
        ('{"@context": [], "@graph": 3}', "not valid PROV-JSONLD"),
        ("[]", "not PROV-JSON"),
    ],
)
def test_what_is_no_record_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text(text)
    with pytest.raises(ProvenanceError, match=message):
        read_document(path)
