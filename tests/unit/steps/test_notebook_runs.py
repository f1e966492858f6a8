"""The step notebook at work: a kernel, the products, what becomes of failures."""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from notebooks_made import code, text, write_notebook

from gpwf.errors import NoDataError, StepError, TransientStepError
from gpwf.steps.base import StepContext
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle

STEP = load_catalog().step("notebook")
pytestmark = pytest.mark.xdist_group("notebook")


def run(folder: Path, *, wired: Any = None, left: Path | None = None, **config: Any) -> Any:
    """Run a notebook in a new folder; return the products."""
    folder.mkdir(exist_ok=True)
    settled = settle(STEP, {"notebook": "n.ipynb", **config}, base=folder.parent)
    assert not settled.problems, settled.problems
    context = StepContext(step="n", task_id="n", work_dir=folder, left_dir=left)
    return STEP.run(restore(STEP, settled.settings), wired or {}, context)


CELLS = [
    text("# Flux with $\\Gamma = 2$", id="head"),
    code("n = 1\nlabel = 'x'\nmodels = None\nevents = None", "parameters", id="given"),
    code(
        "import os, sys, warnings\n"
        "print(label, n + 1, file=sys.stderr)\n"
        "print(open(models).read(), open(events[1]).read(), sorted(os.listdir('.')))\n"
        "warnings.warn('careful')\n"
        "object()",
        id="work",
    ),
    code(
        "from matplotlib import pyplot as plt\n"
        "figure, axes = plt.subplots()\n"
        "axes.plot([1, 2])\n"
        "figure.savefig('out/f.svg')",
        id="draw",
    ),
    code("print({'a', 'b', 'c', 'd'}, os.getsid(0) == os.getsid(os.getppid()))", id="set"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """Return the products of a run, and the folder of the notebook."""
    base = tmp_path_factory.mktemp("notebook")
    write_notebook(base / "n.ipynb", CELLS, minor=5)
    return _run(base, "one"), base


def _run(base: Path, name: str) -> Any:
    (base / "models.yaml").write_text("two")
    (base / "events.txt").write_text("three")
    wired = {"models": [base / "models.yaml"], "events": [base / "events.txt"] * 2}
    return run(
        base / name,
        wired=wired,
        parameters={"n": 41, "label": "it's"},
        outputs={"drawn": "out/f.svg"},
    )


def test_the_executed_notebook(made: tuple[Any, Path]) -> None:
    products, _ = made
    assert {name: item.path.name for name, item in products.items()} == {
        "notebook": "n.ipynb",
        "html": "n.html",
        "drawn": "f.svg",
    }
    content = json.loads(products["notebook"].path.read_text())
    ids = [cell["id"] for cell in content["cells"]]
    assert ids == ["head", "given", "injected-parameters", "work", "draw", "set"]
    assert content["metadata"]["kernelspec"]["name"] == "night-shift"
    assert set(content["metadata"]) == {"kernelspec", "language_info"}
    assert all(set(cell["metadata"]) <= {"tags"} for cell in content["cells"])
    out, err, value = content["cells"][3]["outputs"]
    assert "".join(out["text"]) == "two three ['n.ipynb', 'out']\n"
    assert "".join(err["text"]).startswith("it's 42\nipykernel/")
    assert "".join(value["data"]["text/plain"]) == "<object at 0x0>"
    assert "image/png" in content["cells"][4]["outputs"][-1]["data"]


def test_the_kernel_stays_in_the_session(made: tuple[Any, Path]) -> None:
    content = json.loads(made[0]["notebook"].path.read_text())
    assert "True" in "".join(content["cells"][5]["outputs"][0]["text"])


def test_the_page_opens_without_a_network(made: tuple[Any, Path]) -> None:
    page = made[0]["html"].path.read_text()
    assert "it's 42" in page
    assert "data:image/png;base64," in page
    sources = [part.partition('"')[0] for part in page.split('src="')[1:]]
    outside = [item for item in sources if item.startswith("http")]
    assert ["mathjax" in item for item in outside] == [True]  # there is a formula
    assert "import(" not in page


def test_versions_are_in_the_record(made: tuple[Any, Path]) -> None:
    summary = made[0]["notebook"].summary
    assert set(summary) == {"papermill", "nbconvert", "kernel"}
    assert summary["kernel"].startswith("python 3.")


def test_the_same_bytes_again(
    made: tuple[Any, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Elsewhere, with another temporary folder and no home, long after."""
    products, base = made
    long = tmp_path / ("x" * 120)  # too long for the names of sockets
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    again = _run(base, "another-" + "y" * 60)
    for name, item in products.items():
        assert again[name].path.read_bytes() == item.path.read_bytes(), name
    assert not list(long.glob("gpwf-*"))


def test_a_cell_that_fails(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cells = [
        code("n = 1", "parameters"),
        text("words"),
        code("for _ in range(50):\n    print('x' * 100)"),
        code("def f(n):\n    return 1 / (n - 3)\nf(n)"),
        code("open('never', 'w')"),
    ]
    write_notebook(tmp_path / "n.ipynb", cells)
    with (
        caplog.at_level(logging.INFO),
        pytest.raises(StepError) as caught,
    ):
        run(tmp_path / "t", left=tmp_path / "kept", parameters={"n": 3}, max_log=1000)
    assert caught.value.message == (
        "cell 4 of n.ipynb (In [4]) failed: ZeroDivisionError: division by zero\n"
        "  | def f(n):\n  |     return 1 / (n - 3)\n  | f(n)"
    )
    assert not isinstance(caught.value, TransientStepError)
    assert caught.value.hint == (
        f"the notebook as far as it came: {tmp_path / 'kept' / 'work' / 'n.ipynb'}"
    )
    kept = json.loads((tmp_path / "t" / "work" / "n.ipynb").read_text())
    assert any("ZeroDivisionError" in str(cell.get("outputs")) for cell in kept["cells"])
    assert not (tmp_path / "t" / "work" / "never").exists()
    assert "more than max_log (1000)" in caplog.text


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for processes")
def test_a_kernel_that_dies_leaves_nothing(tmp_path: Path) -> None:
    cells = [
        code("import os, subprocess"),
        code("child = subprocess.Popen(['sleep', '300'])\nopen('pid', 'w').write(str(child.pid))"),
        code("os._exit(9)"),
    ]
    write_notebook(tmp_path / "n.ipynb", cells)
    with pytest.raises(TransientStepError, match=r"cell 3 of n\.ipynb: the kernel died"):
        run(tmp_path / "t")
    pid = int((tmp_path / "t" / "work" / "pid").read_text())
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            break
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists()


def test_a_notebook_may_say_that_there_is_no_data(tmp_path: Path) -> None:
    source = "from gpwf.errors import NoDataError\nraise NoDataError('no night is clear')"
    write_notebook(tmp_path / "n.ipynb", [code(source)])
    with pytest.raises(NoDataError, match="no night is clear"):
        run(tmp_path / "t")


def test_secrets_stay_out_of_the_products(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though papermill writes all values into a cell, and cells show what they got."""
    monkeypatch.setenv("ARCHIVE_TOKEN", "hushword<&>s3cr3t")
    cells = [
        code("password = ''\naccess = {}\nlimit = 1", "parameters"),
        code(
            "import os\nprint(password, access, os.environ['ARCHIVE_TOKEN'], len(password), limit)"
        ),
    ]
    write_notebook(tmp_path / "n.ipynb", cells)
    given = {"password": 'it\'s "quoted"', "access": {"api_key": ["k-123456"]}, "limit": 4711}
    products = run(tmp_path / "t", parameters=given, environment=["ARCHIVE_TOKEN"])
    for name in ("notebook", "html"):
        text = products[name].path.read_text()
        assert "[redacted]" in text
        assert " 13 4711" in text
        for secret in ('"quoted', 'quoted\\"', "123456", "hushword", "s3cr3t"):
            assert secret not in text, (name, secret)
    json.loads(products["notebook"].path.read_text())


def test_an_output_that_is_not_written(tmp_path: Path) -> None:
    write_notebook(tmp_path / "n.ipynb", [code("1 + 1")])
    with pytest.raises(StepError, match=r"did not make 'a\.txt', its output 'a'"):
        run(tmp_path / "t", outputs={"a": "a.txt"})


def test_products_need_names_that_the_notebook_knows(tmp_path: Path) -> None:
    """Before the kernel starts."""
    write_notebook(tmp_path / "n.ipynb", [code("n = 1\nmodels = 0", "parameters")])
    for name, words in (
        ("fit-result", "no name of a variable"),
        ("model", "has no parameter 'model'"),
        ("n", "in `parameters` and in `required_products`"),
    ):
        with pytest.raises(StepError, match=words):
            run(tmp_path / "t", wired={name: [tmp_path / "n.ipynb"]}, parameters={"n": 1})
