"""Questions to the provenance of runs that the engine made: over all runs of a store."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fakecatalog import plan, task
from harness import run

import gpwf
from gpwf.api.find_record import find_record
from gpwf.api.query import open_provenance
from gpwf.api.run_records import runs_of_store
from gpwf.cli.main import cli
from gpwf.core.plan import Plan
from gpwf.errors import ProvenanceError, UsageError
from gpwf.store.cards import read_cards
from gpwf.store.store import Store


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a store with three runs: a first one, one with another setting, one of another file."""
    folder = tmp_path_factory.mktemp("questions")
    events = folder / "events.fits"
    events.write_text("first")
    run(chain(events), folder, name="one")
    run(chain(events, say="other"), folder, name="two")
    events.write_text("second")
    run(chain(events), folder, name="three")
    register(folder)
    return folder


def register(folder: Path) -> None:
    """Make the runs known to their store, as the command line does."""
    store = Store(folder / "store")
    for name in ("one", "two", "three"):
        started = gpwf.open_run(folder / name).view.started_event
        assert started is not None
        store.register_run(folder / name, started.run_id, workflow="fake")


def chain(events: Path, say: str = "middle") -> Plan:
    return plan(
        task("read", reads=events),
        task("middle", "read", say=say),
        task("aside"),
        task("end", "middle", "aside"),
    )


@pytest.fixture
def copy(world: Path, tmp_path: Path) -> Path:
    """Return a copy of everything, moved together, to be spoilt."""
    target = tmp_path / "moved"
    shutil.copytree(world, target, symlinks=True)
    shutil.rmtree(target / "store" / "runs")
    register(target)
    return target


@pytest.fixture
def ask(world: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.chdir(world)
    return lambda *arguments: CliRunner().invoke(
        cli, ["prov", *map(str, arguments)], catch_exceptions=True
    )


def answer(result: Result) -> Any:
    assert result.exit_code in (0, 1), result.output
    return json.loads(result.stdout)


# ---- query -------------------------------------------------------------------------------------


def test_everything_that_was_made_from_a_file_in_all_runs(
    ask: Callable[..., Result], world: Path
) -> None:
    store = ("--store", world / "store", "--format", "json")
    first = gpwf.open_run(world / "one").plan.task("read").files[0].digest
    found = answer(ask("query", "--products-of", first, *store))
    assert found["schema"] == "gpwf-query/1"
    assert {(Path(item["path"]).parts[-4], item["task"]) for item in found["answer"]} == {
        ("one", "read"),
        ("one", "middle"),
        ("one", "end"),
        ("two", "middle"),
        ("two", "end"),
    }
    # the file on the disk is the second one now
    found = answer(ask("query", "--products-of", world / "events.fits", *store))
    # it gave the same product, so that what comes after was not made from it
    assert [(Path(item["path"]).parts[-4], item["task"]) for item in found["answer"]] == [
        ("three", "read")
    ]


def test_two_files_of_one_name_must_be_told_apart(
    ask: Callable[..., Result], world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("query", "--of", "events.fits", "--down", "--store", world / "store")
    assert ask(*asked).exit_code == 0  # a file in the current folder is known by its content
    monkeypatch.chdir(tmp_path)
    refused = ask(*asked)
    assert refused.exit_code == 2
    assert "2 files that differ" in refused.stderr


def test_a_cached_result_is_explained_by_the_run_that_made_it(world: Path) -> None:
    found = gpwf.open_run(world / "two").lineage("end.text")
    names = {item.name: item.run for item in found.items if item.type == "product"}
    assert set(names) == {"end.text", "middle.text", "read.text", "aside.text"}
    assert names["read.text"] != names["end.text"]
    (file,) = [item for item in found.items if item.type == "file"]
    assert file.facts["path"].endswith("events.fits")
    down = gpwf.open_run(world / "one").lineage("read.text", "down")
    taken = [item for item in down.items if item.type == "cached"]
    assert sorted(item.name for item in taken) == ["end, cached", "middle, cached", "read, cached"]


def test_attempts_settings_and_inputs_as_text_and_as_json(
    ask: Callable[..., Result], world: Path
) -> None:
    store = ("--store", world / "store")
    cached = ("--where", "state=cached", "--runs", "two")
    rows = answer(ask("query", *cached, "--format", "json", *store))["answer"]
    assert {item["task"] for item in rows} == {"read", "aside"}
    text = ask("query", "--where", "say=other", *store).stdout
    assert text.splitlines()[1].split()[:3] == ["middle", "1", "ok"]
    rows = answer(ask("query", "--parameters", "say=other", "--format", "json", *store))["answer"]
    assert [(item["step"], item["value"], item["tasks"]) for item in rows] == [
        ("middle", "other", ["middle"])
    ]
    text = ask("query", world / "one", "--of", "end", "--inputs").stdout
    assert text.splitlines()[1].startswith("events.fits")
    assert ask("query", world / "one", "--of", "aside.text", "--inputs").stdout == "no inputs\n"
    text = ask("query", world / "two", "--of", "end.text").stdout
    assert "  texts: middle.text" in text
    assert "file: " in text
    text = ask("query", world / "one", "--of", "read.text", "--down").stdout
    assert "taken from the store by run two" in text
    only = answer(ask("query", "--attempts", "--runs", "two", "--format", "json", *store))
    assert len(only["records"]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["query"], "say what is asked for"),
        (["query", "--inputs", "--software"], "one thing at a time"),
        (["query", "--down", "--inputs"], "go with --of"),
        (["query", "--attempts", "--where", "state"], "no form NAME=VALUE"),
        (["query", "events.fits", "--inputs"], "--of events.fits"),
        (["query", "--inputs", "--store", "nowhere"], "nowhere is not a store"),
        (["query", "--inputs", "--store", "store", "--runs", "none"], "fits none"),
        (["query", "one", "--of", "midle"], "near to it: middle"),
    ],
)
def test_what_cannot_be_asked(
    ask: Callable[..., Result], arguments: list[str], message: str
) -> None:
    refused = ask(*arguments)
    assert refused.exit_code == 2
    assert message in refused.stderr


# ---- files that explain themselves -------------------------------------------------------------


def test_a_product_is_known_by_its_card_wherever_it_was_copied(world: Path, tmp_path: Path) -> None:
    key = str(gpwf.open_run(world / "two")["end"]["text"].key)
    cards = [f"GPWFKEY = '{key}'", "GPWFPORT= 'text    '", "GPWFTAG = 'act     '", "END"]
    header = "".join(line.ljust(80) for line in ("SIMPLE  =                    T", *cards))
    file = tmp_path / "x.fits"
    file.write_bytes(header.encode().ljust(2880))
    found = find_record(file, world / "store")
    assert (found.product, found.run.name, found.changed) == ("end.text", "two", True)
    packed = tmp_path / "x.fits.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert find_record(packed, world / "store").product == "end.text"
    with open_provenance(of=file, store=world / "store") as provenance:
        assert provenance.lineage(file).roots == (found.entity,)


def test_files_without_cards_are_known_by_their_content(world: Path, tmp_path: Path) -> None:
    product = world / "one" / "products" / "end" / "text" / "value.txt"
    shutil.copy(product, tmp_path / "a.txt")
    found = find_record(tmp_path / "a.txt", world / "store")
    assert (found.product, found.changed) == ("end.text", False)
    shutil.copy(world / "events.fits", tmp_path / "b.fits")
    found = find_record(tmp_path / "b.fits", world / "store")
    assert (found.task, found.run.name) == ("", "three")
    assert found.product == found.digest
    # inside a run the folder says it
    assert find_record(product).run.name == "one"


def test_the_folder_of_a_product_is_the_product(ask: Callable[..., Result]) -> None:
    folder = "one/products/middle"
    (port,) = (item.name for item in Path(folder).iterdir())
    found = ask("query", "--of", f"{folder}/{port}", "--depth", 1)
    assert found.stdout.startswith("middle."), found.output
    assert ask("query", "--of", folder, "--depth", 1).stdout == found.stdout
    assert ask("diff", folder, "two/products/middle").exit_code == 1
    assert ask("show", folder, "--up", "-o", "middle.dot").exit_code == 0
    many = ask("query", "--of", "one/products/")
    assert many.exit_code == 2
    assert "holds 4 products" in many.stderr
    assert "middle." in many.stderr


def test_settings_of_a_run_are_told_once_and_which_are_no_defaults(
    ask: Callable[..., Result],
) -> None:
    """What another run computed is told of by the run that took it."""
    rows = answer(ask("query", "two", "--parameters", "--format", "json"))["answer"]
    places = [(item["step"], item["name"]) for item in rows]
    assert len(places) == len({*places})
    assert {run for item in rows for run in item["runs"]} == {gpwf.open_run("two").view.run_id}
    changed = answer(ask("query", "two", "--changed", "--format", "json"))["answer"]
    assert changed == [item for item in rows if item["step"] and item["origin"] != "step default"]
    software = answer(ask("query", "two", "--software", "--format", "json"))["answer"]["software"]
    assert all(item["n_attempts"] <= 4 for item in software)


def test_a_setting_that_is_not_there_is_told_with_near_ones(ask: Callable[..., Result]) -> None:
    done = ask("query", "two", "--parameters", "sai")
    assert (done.exit_code, done.stdout) == (0, "no parameters\n")
    assert "near to it: say" in done.stderr


def test_unknown_files_are_told_so(world: Path, tmp_path: Path, monkeypatch: Any) -> None:
    file = tmp_path / "x.txt"
    file.write_text("something else")
    with pytest.raises(UsageError, match="does not say where it came from"):
        find_record(file, world / "store")
    file.write_text(f"# GPWFKEY: {'0' * 64}\n# GPWFPORT: models\n")
    with pytest.raises(UsageError, match="was made by gpwf"):
        find_record(file, world / "store")
    with pytest.raises(UsageError, match="is not a store"):
        find_record(file, tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        find_record(tmp_path / "none", world / "store")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GPWF_STORE", raising=False)
    with pytest.raises(UsageError, match="neither a PROV-JSON file nor a product"):
        find_record(file)


@pytest.mark.parametrize(
    "text",
    [
        "# %ECSV 1.0\n# meta: !!omap\n# - gpwf: {GPWFKEY: <key>,\n#     GPWFPORT: fp}\n",
        '{"a": 1,\n "gpwf": {\n  "GPWFKEY": "<key>",\n  "GPWFPORT": "fp"\n }\n}\n',
        "# GPWFKEY: <key>\n# GPWFPORT: fp\ncomponents: []\n",
        "%PDF-1.4\n<< /Keywords (GPWFKEY=<key>; GPWFPORT=fp) >>\n",
        "\x89PNG\r\n\x1a\n\x00\x00tEXtGPWFKEY\x00<key>\x12\x13tEXtGPWFPORT\x00fp\x00",
        "x" * 600_000 + '"GPWFKEY": "<key>", "GPWFPORT": "fp"',
    ],
)
def test_cards_of_every_format(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x"
    file.write_bytes(text.replace("<key>", "ab" * 32).encode("latin-1"))
    cards = read_cards(file)
    assert (cards["GPWFKEY"], cards["GPWFPORT"]) == ("ab" * 32, "fp")
    file.write_bytes(b"\x1f\x8b torn")
    assert read_cards(file) == {}
    file.write_bytes(b"")
    assert read_cards(file) == {}
    file.write_text("GPWFKEY = 'too short'")
    assert read_cards(file) == {}


# ---- spoilt things -----------------------------------------------------------------------------


def test_runs_that_are_gone_or_spoilt_do_not_keep_the_others_from_answering(copy: Path) -> None:
    shutil.rmtree(copy / "one")
    (copy / "three" / "plan.json").write_text("{")
    shutil.rmtree(copy / "three" / "prov", ignore_errors=True)
    (copy / "store" / "runs" / "broken.json").write_text("{")
    with open_provenance(store=copy / "store") as provenance:
        found = provenance.lineage("end.text")
        skipped = {Path(item.run).name: item.reason for item in provenance.skipped}
    assert {item.name for item in found.items if item.type == "product"} >= {"read.text"}
    assert skipped["one"] == "its directory is gone"
    assert "cannot read the plan" in skipped["three"]
    assert skipped["broken.json"] == "the entry cannot be read"


def test_a_run_that_is_named_must_be_readable(copy: Path) -> None:
    (copy / "three" / "plan.json").write_text("{")
    shutil.rmtree(copy / "three" / "prov", ignore_errors=True)
    with pytest.raises(gpwf.api.runs.RunError, match="cannot read the plan"):
        open_provenance(copy / "three")


def test_a_missing_record_is_made_and_a_torn_journal_is_read_as_far_as_it_goes(copy: Path) -> None:
    journal = copy / "two" / "journal.jsonl"
    shutil.rmtree(copy / "two" / "prov", ignore_errors=True)
    journal.write_bytes(journal.read_bytes()[:-40])
    with open_provenance(copy / "two") as provenance:
        assert len(provenance.attempts(where=[("run", "*")])) == 12
    assert (copy / "two" / "prov" / "prov.json").is_file()


def test_of_a_torn_record_the_journal_or_the_readable_part_tells(copy: Path) -> None:
    with open_provenance(copy / "two", alone=True) as provenance:
        whole = provenance.lineage("end.text").items
    record = copy / "two" / "prov" / "prov.json"
    data = record.read_bytes()
    record.write_bytes(data[: data.index(b'"wasGeneratedBy"') + 300])
    with open_provenance(copy / "two", alone=True) as provenance:
        assert provenance.lineage("end.text").items == whole
        assert "made from the journal" in provenance.warnings[0]
    shutil.copy(record, copy / "torn.json")
    with open_provenance(copy / "torn.json") as provenance:
        assert [item.name for item in provenance.inputs()] == ["events.fits"]
        assert "before the damage" in provenance.warnings[0]
    with pytest.raises(ProvenanceError, match="cannot be compared"):
        gpwf.diff(copy / "torn.json", copy / "two")
    assert gpwf.diff(copy / "two", copy / "two").is_same


def test_a_record_of_a_newer_gpwf_is_told_so_and_read(copy: Path) -> None:
    with open_provenance(copy / "two", alone=True) as provenance:
        assert not provenance.warnings
        whole = provenance.lineage("end.text").items
    document = json.loads((copy / "two" / "prov" / "prov.json").read_text())
    for name, body in document["activity"].items():
        if ":run-" in name and "gpwf:format" in body:
            body["gpwf:format"] = {"$": "99", "type": "xsd:int"}
    document["ofTheFuture"] = {"_:x": {"gpwf:what": "ever"}}
    (copy / "newer.json").write_text(json.dumps(document))
    with open_provenance(copy / "newer.json") as provenance:
        assert "newer gpwf (format 99" in provenance.warnings[0]
        assert provenance.lineage("end.text").items == whole
    found = gpwf.diff(copy / "newer.json", copy / "two")
    assert found.is_same
    assert len(found.warnings) == 1


def test_records_in_other_formats_are_asked_too(copy: Path) -> None:
    from gpwf.prov.export import load, serialise

    with open_provenance(copy / "two", alone=True) as provenance:
        found = provenance.lineage("end.text")
    text = serialise(load(copy / "two" / "prov" / "prov.json"), "jsonld")
    (copy / "record.json").write_text(text)
    with open_provenance(copy / "record.json") as provenance:
        assert {item.id for item in provenance.lineage("end.text").items} == {
            item.id for item in found.items
        }


def test_a_journal_of_a_newer_gpwf_is_passed_over(copy: Path) -> None:
    shutil.rmtree(copy / "two" / "prov", ignore_errors=True)
    journal = copy / "two" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"v": 1', b'"v": 999'))
    with open_provenance(store=copy / "store") as provenance:
        assert [Path(item.run).name for item in provenance.skipped] == ["two"]
        assert provenance.lineage("end.text").items


def test_a_folder_that_cannot_be_written_is_read(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gpwf.api import run_records

    def refuse(*_: object, **__: object) -> None:
        raise ProvenanceError("cannot write")

    for name in ("one", "two", "three"):
        shutil.rmtree(copy / name / "prov", ignore_errors=True)
    monkeypatch.setattr(run_records, "write_provenance", refuse)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with open_provenance(store=copy / "store") as provenance:
        assert len(provenance.records) == 3
        assert provenance.lineage("end.text").items


def test_runs_are_found_newest_first_and_also_without_an_entry(world: Path, copy: Path) -> None:
    shutil.rmtree(copy / "store" / "runs")
    for name in ("one", "two", "three"):
        journal = copy / name / "journal.jsonl"
        journal.write_text(journal.read_text().replace(str(world), str(copy)))
    found, skipped = runs_of_store(copy / "store")
    assert [run.name for run in found] == ["three", "two", "one"]
    assert not skipped


# ---- diff --------------------------------------------------------------------------------------


def test_differences_of_runs_products_and_files(ask: Callable[..., Result], world: Path) -> None:
    result = ask("diff", world / "one", world / "two", "--format", "json")
    assert result.exit_code == 1
    found = answer(result)
    assert (found["schema"], found["same"]) == ("gpwf-diff/1", False)
    cause = found["first_cause"]
    assert (cause["category"], cause["step"], cause["name"]) == ("parameters", "middle", "say")
    assert (cause["a"], cause["b"]) == ("middle", "other")
    assert [(item["task"], item["cause"]) for item in found["products"]] == [
        ("middle", "own"),
        ("end", "upstream"),
    ]
    for name in ("inputs", "code", "software", "tasks", "environment", "moved"):
        assert found[name] == []
    text = ask("diff", "one:end.text", "two:end.text").stdout
    assert "first cause: middle: say: middle → other" in text
    text = ask("diff", "one:end.text", "three:end.text").stdout
    assert "all 4 products that both have are the same, though something else differs" in text
    assert "events.fits" in text
    same = ask("diff", world / "one" / "products" / "read" / "text" / "value.txt", "two:read.text")
    assert same.exit_code == 0, same.output
    assert "nothing differs: 1 tasks, 1 product" in same.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("one", "one:end"), "cannot be compared"),
        (("one:none", "two:end"), "no such product"),
        (("one", "no-such-run"), "no run no-such-run"),
        (("one:events.fits", "two:end"), "was not made by a task"),
    ],
)
def test_what_cannot_be_compared(
    ask: Callable[..., Result], arguments: tuple[str, str], message: str
) -> None:
    refused = ask("diff", *arguments)
    assert refused.exit_code == 2
    assert message in refused.stderr


def test_in_python(world: Path) -> None:
    found = gpwf.diff(world / "one", world / "three")
    assert [item.name for item in found.inputs] == [str(world / "events.fits")]
    assert found.first_cause is None  # the product is the same


def test_what_is_returned_shows_itself_in_a_line(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world)
    text = repr(gpwf.diff("one", "two"))
    assert text.startswith("<difference of one and two: 2 of 4 products differ, first cause ")
    with open_provenance("one", alone=True) as provenance:
        assert repr(provenance) == "<provenance of 1 records, 0 skipped>"
