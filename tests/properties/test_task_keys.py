"""A task is what it computes: how its workflow is written does not change its key."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gpwf.compiler.compile import compile_plan
from gpwf.compiler.keys import task_key
from gpwf.core.digests import Digest, tagged_digest
from gpwf.core.plan import Plan
from gpwf.lang import check_document, check_workflow
from gpwf.lang.document import read_document
from gpwf.lang.settled import settled_document

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "lang"))

from fake_catalog import FakeCatalog

CATALOG = FakeCatalog()
LINE = """
gpwf: 1
name: line
params: {e_min: {type: energy, default: 1 TeV, min: 0.3 TeV}, ids: [23523, 23526]}
defaults: {fit: {tolerance: 0.001}, plot: {title: "é: #1"}}
steps:
  - {tag: observations, config: {datastore: data, obs_ids: "${params.ids}"}}
  - {tag: datasets, config: {type: 3d, energy: {min: "${params.e_min}", max: 10 TeV, nbins: 3}}}
  - {tag: models, config: {file: m.yaml}}
  - {tag: fit, config: {fit_range: {min: 1 TeV}}, timeout: 30 min}
  - {tag: flux-points, config: {source: crab, extra: {b: [1, 2.5, null, true], a: "1"}}}
  - {tag: plot}
outputs: {models: fit.models}
"""
BRANCHES = """
gpwf: 1
steps:
  - {name: a, tag: observations, config: {datastore: data, obs_ids: [1]}}
  - {name: b, tag: observations, config: {datastore: data, obs_ids: [2]}}
  - {name: da, tag: datasets, required_products: {observations: a.observations}}
  - {name: db, tag: datasets, required_products: {observations: b.observations}}
  - {tag: stack, required_products: {datasets: [da.datasets, db.datasets]}}
  - {tag: models, config: {file: m.yaml}}
  - {tag: fit, required_products: {datasets: stack.datasets}}
"""
SCATTER = """
gpwf: 1
params: {bins: [1, 2, 3]}
tables:
  targets: {crab: {ids: [1, 2]}, pks: {ids: [3]}}
steps:
  - tag: observations
    foreach: {target: "${tables.targets}"}
    config: {datastore: data, obs_ids: "${target.ids}"}
  - tag: datasets
    foreach: {n: "${params.bins}"}
    config: {energy: {min: 1 TeV, max: 10 TeV, nbins: "${n}"}}
  - {tag: models, config: {file: m.yaml}}
  - {tag: fit, when: "${params.bins[0] < 2}"}
"""
BASES = [
    text.replace('when: "${params.bins[0] < 2}"', "when: true")
    for text in (LINE, BRANCHES, SCATTER)
]
REFERENCES = ("required_products", "outputs", "after")


def plan_of(text: str) -> Plan:
    spec, found = check_document(text, CATALOG, base=Path("/base"))
    assert spec is not None, (found, text)
    return compile_plan(spec, CATALOG, _NoFiles())


class _NoFiles:
    """The made-up steps read no files."""

    def digest(self, path: Path) -> Any:
        raise AssertionError(path)

    def memo(self, key: str) -> Any:
        raise AssertionError(key)

    def remember(self, key: str, value: Any) -> None:
        raise AssertionError(key, value)


def keys_of(plan: Plan) -> dict[str, str]:
    """Return the key of every task; the digest of a product follows from the key and its name."""
    keys: dict[str, str] = {}
    for task in plan:
        digests: Mapping[str, list[Digest]] = {
            port: [tagged_digest("product", [keys[ref.task], ref.product]) for ref in refs]
            for port, refs in task.inputs.items()
        }
        keys[task.id] = str(task_key(task, digests))
    return keys


KEYS = [keys_of(plan_of(text)) for text in BASES]
RANDOMS = st.integers(0, 2**32).map(Random)
base_numbers = st.sampled_from(range(len(BASES)))


def shuffled(value: Any, random: Random) -> Any:
    """Return a value whose mappings have their keys in another order."""
    if isinstance(value, dict):
        items = list(value.items())
        random.shuffle(items)
        return {key: shuffled(item, random) for key, item in items}
    if isinstance(value, list):
        return [shuffled(item, random) for item in value]
    return value


def without_order_of_axes(value: dict[str, Any], random: Random) -> dict[str, Any]:
    """Shuffle all but ``foreach`` and ``tables``: the order of axes and rows is that of tasks."""
    kept = {key: value[key] for key in ("tables",) if key in value}
    return shuffled(value, random) | kept


def read(text: str) -> dict[str, Any]:
    document = read_document(text, file="w.yaml")
    assert not document.diagnostics
    assert document.root is not None
    return dict(document.root.plain())


@settings(max_examples=40)
@given(base_numbers, RANDOMS, st.sampled_from(["json", "block", "flow"]))
def test_order_of_keys_and_style(number: int, random: Random, style: str) -> None:
    value = without_order_of_axes(read(BASES[number]), random)
    if style == "json":
        indent = random.choice([None, 1, 4])
        text = json.dumps(value, indent=indent, ensure_ascii=random.random() < 0.5)
    else:
        text = yaml.safe_dump(
            value,
            sort_keys=False,
            default_flow_style=style == "flow",
            width=random.choice([30, 80, 1000]),
            allow_unicode=True,
        )
    assert keys_of(plan_of(text)) == KEYS[number]


LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@settings(max_examples=40)
@given(base_numbers, RANDOMS, LINE_ENDS, st.booleans())
def test_comments_and_blank_lines(number: int, random: Random, end: str, mark: bool) -> None:
    lines = []
    for line in BASES[number].strip().splitlines():
        while random.random() < 0.3:
            lines.append(random.choice(["", "   ", "# a: b", "      # é ["]))
        lines.append(line + random.choice(["", "  # why: {not}", "   ", " #"]))
    text = (
        ("\ufeff" if mark else "") + end.join(lines) + random.choice(["", end, end + "..." + end])
    )
    assert keys_of(plan_of(text)) == KEYS[number]


@settings(max_examples=40)
@given(base_numbers, RANDOMS)
def test_names_of_steps(number: int, random: Random) -> None:
    value = read(BASES[number])
    names = [step.get("name", step["tag"]) for step in value["steps"]]
    new = [f"s{index}-{random.randrange(1000)}" for index in range(len(names))]
    renamed = dict(zip(names, new, strict=True))
    for step, name in zip(value["steps"], new, strict=True):
        step["name"] = name
        for key in REFERENCES:
            if key in step:
                step[key] = _renamed(step[key], renamed)
    if "outputs" in value:
        value["outputs"] = _renamed(value["outputs"], renamed)
    found = keys_of(plan_of(json.dumps(value)))
    back = {new: old for old, new in renamed.items()}
    assert {_other_name(task, back): key for task, key in found.items()} == KEYS[number]


def _other_name(task: str, names: Mapping[str, str]) -> str:
    """Return the id of a task whose step has another name."""
    step, bracket, rest = task.partition("[")
    return names[step] + bracket + rest


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Return references with other names of steps."""
    if isinstance(value, dict):
        return {key: _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    step, dot, product = str(value).partition(".")
    return names.get(step, step) + dot + product


@settings(max_examples=40)
@given(base_numbers, RANDOMS)
def test_anchors(number: int, random: Random) -> None:
    """Every value that occurs twice is an alias, under anchors of any name."""

    class Dumper(yaml.SafeDumper):
        def generate_anchor(self, node: Any) -> str:
            return f"x{random.randrange(10**6)}-{super().generate_anchor(node)}"

    seen: dict[str, Any] = {}

    def merged(value: Any) -> Any:
        if isinstance(value, dict):
            value = {key: merged(item) for key, item in value.items()}
        elif isinstance(value, list):
            value = [merged(item) for item in value]
        else:
            return value
        return seen.setdefault(json.dumps(value), value)

    value = read(BASES[number])
    value["metadata"] = {"again": [value["steps"], value["steps"][0]]}
    text = yaml.dump(merged(value), Dumper=Dumper, sort_keys=False, allow_unicode=True)
    assert "*x" in text
    assert keys_of(plan_of(text)) == KEYS[number]


@settings(max_examples=25)
@given(
    base_numbers,
    st.sampled_from(["1 TeV", "500 GeV", "0.7TeV"]),
    st.lists(st.integers(1, 99999), min_size=1, max_size=4),
    st.sampled_from(["", "label", "é: [#", "${workflow.name}", "$$", "1", "true", "a\nb "]),
)
def test_settled_documents(number: int, e_min: str, ids: list[int], label: str) -> None:
    """A settled document makes the same plan: ids, keys, named results."""
    params = [{"e_min": e_min, "ids": str(ids)}, {}, {"bins": str(sorted(set(ids)))}][number]
    sets = [("steps.fit.config.label", json.dumps(label))]
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "w.yaml"
        path.write_text(BASES[number], encoding="utf-8")
        text = settled_document(path, CATALOG, folder=path.parent, params=params, sets=sets)
        spec, _ = check_workflow(path, CATALOG, params=params, sets=sets)
        again, found = check_document(text, CATALOG, base=path.parent)
    assert spec is not None
    assert again is not None, (found, text)
    one, two = (compile_plan(item, CATALOG, _NoFiles()) for item in (spec, again))
    assert keys_of(one) == keys_of(two)
    assert one.outputs == two.outputs
    assert {item.id: item.task for item in one.aliases} == {i.id: i.task for i in two.aliases}


def test_what_is_computed_changes_the_key() -> None:
    """The properties above could not fail if keys were all the same."""
    for number, (old, new) in enumerate([("10 TeV", "11 TeV"), ("[2]", "[3]"), ("[3]", "[4]")]):
        assert keys_of(plan_of(BASES[number].replace(old, new))) != KEYS[number]
    assert len(set(KEYS[0].values())) == len(KEYS[0])
