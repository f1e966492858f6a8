"""Walks through one record and through several; the index beside a record."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import prov_factory as factory
import pytest
from click.testing import CliRunner

from gpwf.cli.main import cli
from gpwf.core.plan import Plan
from gpwf.core.runs import RunEvent
from gpwf.errors import ProvenanceError, UsageError
from gpwf.prov import lineage_index
from gpwf.prov.lineage import Direction, Lineage
from gpwf.prov.lineage_find import find
from gpwf.prov.lineage_index import LineageIndex, index_path
from gpwf.prov.query import Questions
from gpwf.prov.query_items import ancestry
from gpwf.prov.stream import write_record

PLAN = factory.make_plan()


def record(
    folder: Path, events: Iterable[RunEvent], plan: Plan = PLAN, name: str = "prov.json"
) -> Path:
    return write_record(folder / name, plan, events)


def names(lineage: Lineage, text: str, direction: Direction = Direction.UP) -> set[str]:
    """Return what a walk from something meets, by the names that people know."""
    questions = Questions(lineage)
    found = ancestry(questions, lineage.walk(find(lineage, text), direction))
    return {item.name for item in found.items if not item.is_activity and item.type != "value"}


def test_up_from_a_product_are_its_inputs_and_down_what_was_made_of_it(tmp_path: Path) -> None:
    with Lineage.of(record(tmp_path, factory.good_run(PLAN))) as lineage:
        up = names(lineage, "flux-points.flux_points")
        assert up == {
            "flux-points.flux_points",
            "datasets.datasets",
            "fit.models",
            "models.models",
            "observations.observations",
            "crab-pl.yaml",
            "obs-index.fits.gz",
            "hdu-index.fits.gz",
            "data/run23523.fits.gz",
        }
        assert names(lineage, "fit.models", Direction.DOWN) == {
            "fit.models",
            "flux-points.flux_points",
            "light-curve.light_curve",
            "plot-sed.figure",
            "plot-lc.figure",
        }


def test_depth_counts_attempts(tmp_path: Path) -> None:
    with Lineage.of(record(tmp_path, factory.good_run(PLAN))) as lineage:
        roots = find(lineage, "plot-lc.figure")
        near = lineage.walk(roots, Direction.UP, 1)
        items = {item.name for item in ancestry(Questions(lineage), near).items}
        assert items == {"plot-lc.figure", "plot-lc, attempt 1", "light-curve.light_curve"}


def test_a_cached_product_leads_to_the_inputs_of_the_attempt_that_made_it(tmp_path: Path) -> None:
    with Lineage.of(record(tmp_path, factory.cached_run(PLAN))) as lineage:
        questions = Questions(lineage)
        walk = lineage.walk(find(lineage, "fit.models"))
        made = {(item.task, item.port) for item in questions.products(walk)}
        assert made == {
            ("datasets", "datasets"),
            ("models", "models"),
            ("observations", "observations"),
        }
        assert {item.sha256 for item in questions.inputs(walk)} >= {
            factory.digest("data/run23523.fits.gz")
        }
        attempts = questions.attempts(walk.depth)
        assert {item.run for item in attempts} == {factory.identifier("earlier")}
        assert {item.task for item in attempts} == {"fit", "models", "datasets", "observations"}


def test_several_records_are_one_graph(tmp_path: Path) -> None:
    first = factory.Journal(PLAN, name="earlier")
    first.ok(*PLAN.tasks)
    one = record(tmp_path, first.finish(), name="one.json")
    two = record(tmp_path, factory.cached_run(PLAN), name="two.json")
    with Lineage.of(two, one) as lineage:
        questions = Questions(lineage)
        walk = lineage.walk(find(lineage, "fit.models"))
        assert len(questions.products(walk)) == 3  # not twice
        settings = questions.settings(walk.depth, "fit_range.min")
        (setting,) = settings
        assert (setting.text, setting.origin) == ("1.0 TeV", "workflow")
        inputs = questions.inputs(walk)
        assert len(inputs) == len({item.sha256 for item in inputs}) == 4
        assert all(item.paths for item in inputs)
        down = questions.products(lineage.walk(find(lineage, "run23523.fits.gz"), Direction.DOWN))
        assert {item.task for item in down} == {item.id for item in PLAN.tasks} - {"models"}


def test_what_was_used_as_a_value_leads_to_the_product_of_its_time(tmp_path: Path) -> None:
    with Lineage.of(record(tmp_path, factory.healed_run(PLAN))) as lineage:
        assert "observations.observations" in names(lineage, "datasets.datasets")
        attempts = Questions(lineage).attempts(lineage.walk(find(lineage, "datasets")).depth)
        assert (attempts[0].task, attempts[0].attempt) == ("observations", 1)


def test_a_product_of_one_workflow_is_the_input_file_of_another(tmp_path: Path) -> None:
    made = factory.product_of(PLAN.task("fit"), PLAN.task("fit").output_ports[0])
    task = PLAN.task("models")
    file = replace(task.files[0], digest=made.files[0].digest, path="/elsewhere/models.fits")
    other = replace(
        factory.make_plan(("models",)), tasks=(replace(task, files=(file,)),), name="other"
    )
    one = record(tmp_path, factory.good_run(PLAN), name="one.json")
    journal = factory.Journal(other, name="later")
    journal.ok(*other.tasks)
    two = record(tmp_path, journal.finish(), other, name="two.json")
    with Lineage.of(two, one) as lineage:
        assert {"fit.models", "run23523.fits.gz"} <= {
            name.rpartition("/")[2] for name in names(lineage, "models.models")
        }
        down = Questions(lineage).products(
            lineage.walk(find(lineage, "fit.result"), Direction.DOWN)
        )
        assert not down
        down = Questions(lineage).products(
            lineage.walk(find(lineage, "fit.models"), Direction.DOWN)
        )
        assert ("models", factory.identifier("later")) in {(d.task, d.run) for d in down}


def test_the_run_of_an_included_workflow_is_that_which_was_started(tmp_path: Path) -> None:
    plan = factory.nested_plan()
    with Lineage.of(record(tmp_path, factory.good_run(plan), plan)) as lineage:
        questions = Questions(lineage)
        attempts = questions.attempts()
        assert len(attempts) == len(plan.tasks)
        assert {item.run for item in attempts} == {factory.identifier("run")}
        last = plan.tasks[-1]
        products = questions.products(lineage.walk(find(lineage, last.id)))
        above = {ref.task for refs in last.inputs.values() for ref in refs}
        assert above <= {item.task for item in products}


def test_failed_attempts_leave_no_products_and_are_found_by_their_state(tmp_path: Path) -> None:
    with Lineage.of(record(tmp_path, factory.mixed_run(PLAN))) as lineage:
        questions = Questions(lineage)
        failed = questions.attempts(where=[("state", "failed")])
        assert [item.task for item in failed] == ["flux-points"]
        assert failed[0].error.startswith("StepError: no counts")
        lost = questions.attempts(where=[("state", "lost"), ("step", "data*")])
        assert [(item.task, item.attempt) for item in lost] == [("datasets", 1)]
        down = questions.products(lineage.walk(find(lineage, "fit.models"), Direction.DOWN))
        assert not down  # flux points failed, the light curve was stopped


@pytest.mark.parametrize(
    ("where", "number"),
    [
        (("seed", "2"), 6),
        (("seed", "2.0"), 6),
        (("gammapy", "2.*"), 20),
        (("gammapy", "1.*"), 0),
        (("task", "fit[seed=1]"), 1),
        (("fit_range.min", "1 TeV"), 3),
        (("min", "1.0 TeV"), 3),
        (("run", factory.identifier("run")[:8]), 20),
        (("no-such-thing", "1"), 0),
    ],
)
def test_conditions(tmp_path: Path, where: tuple[str, str], number: int) -> None:
    plan = factory.make_plan(copies=3)
    with Lineage.of(record(tmp_path, factory.good_run(plan), plan)) as lineage:
        assert len(Questions(lineage).attempts(where=[where])) == number


def test_settings_and_software_of_a_product(tmp_path: Path) -> None:
    with Lineage.of(record(tmp_path, factory.good_run(PLAN))) as lineage:
        questions = Questions(lineage)
        scope = lineage.walk(find(lineage, "datasets.datasets")).depth
        settings = {(item.step, item.name): item for item in questions.settings(scope)}
        assert settings["datasets", "geom.axes.energy.min"].text == "0.1 TeV"
        assert settings["observations", "obs_ids.1"].value == "23526"
        assert not any(step == "fit" for step, _ in settings)
        software, code, environments = questions.software(scope)
        assert [(item.name, item.version, item.n_attempts) for item in software] == [
            ("gammapy", "2.1", 2)
        ]
        assert {item.step for item in code} == {"datasets", "observations"}
        assert environments[0]["facts"]["python.version"] == "3.12.1"


# ---- names -------------------------------------------------------------------------------------


def test_things_are_found_by_many_names(tmp_path: Path) -> None:
    plan = factory.make_plan(copies=2)
    with Lineage.of(record(tmp_path, factory.good_run(plan), plan)) as lineage:

        def found(text: str) -> list[str]:
            return sorted(item.get("prov:label") for item in lineage.things(find(lineage, text)))

        product = factory.product_of(
            plan.task("fit[seed=1]"), plan.task("fit[seed=1]").output_ports[0]
        )
        assert found("fit[seed=1].models") == ["fit[seed=1].models"]
        assert found("fit.models") == ["fit[seed=0].models", "fit[seed=1].models"]
        assert found("fit[seed = 1]") == ["fit[seed=1], attempt 1"]
        assert found(product.digest[:10]) == ["fit[seed=1].models"]
        assert found(product.files[1].digest) == ["fit[seed=1].models"]
        assert found("run23523.fits.gz") == ["data/run23523.fits.gz"]
        assert found("hess-dl3-dr1/obs-index.fits.gz") == ["obs-index.fits.gz"]
        assert found("fit_range.min=1 TeV") == ["fit_range.min = 1.0 TeV"]
        assert found("result") == ["plot-lc[seed=1].figure"]
        assert found(factory.key_of(plan.task("datasets"))) == ["datasets, attempt 1"]


def test_an_unknown_name_is_refused_with_near_ones(tmp_path: Path) -> None:
    with Lineage.of(record(tmp_path, factory.good_run(PLAN))) as lineage:
        with pytest.raises(UsageError, match="no such product") as caught:
            find(lineage, "flux-pionts")
        assert "flux-points" in str(caught.value.hint)
        with pytest.raises(UsageError, match="empty"):
            find(lineage, " ")


def test_an_ambiguous_digest_is_refused(tmp_path: Path) -> None:
    first, second = (replace_digest(PLAN, text) for text in ("abcdef12", "abcdef34"))
    one = record(tmp_path, factory.good_run(first), first, name="one.json")
    journal = factory.Journal(second, name="other")
    journal.ok(*second.tasks)
    two = record(tmp_path, journal.finish(), second, name="two.json")
    with Lineage.of(one, two) as lineage:
        with pytest.raises(UsageError, match="beginning of 2 different") as caught:
            find(lineage, "abcdef")
        assert "abcdef12" in str(caught.value.hint)
        with pytest.raises(UsageError, match="2 files that differ"):
            find(lineage, "crab-pl.yaml")
        assert len(find(lineage, "abcdef12")) == 1


def replace_digest(plan: Plan, head: str) -> Plan:
    """Return a plan whose model file has a digest that begins with some digits."""
    task = plan.task("models")
    file = replace(task.files[0], digest=type(task.files[0].digest)(head.ljust(64, "0")))
    changed = replace(task, files=(file,))
    return replace(plan, tasks=tuple(changed if item is task else item for item in plan.tasks))


# ---- the index ---------------------------------------------------------------------------------


def test_the_index_is_kept_beside_a_large_record_and_made_again_when_that_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lineage_index, "_SMALL", 100)
    path = record(tmp_path, factory.good_run(PLAN))
    LineageIndex(path).close()
    kept = index_path(path)
    first = kept.read_bytes()
    built: list[Path] = []
    write = lineage_index._write
    monkeypatch.setattr(lineage_index, "_write", lambda *a: (built.append(a[0]), write(*a)))
    LineageIndex(path).close()
    assert not built
    record(tmp_path, factory.mixed_run(PLAN))
    with Lineage.of(path) as lineage:
        assert Questions(lineage).attempts(where=[("state", "failed")])
    assert built == [kept]
    for damage in (b"", b"no database", first[: len(first) // 2]):
        kept.write_bytes(damage)
        with Lineage.of(path) as lineage:
            assert Questions(lineage).attempts(where=[("state", "failed")])
    assert not list(tmp_path.glob(".index*"))


def test_an_index_that_cannot_be_written_is_kept_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lineage_index, "_SMALL", 100)

    def refuse(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(lineage_index, "_write", refuse)
    path = record(tmp_path, factory.good_run(PLAN))
    with Lineage.of(path) as lineage:
        assert find(lineage, "fit.models")
    assert not index_path(path).exists()
    with Lineage.of(path, keep=False) as lineage:
        assert find(lineage, "fit.models")


def test_lines_and_any_other_layout_say_the_same(tmp_path: Path) -> None:
    path = record(tmp_path, factory.good_run(PLAN))
    other = tmp_path / "other.json"
    document = json.loads(path.read_text())
    other.write_text(json.dumps(dict(reversed(document.items())), indent=3))
    found = []
    for file in (path, other):
        with Lineage.of(file) as lineage:
            walk = lineage.walk(find(lineage, "plot-sed.figure"))
            answer = ancestry(Questions(lineage), walk)
            found.append(
                (
                    {item.id for item in answer.items},
                    {tuple(x.data().values()) for x in answer.links},
                )
            )
    assert found[0] == found[1]


FOREIGN = {
    "prefix": {"ex": "http://example.org/"},
    "entity": {"ex:raw": {"prov:label": "raw data"}, "ex:map": [{}, {"ex:note": "twice"}]},
    "bundle": {"ex:b": {"activity": {"ex:reduce": {"prov:label": "reduction"}}}},
    "used": {"_:1": {"prov:activity": "ex:reduce", "prov:entity": "ex:raw"}},
    "wasGeneratedBy": {"_:2": {"prov:entity": "ex:map", "prov:activity": "ex:reduce"}},
    "wasDerivedFrom": {
        "_:3": {"prov:generatedEntity": "ex:plot", "prov:usedEntity": "ex:map"},
        "_:4": {"prov:generatedEntity": "ex:lonely"},
    },
}


def test_records_of_other_software(tmp_path: Path) -> None:
    path = tmp_path / "foreign.json"
    path.write_text(json.dumps(FOREIGN))
    with Lineage.of(path) as lineage:
        questions = Questions(lineage)
        up = ancestry(questions, lineage.walk(find(lineage, "ex:plot")))
        assert [item.id for item in up.items] == ["ex:plot", "ex:map", "ex:reduce", "ex:raw"]
        down = ancestry(questions, lineage.walk(find(lineage, "raw data"), Direction.DOWN))
        assert {item.id for item in down.items} == {"ex:raw", "ex:reduce", "ex:map", "ex:plot"}
        inputs = questions.inputs(lineage.walk(find(lineage, "ex:plot")))
        assert [(item.name, item.used_by) for item in inputs] == [("raw data", ("reduction",))]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"entity": 3}', "\x00", '{\n"entity":{\n'])
def test_what_is_no_record_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    if text == '{"entity": 3}':
        with Lineage.of(path) as lineage, pytest.raises(UsageError):
            find(lineage, "x")
        return
    with pytest.raises(ProvenanceError, match=r"is not PROV-JSON"):
        Lineage.of(path)
    with pytest.raises(ProvenanceError, match="cannot read"):
        Lineage.of(tmp_path / "none.json")


def test_a_circle_ends(tmp_path: Path) -> None:
    path = tmp_path / "circle.json"
    derived = {
        "_:1": {"prov:generatedEntity": "ex:a", "prov:usedEntity": "ex:b"},
        "_:2": {"prov:generatedEntity": "ex:b", "prov:usedEntity": "ex:a"},
    }
    path.write_text(json.dumps({"wasDerivedFrom": derived}))
    with Lineage.of(path) as lineage:
        assert len(lineage.walk(find(lineage, "ex:a")).depth) == 2


def test_many_inputs_of_a_kind_are_folded_in_the_text(tmp_path: Path) -> None:
    plan = factory.make_plan(copies=30)
    path = record(tmp_path, factory.good_run(plan), plan)
    result = CliRunner().invoke(cli, ["prov", "query", str(path), "--of", "datasets", "--down"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert "    datasets: … and 57 more of fit" in lines  # two products of each task
    assert "(see above)" in result.stdout
    assert len(lines) < 60
