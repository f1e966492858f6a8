"""New workflows from templates: what ``gpwf init`` writes.

A template is a workflow of the folder ``templates`` with words such as ``@name@`` to fill in.
Beside the workflow there are its models, the schema of this installation and settings of an editor.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from pathlib import Path

from gpwf.api.editor_settings import tie_schema
from gpwf.api.init_templates import MODELS, SCRIPT, TEMPLATES, WORKFLOW, Template
from gpwf.api.targets import TARGETS, Target
from gpwf.errors import UsageError

__all__ = ["SCHEMA", "SETTINGS", "Action", "InitFile", "default_name", "init"]

SCHEMA = "schemas/workflow.schema.json"
"""Where the schema is, relative to the workflow."""

SETTINGS = ".vscode/settings.json"
PATTERN = "*.gpwf.yaml"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_WORD = re.compile(r"@([a-z_]+)@")
_WIDTH = 100


class Action(StrEnum):
    """What became of a file."""

    NEW = "new"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    KEPT = "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class InitFile:
    """A file of a new workflow.

    Parameters
    ----------
    path : Path
        Where it is.
    action : Action
        What became of it; `Action.KEPT` is a file that somebody has to change by hand.
    note : str
        What to do about it; empty for nothing.
    """

    path: Path
    action: Action
    note: str = ""


def default_name(template: str, targets: Sequence[str] = ()) -> str:
    """Return what a workflow is called unless told otherwise.

    Raises
    ------
    UsageError
        As `init` does.
    """
    chosen = _template(template)
    target = "-".join(target.name for target in _targets(chosen, targets)[:1])
    return re.sub(r"[^A-Za-z0-9_-]", "-", chosen.called.format(target=target))


def init(
    template: str,
    folder: str | Path = ".",
    *,
    targets: Sequence[str] = (),
    name: str | None = None,
    overwrite: bool = False,
) -> list[InitFile]:
    """Write a new workflow with what belongs to it.

    That is the workflow, its models and tables, the schema of this installation with which editors
    check it, and settings of Visual Studio Code, which are added to those there are.

    Parameters
    ----------
    template : str
        One of `TEMPLATES`.
    folder : str or Path
        Where to; made where it is not there.
    targets : sequence of str, optional
        One of `TARGETS`, or several for a template that takes many; the template's own otherwise.
    name : str, optional
        Name of the workflow and of its files; `default_name` otherwise.
    overwrite : bool
        Replace files that say something else. Without it nothing is written where there is one.

    Returns
    -------
    list of InitFile
        The files and what became of each; the workflow first.

    Raises
    ------
    UsageError
        For a template, target or name that does not exist or cannot be, and for files that would
        be replaced or cannot be written.
    """
    chosen = _template(template)
    picked = _targets(chosen, targets)
    called = default_name(template, targets) if name is None else name
    if not _NAME.fullmatch(called):
        raise UsageError(
            f"{called!r} cannot be the name of a workflow",
            hint="a name begins with a letter and has letters, digits, - and _ only",
        )
    texts = {Path(folder) / at: text for at, text in _render(chosen, picked, called).items()}
    schema = Path(folder) / SCHEMA
    try:
        plans = [_plan(path, text) for path, text in texts.items()]
        plans += [_plan(schema, _schema_text(), ours=_is_schema)]
        plans += [_plan_settings(Path(folder) / SETTINGS)]
        _refuse(plans, overwrite=overwrite)
        return [_write(plan) for plan in plans]
    except OSError as error:
        raise UsageError(f"{error.filename}: cannot be written: {error.strerror}") from error


def _template(name: str) -> Template:
    if name not in TEMPLATES:
        near = difflib.get_close_matches(name, TEMPLATES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(TEMPLATES)}"
        raise UsageError(f"no template {name!r}", hint=hint)
    return TEMPLATES[name]


def _targets(template: Template, names: Sequence[str]) -> list[Target]:
    """Return the targets that were named, or the template's own."""
    wanted = list(dict.fromkeys(names or template.chosen))
    for name in wanted:
        if name in template.targets:
            continue
        if not template.targets:
            raise UsageError(f"the template {template.name!r} takes no target")
        near = difflib.get_close_matches(name, template.targets, n=1, cutoff=0.4)
        known = f"it takes {', '.join(template.targets)}"
        hint = f"did you mean {near[0]!r}? {known}" if near else known
        raise UsageError(f"the template {template.name!r} has no target {name!r}", hint=hint)
    if len(wanted) > 1 and not template.many:
        raise UsageError(
            f"the template {template.name!r} takes one target",
            hint="'multi-target' takes several",
        )
    return [TARGETS[name] for name in wanted]


# ---- texts ---------------------------------------------------------------------------------------


def _render(template: Template, targets: list[Target], name: str) -> dict[str, str]:
    """Return the text of every file by its path."""
    target = targets[0] if targets else None
    shape = "gaussian" if target is not None and target.extension_deg else "point"
    words = {
        "schema": SCHEMA,
        "name": name,
        "file": WORKFLOW.format(name=name),
        "models": MODELS.format(name=name),
        "script": SCRIPT.format(name=name),
        "source": template.source or (target.name if target is not None else "source"),
        "rows": "\n".join(_row(item) for item in targets),
        **(_words(target) if target is not None else {}),
    }
    folder = resources.files("gpwf.api") / "templates"
    texts = {}
    for path, source in template.files.items():
        text = (folder / source.format(shape=shape)).read_text(encoding="utf-8")
        texts[path.format(name=name)] = _WORD.sub(lambda match: words[match[1]], text)
    return texts


def _words(target: Target) -> dict[str, str]:
    """Return what the words of a template mean for a target."""
    exclusion = f", exclusion: {target.exclusion}" if target.exclusion else ""
    return {
        "target": target.name,
        "title": target.title,
        "lon": f"{target.lon:.3f}",
        "lat": f"{target.lat:.3f}",
        "n_obs": str(len(target.obs_ids)),
        "obs_ids": _numbers(target.obs_ids, indent=12),
        "radius": f"{target.radius_deg:g}",
        "e_min": f"{target.e_min_tev:g}",
        "e_max": f"{target.e_max_tev:g}",
        "extension": f"{target.extension_deg:g}",
        "reflected": f"{{method: reflected{exclusion}}}",
        "excluded": f"{target.radius_deg + 0.2:g}",
    }


def _numbers(values: Sequence[int], *, indent: int) -> str:
    """Return numbers of a list, on as many lines as they need."""
    import textwrap

    lines = textwrap.wrap(", ".join(map(str, values)), width=_WIDTH - indent - 1)
    return ("\n" + " " * indent).join(lines)


def _row(target: Target) -> str:
    """Return the row of a target in a table of targets."""
    return "\n".join(
        [
            f"- name: {target.name}",
            f"  title: {target.title}",
            f"  position: {{frame: icrs, lon: {target.lon:.3f} deg, lat: {target.lat:.3f} deg}}",
            f"  radius: {target.radius_deg:g} deg",
            f"  e_min: {target.e_min_tev:g} TeV",
            f"  obs_ids: [{_numbers(target.obs_ids, indent=12)}]",
        ]
    )


@lru_cache(maxsize=1)
def _schema_text() -> str:
    """Return the schema of this installation, which stays the same in one process."""
    import json

    from gpwf.lang.bundle import bundle_schema
    from gpwf.steps.registry import load_catalog

    return json.dumps(bundle_schema(load_catalog()), indent=2, ensure_ascii=False) + "\n"


def _is_schema(text: str) -> bool:
    """Return whether a text is a schema of gpwf, which nobody edits."""
    from gpwf.lang.bundle import SCHEMA_ID

    return f'"$id": "{SCHEMA_ID}"' in text


# ---- files ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What to do with a file; `free` is False where it would replace what a person wrote."""

    path: Path
    action: Action
    text: str = ""
    free: bool = True
    note: str = ""


def _plan(path: Path, text: str, *, ours: Callable[[str], bool] | None = None) -> _Plan:
    if not path.exists():
        return _Plan(path=path, action=Action.NEW, text=text)
    old = path.read_bytes()
    if old == text.encode():
        return _Plan(path=path, action=Action.UNCHANGED)
    free = ours is not None and ours(old.decode("utf-8", errors="replace"))
    return _Plan(path=path, action=Action.UPDATED, text=text, free=free)


def _plan_settings(path: Path) -> _Plan:
    """Add the schema to the settings there are; leave alone what cannot be read."""
    exists = path.exists()
    try:
        old = path.read_bytes().decode() if exists else ""
        new = tie_schema(old, f"./{SCHEMA}", PATTERN)
    except ValueError:
        note = f'add "yaml.schemas": {{"./{SCHEMA}": ["{PATTERN}"]}} by hand: it is no JSON object'
        return _Plan(path=path, action=Action.KEPT, note=note)
    if new == old:
        return _Plan(path=path, action=Action.UNCHANGED)
    return _Plan(path=path, action=Action.UPDATED if exists else Action.NEW, text=new)


def _refuse(plans: Sequence[_Plan], *, overwrite: bool) -> None:
    """Raise where files would be replaced that somebody may have edited."""
    taken = [str(plan.path) for plan in plans if not plan.free]
    if taken and not overwrite:
        raise UsageError(
            f"{', '.join(taken)}: there already, with other content",
            hint="--name NAME gives the new workflow another name, --overwrite replaces files",
        )


def _write(plan: _Plan) -> InitFile:
    """Write a file, whole or not at all."""
    if plan.action in (Action.NEW, Action.UPDATED):
        path = plan.path.resolve()  # a link stays a link
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.part")
        draft.write_bytes(plan.text.encode())
        if plan.action is Action.UPDATED:
            draft.chmod(path.stat().st_mode & 0o7777)
        draft.replace(path)
    return InitFile(path=plan.path, action=plan.action, note=plan.note)
