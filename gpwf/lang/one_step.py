"""One step as a workflow: its settings from a file or the command line, its inputs from files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from gpwf.core.catalog import StepCatalog
from gpwf.core.diagnostics import Diagnostic
from gpwf.core.spec import Port, StepSpec, WorkflowSpec
from gpwf.lang.build import check_document
from gpwf.lang.codes import Code
from gpwf.lang.document import Document
from gpwf.lang.files import absolute, read_file
from gpwf.lang.overrides import apply_sets
from gpwf.lang.report import Report
from gpwf.lang.settled_text import settled_text
from gpwf.lang.tree import COMMAND_LINE, Node, from_plain

__all__ = ["CheckedStep", "StepDraft", "check_step", "step_ports"]

_DEFAULT = "step default"
_ABSENT = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDraft:
    """A step to be run alone.

    Parameters
    ----------
    tag, name : str
        Type and name of the step.
    config_file : Path or None
        YAML or JSON file with its settings.
    sets : sequence of (str, str)
        Dotted path of a setting and its value as text; they are stronger than the file.
    sources : sequence of mapping
        Steps that bring the inputs, as in a document.
    inputs : mapping of str to list of str
        ``step.product`` by input port; a port with an empty list stays unconnected.
    """

    tag: str
    name: str
    config_file: Path | None = None
    sets: Sequence[tuple[str, str]] = ()
    sources: Sequence[Mapping[str, Any]] = ()
    inputs: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedStep:
    """What became of a draft.

    Parameters
    ----------
    spec : WorkflowSpec or None
        The workflow of the step; None where there is an error.
    problems : list of Diagnostic
        In the words of a workflow; a problem of the file of settings lies in that file.
    text : str
        The workflow as a document, with absolute paths and what was given alone; empty where there
        is an error.
    """

    spec: WorkflowSpec | None
    problems: list[Diagnostic]
    text: str = ""


def step_ports(draft: StepDraft, catalog: StepCatalog) -> Sequence[Port] | None:
    """Return the input ports of a step; None where its settings are wrong, see `check_step`."""
    config, base, document = _config(draft)
    root = apply_sets(
        _root(replace(draft, sources=(), inputs={}), config), _paths(draft), catalog, Report()
    )
    given = root.get("steps", 0, "config")
    plain = given.plain() if given is not None and given.is_mapping else {}
    settled = catalog.settle(draft.tag, plain, base=base)
    if settled.problems or (document is not None and document.diagnostics):
        return None
    return catalog.inputs(draft.tag, settled.settings)


def check_step(draft: StepDraft, catalog: StepCatalog) -> CheckedStep:
    """Check a step as a workflow would be checked."""
    config, base, document = _config(draft)
    report = Report()
    if document is not None:
        report.documents.append(document)
        report.extend(document.diagnostics)
        if config is not None and not config.is_mapping:
            message = "settings are a mapping of names to values"
            report.add(Code.WRONG_TYPE, message, config)
    if report.has_errors:
        return CheckedStep(spec=None, problems=report.finished())
    spec, problems = _checked(_root(draft, config), draft, catalog, base)
    prefix = f"--set steps.{draft.name}.config."
    for item in problems:
        report.extend([replace(item, message=item.message.replace(prefix, "--config "))])
    found = report.finished()
    if spec is None:
        return CheckedStep(spec=None, problems=found)
    written = _written(_root(draft, config), draft, catalog)
    return CheckedStep(
        spec=spec, problems=found, text=_text(spec, draft, catalog, partial(_kept, written, base))
    )


def _config(draft: StepDraft) -> tuple[Node | None, Path, Document | None]:
    """Return the settings of the file, the folder that paths count from, and the document."""
    if draft.config_file is None:
        return None, Path.cwd(), None
    document = read_file(draft.config_file, source="workflow")
    base = draft.config_file.absolute().parent
    root = document.root
    if root is not None:
        root = absolute(root, base, base)
    return root, base, document


def _root(draft: StepDraft, config: Node | None) -> Node:
    """Return the document: the steps that bring inputs, then the step itself."""
    like = Node(value=None, source=COMMAND_LINE)
    step: dict[str, Any] = {"name": draft.name, "tag": draft.tag}
    if draft.inputs:
        step["required_products"] = {name: list(refs) for name, refs in draft.inputs.items()}
    document = {"gpwf": 1, "name": draft.name, "steps": [*map(dict, draft.sources), step]}
    root = from_plain(document, replace(like, source="workflow"))
    if config is not None:
        steps = list(root.value["steps"].value)
        own = dict(steps[-1].value)
        own["config"] = config
        steps[-1] = replace(steps[-1], value=own)
        root = replace(
            root, value={**root.value, "steps": replace(root.value["steps"], value=steps)}
        )
    return root


def _checked(
    root: Node, draft: StepDraft, catalog: StepCatalog, base: Path
) -> tuple[WorkflowSpec | None, list[Diagnostic]]:
    document = Document(file=COMMAND_LINE, text="", digest="", root=root)
    return check_document(document, catalog, base=base, sets=_paths(draft))


def _paths(draft: StepDraft) -> list[tuple[str, str]]:
    """Return the single settings with their paths in the document."""
    return [(f"steps.{draft.name}.config.{path}", value) for path, value in draft.sets]


def _written(root: Node, draft: StepDraft, catalog: StepCatalog) -> Any:
    """Return the settings as they were given, with references in them."""
    root = apply_sets(root, _paths(draft), catalog, Report())
    given = root.get("steps", len(draft.sources), "config")
    return given.plain() if given is not None else {}


def _kept(written: Any, base: Path, value: Any) -> Any:
    """Return a settled value with the references that it was written with.

    The document must not have the values of environment variables: they may be secrets, and only
    what refers to a variable is known to be one of them.
    """
    if isinstance(written, str) and "${" in written:
        is_relative = not written.startswith(("/", "$", "~"))
        is_path = isinstance(value, str) and value.startswith(f"{base}/")
        return f"{base}/{written}" if is_path and is_relative else written
    if isinstance(written, Mapping) and isinstance(value, Mapping):
        return {
            key: _kept(written[key], base, item) if key in written else item
            for key, item in value.items()
        }
    if not isinstance(written, list) or not isinstance(value, (list, tuple)):
        return value
    if len(written) != len(value):
        return value
    return [_kept(old, base, item) for old, item in zip(written, value, strict=True)]


def _text(
    spec: WorkflowSpec, draft: StepDraft, catalog: StepCatalog, kept: Callable[[Any], Any]
) -> str:
    """Return the document with what was given; with everything where that says something else."""
    own = spec.step(draft.name)
    for config in (kept(_given(own)), kept(dict(own.settings))):
        step: dict[str, Any] = {"name": draft.name, "tag": draft.tag}
        if config:
            step["config"] = config
        if draft.inputs:
            step["required_products"] = {
                name: refs[0] if len(refs) == 1 else list(refs)
                for name, refs in draft.inputs.items()
            }
        document = {"gpwf": 1, "name": draft.name, "steps": [*map(dict, draft.sources), step]}
        text = settled_text(document, "one step, written by `gpwf step run`")
        again, _ = check_document(text, catalog, base=Path.cwd())
        if again is not None and again.step(draft.name).settings == own.settings:
            break
    return text


def _given(step: StepSpec) -> dict[str, Any]:
    """Return the settings that are no defaults, settled."""

    def part(value: Any, place: str) -> Any:
        origin = step.origins.get(place)
        if origin is not None and place:
            return _ABSENT if origin.source == _DEFAULT else value
        if isinstance(value, Mapping):
            found = {
                key: part(item, f"{place}.{key}" if place else str(key))
                for key, item in value.items()
            }
            found = {key: item for key, item in found.items() if item is not _ABSENT}
            return found or _ABSENT
        if isinstance(value, (list, tuple)):
            items = [part(item, f"{place}.{number}") for number, item in enumerate(value)]
            return _ABSENT if all(item is _ABSENT for item in items) else value
        return value

    found = part(step.settings, "")
    return {} if found is _ABSENT else dict(found)
