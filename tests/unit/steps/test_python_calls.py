"""The step python at work: what a function gets, what may come back, what becomes of errors."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpwf.core.products import MadeFile
from gpwf.errors import NoDataError, StepError, TransientStepError
from gpwf.steps.base import StepContext
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle

_NUMBERS = itertools.count()

Run = Callable[..., Any]


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a package that no other test has imported."""
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / f"pc_kit_{next(_NUMBERS)}"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    return folder


@pytest.fixture
def run(kit: Path, tmp_path: Path) -> Run:
    """Return what calls the function ``f`` of a module's text, or a function by its name."""

    def do(text: str = "", *, values: Any = None, stream: Any = (), **config: Any) -> Any:
        if text:
            (kit / "work.py").write_text(text)
        work = tmp_path / f"task-{next(_NUMBERS)}"
        work.mkdir()
        step = load_catalog().step("python")
        given = {"callable": f"{kit.name}.work:f", "outputs": {"out": "table"}, **config}
        settled = settle(step, given, base=tmp_path)
        assert not settled.problems, settled.problems
        context = StepContext(step="s", task_id="s", work_dir=work, stream=stream)
        return step.run(restore(step, settled.settings), values or {}, context)

    return do


TABLE = "from astropy.table import Table\n"


# ---- arguments -----------------------------------------------------------------------------------


def test_arguments_are_products_paths_and_plain_values(run: Run, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("text")
    made = run(
        TABLE + "def f(rows, catalogue, names, *, factor=1, missing=None):\n"
        "    return Table({'a': [len(rows) * factor]},\n"
        "                 meta={'m': [catalogue.read_text(), names, missing]})\n",
        values={"rows": [1, 2, 3]},
        inputs={"rows": ["table"]},
        files={"catalogue": "list.txt"},
        arguments={"names": ["x", {"y": 1.5}], "factor": 2},
    )
    assert made["out"]["a"][0] == 6
    assert made["out"].meta["m"] == ["text", ["x", {"y": 1.5}], None]


def test_random_numbers_are_those_of_the_task(run: Run) -> None:
    from numpy.random import PCG64, Generator, SeedSequence

    text = TABLE + "def f(rng):\n    return Table({'a': [rng.random()]})\n"
    wanted = Generator(PCG64(SeedSequence((3,), spawn_key=(1, 2)))).random()
    assert run(text, seed=3, stream=(1, 2))["out"]["a"][0] == wanted
    assert run(seed=3, stream=(1, 3))["out"]["a"][0] != wanted
    assert run(seed=3)["out"]["a"][0] == Generator(PCG64(SeedSequence(3))).random()


@pytest.mark.parametrize(
    ("name", "value"),
    [("seed", "seed"), ("random_state", "random_state.random_sample()")],
)
def test_other_forms_of_random_numbers(run: Run, name: str, value: str) -> None:
    text = TABLE + f"def f({name}):\n    return Table({{'a': [{value}]}})\n"
    numbers = [run(text, seed=3, stream=stream)["out"]["a"][0] for stream in ((), (1,), (2,))]
    assert len(set(numbers)) == 3
    assert run(seed=3, stream=(2,))["out"]["a"][0] == numbers[2]
    if name == "seed":
        assert numbers[0] == 3
        assert all(0 <= number < 2**32 for number in numbers)


def test_the_context_is_that_of_every_step(run: Run) -> None:
    text = (
        "def f(context):\n"
        "    context.progress(1, 2, 'x')\n"
        "    path = context.work_dir / 'a.txt'\n"
        "    path.write_text(f'{context.step} {context.n_jobs}')\n"
        "    return path\n"
    )
    made = run(text, outputs={"out": "file"})["out"]
    assert isinstance(made, MadeFile)
    assert made.path.read_text() == "s 1"


# ---- what comes back -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("None", "did not return the output out; expected out (table)"),
        ("{}", "did not return the output out"),
        ("{'out': Table(), 'more': 1}", "returned more, which is no output"),
        ("{'other': Table()}", "did not return the output out and returned other"),
        ("3", "wrong output out (table): expected astropy.table.Table, not int"),
        ("Table", "expected astropy.table.Table, not type"),
        ("[Table()]", "expected astropy.table.Table, not list"),
    ],
)
def test_a_wrong_value_names_function_output_and_what_was_expected(
    run: Run, kit: Path, value: str, message: str
) -> None:
    with pytest.raises(StepError) as caught:
        run(TABLE + f"def f():\n    return {value}\n")
    assert str(caught.value).startswith(f"{kit.name}.work:f ")
    assert message in str(caught.value)
    assert not isinstance(caught.value, TransientStepError)


def test_several_outputs_are_a_mapping(run: Run) -> None:
    text = (
        TABLE
        + "def f(alone=False):\n    return Table() if alone else {'a': Table(), 'b': Table()}\n"
    )
    outputs = {"a": "table", "b": "table"}
    assert set(run(text, outputs=outputs)) == {"a", "b"}
    with pytest.raises(StepError, match=r"returned Table; expected a mapping .* a \(table\), b"):
        run(outputs=outputs, arguments={"alone": True})


def test_figures_are_closed_and_axes_give_theirs(run: Run) -> None:
    import matplotlib.pyplot as plt

    text = "def f():\n    import matplotlib.pyplot as plt\n    return plt.subplots()[1]\n"
    made = run(text, outputs={"out": "figure"})["out"]
    assert type(made).__name__ == "Figure"
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("3", "expected the path of a file, not int"),
        ("'/etc/passwd'", "does not lie in `context.work_dir`"),
        ("context.work_dir / '..' / 'x'", "does not lie in"),
        ("context.work_dir", "does not lie in"),
        ("'nothing.txt'", "there is no file nothing.txt"),
        ("link(context.work_dir)", "is a symbolic link"),
        ("{'out': file(context), 'two': file(context)}", "one file for two outputs"),
    ],
)
def test_a_file_lies_in_the_folder_of_the_task(run: Run, value: str, message: str) -> None:
    text = (
        "def file(context):\n"
        "    (context.work_dir / 'a').write_text('')\n    return 'a'\n"
        "def link(folder):\n"
        "    (folder / 'real').write_text('')\n"
        "    (folder / 'link').symlink_to('real')\n    return 'link'\n"
        f"def f(context):\n    return {value}\n"
    )
    outputs = {"out": "file"} | ({"two": "file"} if "two" in value else {})
    with pytest.raises(StepError) as caught:
        run(text, outputs=outputs)
    assert message in str(caught.value)


@pytest.mark.gammapy
def test_objects_of_gammapy_and_collections_of_one(run: Run) -> None:
    text = (
        "from gammapy.modeling.models import Models, PowerLawSpectralModel, SkyModel\n"
        "def f(what):\n"
        "    model = SkyModel(PowerLawSpectralModel(), name='a')\n"
        "    return {'one': model, 'list': [model], 'models': Models([model]), 'none': [],\n"
        "            'mixed': [model, 3]}[what]\n"
    )
    for what in ("one", "list", "models"):
        made = run(text, outputs={"out": "models"}, arguments={"what": what})["out"]
        assert (type(made).__name__, made.names) == ("Models", ["a"])
        text = ""
    for what in ("none", "mixed"):
        with pytest.raises(
            StepError, match=r"expected gammapy\.modeling\.models\.Models, not list"
        ):
            run(outputs={"out": "models"}, arguments={"what": what})


# ---- what goes wrong -----------------------------------------------------------------------------


def test_an_exception_names_function_and_line_and_keeps_its_traceback(run: Run, kit: Path) -> None:
    (kit / "deep.py").write_text("import json\ndef g(text):\n    return json.loads(text)\n")
    text = f"from {kit.name}.deep import g\ndef f():\n    return g('{{')\n"
    with pytest.raises(StepError) as caught:
        run(text)
    words = f"{kit.name}.work:f raised JSONDecodeError: Expecting property name"
    assert str(caught.value).startswith(words)
    assert str(caught.value).endswith(f"({kit / 'deep.py'}:3)")  # not a line of the json module
    assert type(caught.value.__cause__).__name__ == "JSONDecodeError"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise SystemExit(3)", "raised sys.exit(3)"),
        ("raise ValueError", "raised ValueError ("),
        ("raise MemoryError", "raised MemoryError ("),
        ("assert False, 'not so'", "raised AssertionError: not so ("),
    ],
)
def test_whatever_is_raised_is_a_failure(run: Run, body: str, message: str) -> None:
    with pytest.raises(StepError) as caught:
        run(f"def f():\n    {body}\n")
    assert message in str(caught.value)


@pytest.mark.parametrize("kind", [NoDataError, TransientStepError, StepError])
def test_failures_that_are_meant_pass(run: Run, kind: type[StepError]) -> None:
    text = f"from gpwf.errors import {kind.__name__}\ndef f():\n    raise {kind.__name__}('so')\n"
    with pytest.raises(StepError) as caught:
        run(text)
    assert (type(caught.value), str(caught.value)) == (kind, "so")


def test_a_module_that_cannot_be_imported(run: Run, kit: Path) -> None:
    with pytest.raises(StepError, match=r"f raised ZeroDivisionError: .*work\.py:1\)"):
        run("x = 1 / 0\ndef f(): ...\n")
    with pytest.raises(StepError, match=r"f raised ModuleNotFoundError: .*nowhere.*work\.py:1\)"):
        run("import pc_nowhere\ndef f(): ...\n")
    (kit / "part.py").write_text("x = 1\ndef g(: ...\n")
    with pytest.raises(StepError, match=r"raised SyntaxError.*part\.py:2\)"):
        run("from . import part\ndef f(): ...\n")


def test_what_only_python_can_tell(run: Run) -> None:
    with pytest.raises(StepError, match="has a int"):
        run("f = 3\n")
    with pytest.raises(StepError, match="cannot be called: missing a required argument: 'x'"):
        run("f = lambda x: x\n")
    with pytest.raises(StepError, match="takes none of rng, random_state, seed"):
        run("f = lambda: 1\n", seed=3)


def test_the_next_task_finds_everything_as_it_was(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PC_KEPT", "as it was")
    before, folder = dict(os.environ), Path.cwd()
    run(
        TABLE + "import os\ndef f(context):\n    os.chdir(context.work_dir)\n"
        "    del os.environ['PC_KEPT']\n    os.environ['PC_NEW'] = 'x'\n    return Table()\n"
    )
    assert (dict(os.environ), Path.cwd()) == (before, folder)


# ---- the code that runs is that of the plan ------------------------------------------------------


def test_code_that_changed_in_a_living_process_is_imported_again(run: Run, kit: Path) -> None:
    """The second version has the same size, and the same time to the second."""
    text = TABLE + "from . import part\ndef f():\n    return Table({{'a': [part.value, {}]}})\n"
    found = []
    for number in range(4):
        (kit / "part.py").write_text(f"value = {number}\n")
        found.append(tuple(run(text.format(number % 2))["out"]["a"]))
    assert found == [(0, 0), (1, 1), (2, 0), (3, 1)]


def planned(kit: Path, text: str) -> tuple[Any, Any]:
    """Return step and settings of a function, as a plan has them."""
    (kit / "work.py").write_text(text)
    step = load_catalog().step("python")
    config = {"callable": f"{kit.name}.work:f", "outputs": {"out": "table"}}
    return step, restore(step, settle(step, config, base=kit).settings)


def test_code_that_is_not_that_of_the_plan_does_not_run(kit: Path, tmp_path: Path) -> None:
    step, settings = planned(kit, TABLE + "def f():\n    return Table()\n")
    (kit / "work.py").write_text("raise RuntimeError('this was run')\ndef f(): ...\n")
    context = StepContext(step="s", task_id="s", work_dir=tmp_path)
    with pytest.raises(StepError, match=r"work:f has changed since the plan was made"):
        step.run(settings, {}, context)
    (kit / "work.py").unlink()
    with pytest.raises(StepError, match=r"there is no module .*\.work for this worker"):
        step.run(settings, {}, context)


def test_code_that_is_loaded_may_change(kit: Path, tmp_path: Path) -> None:
    (kit / "late.py").write_text("value = 1\n")
    text = "def f():\n    from . import late\n    return Table({'a': [late.value]})\n"
    step, settings = planned(kit, TABLE + text)
    context = StepContext(step="s", task_id="s", work_dir=tmp_path)
    assert step.run(settings, {}, context)["out"]["a"][0] == 1
    (kit / "work.py").write_text("def f(): ...\n")
    (kit / "late.py").write_text("value = 2\n")
    assert step.run(settings, {}, context)["out"]["a"][0] == 1


@pytest.mark.parametrize("where", ["here", "in a child"])
def test_what_is_imported_late_must_be_that_of_the_plan(
    kit: Path, tmp_path: Path, where: str
) -> None:
    (kit / "late.py").write_text("value = 1\n")
    text = (
        "import os\nfrom pathlib import Path\n"
        "def f():\n"
        "    Path(__file__).with_name('late.py').write_text('value = 2\\n')\n"
        "    if {}:\n        from . import late\n"
        "    return Table()\n"
    )
    step, settings = planned(kit, TABLE + text.format(where == "here"))
    context = StepContext(step="s", task_id="s", work_dir=tmp_path)
    with pytest.raises(StepError, match="has changed since the plan was made"):
        step.run(settings, {}, context)
