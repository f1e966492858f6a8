"""A kept plan is used exactly as long as nothing that it was made from has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import gpwf
from gpwf.api import plan_cache
from gpwf.api.workflow import Workflow
from gpwf.core.plan import Plan
from gpwf.store.store import Store

WORKFLOW = """\
gpwf: 1
params:
  lower: 1 TeV
steps:
  - tag: models
    config: {file: $GPWF_TEST_MODELS/crab.yaml}
"""
MODELS = "components: [{name: crab, type: SkyModel, spectral: {type: PowerLawSpectralModel}}]\n"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPWF_TEST_MODELS", str(tmp_path / "models"))
    for folder in ("models", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "crab.yaml").write_text(MODELS)
    file = tmp_path / "w.yaml"
    file.write_text(WORKFLOW)
    return file


@pytest.fixture
def n_compiled(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Return how many plans were compiled so far."""
    from gpwf.compiler import compile as module

    count = 0
    original = module.compile_plan

    def counting(*args: object, **options: object) -> Plan:
        nonlocal count
        count += 1
        return original(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "compile_plan", counting)
    return lambda: count


def plan_of(path: Path, **given: str) -> Plan:
    return Workflow(path, params=given, sets=(), profile=None).plan(store=path.parent / "store")


def test_an_unchanged_workflow_is_planned_once(path: Path, n_compiled: Callable[[], int]) -> None:
    first = plan_of(path)
    assert plan_of(path) == first
    assert n_compiled() == 1


def change_text(path: Path, _: pytest.MonkeyPatch) -> None:
    path.write_text(WORKFLOW + "# a comment\n")


def change_file(path: Path, _: pytest.MonkeyPatch) -> None:
    (path.parent / "models" / "crab.yaml").write_text(MODELS.replace("crab", "vela"))


def remove_and_restore_elsewhere(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPWF_TEST_MODELS", str(path.parent / "other"))


def change_code(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_cache, "code_fingerprint", lambda: "other")


def change_package(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = plan_cache.metadata.version
    monkeypatch.setattr(
        plan_cache.metadata,
        "version",
        lambda name: "9.9" if name == "gammapy" else original(name),
    )


def damage_the_cache(path: Path, _: pytest.MonkeyPatch) -> None:
    for entry in (path.parent / "store" / "cache" / "plans").iterdir():
        entry.write_text(entry.read_text()[:-20])


@pytest.mark.parametrize(
    "change",
    [
        change_text,
        change_file,
        remove_and_restore_elsewhere,
        change_code,
        change_package,
        damage_the_cache,
    ],
)
def test_a_change_of_anything_makes_a_new_plan(
    path: Path,
    n_compiled: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path, pytest.MonkeyPatch], None],
) -> None:
    plan_of(path)
    change(path, monkeypatch)
    plan_of(path)
    assert n_compiled() == 2


def test_other_arguments_have_their_own_plan(path: Path, n_compiled: Callable[[], int]) -> None:
    plan_of(path)
    assert plan_of(path, lower="2 TeV").params != plan_of(path).params
    assert n_compiled() == 2


def test_values_of_the_environment_are_not_kept(path: Path) -> None:
    plan_of(path)
    (entry,) = (path.parent / "store" / "cache" / "plans").iterdir()
    assert '"GPWF_TEST_MODELS": "' in entry.read_text()
    assert f'"GPWF_TEST_MODELS": "{path.parent}' not in entry.read_text()


def test_a_variable_in_a_file_of_models_counts(
    path: Path, n_compiled: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    spatial = "spatial: {type: TemplateSpatialModel, filename: $GPWF_TEST_MAPS/map.fits}"
    models = MODELS.replace("type: SkyModel", f"type: SkyModel, {spatial}")
    (path.parent / "models" / "crab.yaml").write_text(models)
    read = []
    for folder in ("models", "other", "other"):
        (path.parent / folder / "map.fits").touch()
        monkeypatch.setenv("GPWF_TEST_MAPS", str(path.parent / folder))
        read.append(plan_of(path).tasks[0].files[0].path)
    assert read == [str(path.parent / item / "map.fits") for item in ("models", "other", "other")]
    assert n_compiled() == 2


def test_a_store_that_cannot_keep_plans_is_no_failure(path: Path) -> None:
    store = Store(path.parent / "store")
    (store.root / "cache" / "plans").write_text("in the way")
    assert plan_of(path) == plan_of(path)


def test_the_fingerprint_changes_with_the_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "__init__.py").write_text("")
    monkeypatch.setattr(gpwf, "__file__", str(tmp_path / "__init__.py"))
    before = plan_cache.code_fingerprint()
    assert plan_cache.code_fingerprint() == before
    (tmp_path / "new.py").write_text("x = 1\n")
    assert plan_cache.code_fingerprint() != before


@pytest.mark.parametrize("place", ["my_steps/helper.py", "my_steps.py"])
def test_the_fingerprint_changes_with_the_code_of_a_plugin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str
) -> None:
    file = tmp_path / place
    file.parent.mkdir(exist_ok=True)
    file.write_text("raise SystemError('it is not imported')\n")
    if file.parent != tmp_path:
        (file.parent / "__init__.py").write_text("raise SystemError('it is not imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    point = plan_cache.metadata.EntryPoint("mine", "my_steps:Mine", "gpwf.steps")
    gone = plan_cache.metadata.EntryPoint("gone", "no_such_package.steps:Gone", "gpwf.steps")
    monkeypatch.setattr(plan_cache.metadata, "entry_points", lambda **_: [point, gone])
    before = plan_cache.code_fingerprint()
    assert plan_cache.code_fingerprint() == before
    file.write_text("x = 1\n")
    assert plan_cache.code_fingerprint() != before


def write_events(path: Path, obs_id: int) -> None:
    """Write the headers of a file of events, which are all that a plan looks at."""

    def block(*cards: str) -> bytes:
        return "".join(f"{card:<80}" for card in (*cards, "END")).ljust(2880).encode()

    table = ["XTENSION= 'BINTABLE'", "BITPIX  = 8", "NAXIS   = 0"]
    path.write_bytes(
        block("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0")
        + block(*table, "EXTNAME = 'EVENTS  '", f"OBS_ID  = {obs_id}")
        + block(*table, "EXTNAME = 'GTI     '")
    )


@pytest.mark.parametrize(
    "where", ["files: [data/*.fits]", "datastore: data", "files: ['**/*.fits']"]
)
def test_a_file_that_comes_later_is_seen(
    where: str, tmp_path: Path, n_compiled: Callable[[], int]
) -> None:
    """Patterns, and folders without an index, stand for the files that are there."""
    path = tmp_path / "w.yaml"
    config = f"{{{where}, required_irf: all-optional}}"
    path.write_text(f"gpwf: 1\nsteps:\n  - {{tag: observations, config: {config}}}\n")
    (tmp_path / "data").mkdir()
    for number in (1, 2):
        write_events(tmp_path / "data" / f"{number}.fits", number)
        plan = plan_of(path)
        assert plan == plan_of(path)
        assert n_compiled() == number
        names = [Path(item.path).name for item in plan.tasks[0].files]
        assert names == [f"{n + 1}.fits" for n in range(number)]
