"""What settings ask of inputs against what these will hold, as far as it is known before the run.

A source is the name of a model that a step above declares; a range of energy lies within that of
the datasets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from gpwf.core.catalog import StepCatalog
from gpwf.core.contents import Need
from gpwf.core.diagnostics import Span
from gpwf.core.spec import StepSpec, Variant
from gpwf.lang.codes import Code
from gpwf.lang.report import Report, listed, near_miss
from gpwf.lang.tree import Place

if TYPE_CHECKING:
    from gpwf.lang.draft import Draft
    from gpwf.lang.include import Opened

__all__ = ["WiredStep", "check_names", "wired_steps"]

_MAX_VARIANTS = 1_000  # sets of settings of one step that are looked at; each takes 0.2 ms


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
    if rest and node is draft.config and node.key_span is not None:
        return Place.of_key(node)
    return Place.of_value(node) if path and not rest else draft.place


def check_names(steps: Sequence[WiredStep], catalog: StepCatalog, report: Report) -> None:
    """Report every setting that relies on what no input will hold: a model, a range of energy.

    Where it is not known before the run what a product holds, nothing is said. Of a step that is
    scattered, all its products count: which task meets which is not looked at.

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
        variants = variants[:_MAX_VARIANTS]
        needs: dict[Need, list[WiredStep]] = {}
        for step in variants:
            for need in catalog.requires(step.tag, step.settings):
                needs.setdefault(need, []).append(step)
        for need, (step, *others) in needs.items():
            # where some tasks name a source, the others may be those with one source each
            if not need.one_source or len(others) + 1 == len(variants):
                _check(step, need, products, report)


def _check(step: WiredStep, need: Need, products: _Products, report: Report) -> None:
    """Report a setting that no product of its port fits."""
    refs = step.inputs.get(need.port, ())
    held = products.of_all(refs)
    where = listed([f"{name}.{product}" for name, product in refs])
    several = len(refs) > 1
    setting = ".".join(str(part) for part in need.path)
    if need.model is not None and held.models and need.model not in held.models:
        known = sorted(held.models)
        report.add(
            Code.UNKNOWN_SOURCE,
            f"{setting}: {where} {'hold' if several else 'holds'} no model {need.model!r}",
            step.place(need.path),
            hint=near_miss(need.model, known) or f"models: {listed(known)}",
            step=step.name,
            related=tuple((span, "the models come from here") for span in held.origins),
        )
    if need.one_source and len(held.sources) > 1:
        report.add(
            Code.SETTING_MISSING,
            f"{setting}: {where} {'hold' if several else 'holds'} several sources: "
            f"{listed(sorted(held.sources))}",
            step.place(need.path),
            hint=f"set '{setting}' to one of them",
            step=step.name,
            related=tuple((span, "the models come from here") for span in held.origins),
        )
    if need.energies is not None and held.energies and _apart(need.energies, held.energies):
        lowest, highest = held.energies
        report.add(
            Code.SETTING_INCONSISTENT,
            f"{setting}: {_words(*need.energies)} lies outside {where}: "
            f"{lowest:g} to {highest:g} TeV",
            step.place(need.path),
            step=step.name,
            related=tuple((span, "the energies come from here") for span in held.origins),
        )


def _words(low: float | None, high: float | None) -> str:
    """Return a range of energy in words."""
    if low is None or high is None:
        return f"below {high:g} TeV" if low is None else f"above {low:g} TeV"
    return f"{low:g} to {high:g} TeV"


def _apart(wanted: tuple[float | None, float | None], held: tuple[float, float]) -> bool:
    """Tell whether two ranges of energy have nothing in common."""
    low, high = wanted
    return (low is not None and low >= held[1]) or (high is not None and high <= held[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What a product holds, None for what is not known, and the places that tell it.

    ``sources`` are those that one product is known to hold: of several, the one with most.
    """

    models: frozenset[str] | None = None
    sources: frozenset[str] = frozenset()
    energies: tuple[float, float] | None = None
    origins: tuple[Span, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Products:
    """What products hold, each found once."""

    steps: Mapping[str, Sequence[WiredStep]]
    catalog: StepCatalog
    known: dict[tuple[str, str], _Held] = field(default_factory=dict)

    def of_all(self, refs: Sequence[tuple[str, str]]) -> _Held:
        """Return what several products hold together."""
        for ref in refs:
            self._find(ref)
        return _together([self.known[ref] for ref in refs])

    def _find(self, wanted: tuple[str, str]) -> None:
        """Find what a product holds, and those that it passes on; a chain may be long."""
        waiting = [wanted]
        opened: dict[tuple[str, str], list[tuple[_Held | None, _Refs]]] = {}
        while waiting:
            ref = waiting[-1]
            if ref in self.known:
                waiting.pop()
            elif ref not in opened:
                opened[ref] = parts = self._declared(*ref)
                # one that is open already stands in a circle, which is reported elsewhere
                waiting += [item for _, passed in parts for item in passed if item not in opened]
            else:
                waiting.pop()
                held = []
                for own, passed in opened[ref]:
                    items = [self.known.get(item, _Held()) for item in passed]
                    held.append(_joined(own, _together(items)) if items else own or _Held())
                most = max((item.sources for item in held), key=len, default=frozenset())
                self.known[ref] = replace(_together(held), sources=most)

    def _declared(self, name: str, product: str) -> list[tuple[_Held | None, _Refs]]:
        """Return, for each set of settings of a step, what these tell, and what is passed on."""
        variants = self.steps.get(name, ())
        found: list[tuple[_Held | None, _Refs]] = []
        for step in variants if len(variants) <= _MAX_VARIANTS else ():
            told = self.catalog.declares(step.tag, step.settings).get(product)
            if told is None:
                return []
            own = None
            if told.models is not None or told.energies is not None:
                span = step.place(told.path).span
                origins = (span,) if span is not None else ()
                own = _Held(
                    models=told.models,
                    sources=told.sources,
                    energies=told.energies,
                    origins=origins,
                )
            passed = tuple(ref for port in told.ports for ref in step.inputs.get(port, ()))
            found.append((own, passed))
        return found


_Refs = tuple[tuple[str, str], ...]


def _joined(own: _Held | None, passed: _Held) -> _Held:
    """Return what is passed on, and what a step adds to it."""
    if own is None:
        return passed
    models, energies = own.models, own.energies
    return _together(
        [
            passed,
            _Held(
                models=frozenset() if models is None else models,
                sources=own.sources,
                energies=passed.energies if energies is None else energies,
                origins=own.origins,
            ),
        ]
    )


def _together(items: Sequence[_Held]) -> _Held:
    """Return the union; what one does not tell is not known."""
    models: frozenset[str] | None = frozenset()
    energies = [item.energies for item in items if item.energies is not None]
    origins: dict[Span, None] = {}
    for item in items:
        models = None if models is None or item.models is None else models | item.models
        origins |= dict.fromkeys(item.origins)
    reach = None
    if items and len(energies) == len(items):
        reach = (min(low for low, _ in energies), max(high for _, high in energies))
    return _Held(
        models=models if items else None,
        sources=frozenset().union(*(item.sources for item in items)),
        energies=reach,
        origins=tuple(origins),
    )
