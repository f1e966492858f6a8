"""Every case without a problem, settled: the document makes the same tasks with the same keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_conformance import CASES, HERE, FakeCatalog, load_case, run_case

from gpwf.core.spec import WorkflowSpec
from gpwf.lang import check_document
from gpwf.lang.settled import differences, settled_document


def good_cases() -> list[Path]:
    """Return the cases whose workflow can be run."""
    return [case for case in CASES if run_case(case, load_case(case))[0] is not None]


def settled_again(folder: Path) -> tuple[WorkflowSpec, WorkflowSpec, str]:
    """Return a workflow, the one that its settled document makes, and the document."""
    case = load_case(folder)
    spec, _ = run_case(folder, case)
    assert spec is not None
    text = settled_document(
        folder / "workflow.yaml",
        FakeCatalog(),
        folder=folder,
        params=case.get("params", {}),
        sets=[tuple(item) for item in case.get("set", [])],
        profile=case.get("profile"),
    )
    again, found = check_document(text, FakeCatalog(), base=folder)
    assert again is not None, (found, text)
    return spec, again, text


@pytest.mark.parametrize("folder", good_cases(), ids=lambda path: str(path.relative_to(HERE)))
def test_a_settled_document_says_the_same(folder: Path) -> None:
    spec, again, text = settled_again(folder)
    assert differences(spec, again) == [], text
    assert "profiles:" not in text
    assert "defaults:" not in text
