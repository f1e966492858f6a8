"""Names of models in settings against the models that will be there, as far as these are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from gpwf.core.diagnostics import Span
from gpwf.core.names import Need
from gpwf.core.spec import StepCatalog, StepSpec, Variant
from gpwf.lang.codes import Code
from gpwf.lang.report import Report, listed, near_miss
from gpwf.lang.tree import Place

if TYPE_CHECKING:
    from gpwf.lang.draft import Draft
    from gpwf.lang.include import Opened

__all__ = ["WiredStep", "check_names", "wired_steps"]

_MAX_VARIANTS = 200  # sets of settings of one step that are looked at: each takes some 0.1 ms


@dataclass(frozen=True, slots=True, kw_only=True)
class WiredStep:
    """A step with settled settings and connected inputs.

    A step whose settings vary over its axes is given once per set of settings, under one name.

    Parameters
    ----------
    name, tag : str
        The step.
    settings : mapping
        Settled settings.
    inputs : mapping of str to tuple of (str, str)
        Step and product of every connected input port.
    place : callable
        Place of a setting, given the way to it inside ``config``; of the step, given ``()``.
    """

    name: str
    tag: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, tuple[tuple[str, str], ...]]
    place: Callable[[tuple[str | int, ...]], Place]


def wired_steps(opened: Opened, specs: Sequence[StepSpec]) -> list[WiredStep]:
    """Return the steps of a document, and of those that it includes, as `check_names` takes them.

    Steps with problems of their own are left out: nobody knows what they hold.

    Parameters
    ----------
    opened : Opened
        The document, its steps settled and connected.
    specs : sequence of StepSpec
        What was made of them, for the settings that depend on axes; may be empty.
    """
    made = {spec.name: spec for spec in specs}
    found: list[WiredStep] = []
    for draft, inputs, _ in opened.connections():
        if draft.ports is None or draft.settled is None:
            continue
        refs = {
            port: tuple((ref.step, ref.product) for ref in items) for port, items in inputs.items()
        }
        variants: Sequence[Variant | None] = (None,)
        if draft.resolved.slots:
            spec = made.get(draft.full_name)
            variants = spec.variants if spec is not None else ()
        found += [
            WiredStep(
                name=draft.full_name,
                tag=draft.tag,
                settings=draft.settled.settings if variant is None else variant.settings,
                inputs=refs,
                place=partial(_place, draft, variant),
            )
            for variant in variants
        ]
    return found


def _place(draft: Draft, variant: Variant | None, path: tuple[str | int, ...]) -> Place:
    """Return the place of a setting, or of the step where it is not written."""
    span = variant.spans.get(".".join(str(part) for part in path)) if variant is not None else None
    if span is not None:
        return Place(span=span)
    node, rest = draft.config.nearest(path)
    return Place.of_value(node) if path and not rest else draft.place


def check_names(steps: Sequence[WiredStep], catalog: StepCatalog, report: Report) -> None:
    """Report every setting that names a model which no input will hold.

    Where a product holds models that are not known before the run, nothing is said. Of a step that
    is scattered, all its models count: which task meets which is not looked at.

    Parameters
    ----------
    steps : sequence of WiredStep
        All steps of the workflow, included ones among them, without problems of their own.
    catalog : StepCatalog
        The step types.
    report : Report
        Takes the problems.
    """
    by_name: dict[str, list[WiredStep]] = {}
    for step in steps:
        by_name.setdefault(step.name, []).append(step)
    products = _Products(steps=by_name, catalog=catalog)
    for variants in by_name.values():
        done: set[Need] = set()
        for step in variants[:_MAX_VARIANTS]:
            for need in catalog.requires(step.tag, step.settings):
                if need not in done:
                    done.add(need)
                    _check(step, need, products, report)


def _check(step: WiredStep, need: Need, products: _Products, report: Report) -> None:
    """Report a name that no product of the port will hold."""
    refs = step.inputs.get(need.port, ())
    found = products.of_all(refs)
    if found is None or not found.names or need.name in found.names:
        return
    known = sorted(found.names)
    where = listed([f"{name}.{product}" for name, product in refs])
    verb = "holds" if len(refs) == 1 else "hold"
    report.add(
        Code.UNKNOWN_SOURCE,
        f"{'.'.join(str(part) for part in need.path)}: {where} {verb} no model {need.name!r}",
        step.place(need.path),
        hint=near_miss(need.name, known) or f"models: {listed(known)}",
        step=step.name,
        related=tuple((span, "the models come from here") for span in found.origins),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Models:
    """Names of models, and the places of the steps that declare them."""

    names: frozenset[str] = frozenset()
    origins: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Declared:
    """What the settings of a step tell of a product: models of its own, and products it passes."""

    own: _Models
    passed: tuple[tuple[str, str], ...]


@dataclass(slots=True, kw_only=True)
class _Products:
    """The models of products, each found once; None for those that are not known."""

    steps: Mapping[str, Sequence[WiredStep]]
    catalog: StepCatalog
    known: dict[tuple[str, str], _Models | None] = field(default_factory=dict)

    def of_all(self, refs: Sequence[tuple[str, str]]) -> _Models | None:
        """Return the models of several products; None where one of them is not known."""
        for ref in refs:
            self._find(ref)
        return _together([self.known[ref] for ref in refs])

    def _find(self, wanted: tuple[str, str]) -> None:
        """Find the models of a product and of those that it passes on; a chain may be long."""
        waiting = [wanted]
        opened: dict[tuple[str, str], list[_Declared] | None] = {}
        while waiting:
            ref = waiting[-1]
            if ref in self.known:
                waiting.pop()
            elif ref not in opened:
                opened[ref] = parts = self._declared(*ref)
                # one that is open already stands in a circle, which is reported elsewhere
                waiting += [
                    item for part in parts or () for item in part.passed if item not in opened
                ]
            else:
                waiting.pop()
                self.known[ref] = self._settled(opened[ref])

    def _settled(self, parts: Sequence[_Declared] | None) -> _Models | None:
        """Put together what every set of settings tells."""
        if parts is None:
            return None
        passed = [self.known.get(item) for part in parts for item in part.passed]
        return _together([*(part.own for part in parts), *passed])

    def _declared(self, name: str, product: str) -> list[_Declared] | None:
        """Return what each set of settings of a step tells of a product."""
        variants = self.steps.get(name, ())
        if not variants or len(variants) > _MAX_VARIANTS:
            return None
        found = []
        for step in variants:
            held = self.catalog.declares(step.tag, step.settings).get(product)
            if held is None:
                return None
            span = step.place(()).span if held.known else None
            own = _Models(names=held.known, origins=(span,) if span is not None else ())
            passed = tuple(ref for port in held.ports for ref in step.inputs.get(port, ()))
            found.append(_Declared(own=own, passed=passed))
        return found


def _together(items: Sequence[_Models | None]) -> _Models | None:
    """Return the union; None where one is not known."""
    names: set[str] = set()
    origins: dict[Span, None] = {}
    for item in items:
        if item is None:
            return None
        names |= item.names
        origins |= dict.fromkeys(item.origins)
    return _Models(names=frozenset(names), origins=tuple(origins))
