"""What a plan keeps for the record alone: texts of documents, identities of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_compile import Catalog, Files, spec, step, version_of

from gpwf.compiler import compile as module
from gpwf.compiler.compile import compile_plan
from gpwf.core.digests import Digest, digest_bytes
from gpwf.core.spec import IncludedWorkflow, StepCondition


def test_texts_are_kept_but_for_the_own_one_and_long_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_DOCUMENT", 5)
    monkeypatch.setattr(module, "_MOST_DOCUMENTS", 8)
    texts = {"a": "12345", "b": "123456", "c": "123", "d": "1"}
    one = spec(step("first"))
    own = digest_bytes(one.text.encode())
    digests = {name: digest_bytes(text.encode()) for name, text in texts.items()}
    one = replace(
        one,
        sources={"w": own, **digests, "a again": digests["a"], "unknown": "0" * 64},
        texts={own: one.text, **{digests[name]: text for name, text in texts.items()}},
    )
    plan = compile_plan(one, Catalog(), Files(), version_of=version_of)
    assert plan.documents == {digests["a"]: "12345", digests["c"]: "123"}


def test_conditions_and_workflows_come_from_the_document() -> None:
    condition = StepCondition(text="${a}", n_false=1)
    workflow = IncludedWorkflow(name="x", path="/x", digest="0" * 64)
    one = replace(spec(replace(step("first"), condition=condition)), workflows=(workflow,))
    plan = compile_plan(one, Catalog(), Files(), version_of=version_of)
    assert plan.steps[0].condition == condition
    assert plan.workflows == (workflow,)
    assert plan.identities == {}  # nobody was asked


def test_every_content_is_looked_at_once(tmp_path: Path) -> None:
    (tmp_path / "index").write_text("a b c")
    for name, text in (("a", "same"), ("b", "same"), ("c", "other")):
        (tmp_path / name).write_text(text)
    asked: list[Digest] = []

    def identify(path: Path, digest: Digest) -> Mapping[str, Any] | None:
        asked.append(digest)
        assert digest_bytes(path.read_bytes()) == digest
        return {"cards": {}, "digest": "x"} if path.read_text() == "same" else None

    one = spec(*(step(name, index=str(tmp_path / "index")) for name in ("first", "second")))
    plan = compile_plan(one, Catalog(), Files(), version_of=version_of, identify=identify)
    assert len(asked) == len(set(asked)) == 3  # the index is a file as well
    assert plan.identities == {digest_bytes(b"same"): {"cards": {}, "digest": "x"}}
