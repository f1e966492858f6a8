"""Names of models and ranges of energy are checked against what the steps above declare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest
from fake_catalog import FakeCatalog

from gpwf.core.contents import Contents, Need
from gpwf.core.diagnostics import Span
from gpwf.lang.names import WiredStep, check_names
from gpwf.lang.report import Report
from gpwf.lang.tree import Place

FIT = {"models": (("models", "models"),)}
SED = {"models": (("fit", "models"),)}


def step(
    name: str, inputs: Mapping[str, Any] | None = None, *, line: int = 1, **settings: Any
) -> WiredStep:
    """Return a step of the fake catalogue; its type is the first word of its name."""
    tag = name.partition(" ")[0]
    defaults = {"models": {"names": []}}.get(tag, {})
    return WiredStep(
        name=name,
        tag=tag,
        settings={**defaults, **settings},
        inputs=inputs or {},
        place=lambda path: Place(
            span=Span(file="w.yaml", line=line, column=1 + len(path), end_line=line, end_column=9)
        ),
    )


def found(*steps: WiredStep, catalog: Any = None) -> list[Any]:
    report = Report()
    check_names(steps, catalog or FakeCatalog(), report)
    return report.items


def test_a_name_that_a_model_has_is_fine() -> None:
    sed = step("flux-points", {"models": (("models", "models"),)}, source="crab")
    assert found(step("models", names=["crab"]), sed) == []


def test_a_name_that_no_model_has_is_told_with_place_and_suggestion() -> None:
    (item,) = found(
        step("models", names=["crab", "vela"], line=3),
        step("fit", FIT, line=4),
        step("flux-points", SED, source="crabb", line=5),
    )
    assert item.code == "GP512"
    assert item.message == "source: fit.models holds no model 'crabb'"
    assert item.hint == "did you mean 'crab'?"
    assert item.step == "flux-points"
    assert (item.span.line, item.span.column) == (5, 2)
    assert [(span.line, text) for span, text in item.related] == [(3, "the models come from here")]


def test_without_a_near_one_the_names_are_listed() -> None:
    sed = step("flux-points", {"models": (("models", "models"),)}, source="m87")
    (item,) = found(step("models", names=["vela", "crab"]), sed)
    assert item.hint == "models: crab and vela"


@pytest.mark.parametrize(
    "steps",
    [
        [step("models"), step("fit", FIT)],  # a file that is not there
        [step("fit", FIT)],  # a step that is not understood
        [step("models", names=["vela"]), step("fit")],  # a fit of nothing
        [step("plot"), step("fit", {"models": (("plot", "figure"),)})],
    ],
)
def test_where_the_names_are_not_known_nothing_is_said(steps: list[WiredStep]) -> None:
    sed = step("flux-points", SED, source="crab")
    assert found(*steps, sed) == []


def test_an_input_that_is_not_connected_needs_nothing() -> None:
    assert found(step("models", names=["vela"]), step("flux-points", source="crab")) == []


def test_several_products_hold_all_their_names() -> None:
    two = {"models": (("models a", "models"), ("models b", "models"))}
    known = [step("models a", names=["crab"]), step("models b", names=["vela"])]
    assert found(*known, step("flux-points", two, source="vela")) == []
    (item,) = found(*known, step("flux-points", two, source="m87"))
    assert "models a.models and models b.models hold no model 'm87'" in item.message
    assert found(known[0], step("models b"), step("flux-points", two, source="m87")) == []


def test_all_settings_of_a_scattered_step_count() -> None:
    scattered = [step("models", names=["crab"]), step("models", names=["vela"])]
    needs = [step("flux-points", FIT, source=name) for name in ("crab", "vela", "m87", "m87")]
    (item,) = found(*scattered, *needs)
    assert "'m87'" in item.message
    assert found(*scattered, step("models"), *needs) == []


@pytest.mark.parametrize("line", [3, 4])
def test_several_sources_where_none_is_named_are_told(line: int) -> None:
    """With ``line`` the order of the two changes."""
    (item,) = found(
        step("models", names=["vela", "crab"], line=line),
        step("fit", FIT),
        step("flux-points", SED, source="", line=7),
    )
    assert item.code == "GP305"
    assert item.message == "source: fit.models holds several sources: crab and vela"
    assert item.hint == "set 'source' to one of them"
    assert (item.span.line, item.span.column) == (7, 2)
    assert [(span.line, text) for span, text in item.related] == [
        (line, "the models come from here")
    ]
    assert found(step("models", names=["crab"]), step("fit", FIT), sed_of()) == []


def sed_of(source: str = "") -> WiredStep:
    return step("flux-points", SED, source=source)


def test_of_a_scatter_each_product_counts_alone() -> None:
    """Two files with one source each are fine; one with two is not, whoever meets it."""
    fit = step("fit", FIT)
    one = [step("models", names=["crab"]), step("models", names=["vela"])]
    two = step("models", names=["crab", "vela"], line=5)
    assert found(*one, fit, sed_of()) == []
    assert found(*one, step("models"), fit, sed_of()) == []
    (item,) = found(*one, two, fit, sed_of())
    assert item.message == "source: fit.models holds several sources: crab and vela"
    # where other tasks name their source, those that name none may be the ones with one source
    assert found(*one, two, fit, sed_of(), sed_of("crab")) == []


def test_sources_of_joined_models_add_up() -> None:
    both = {"models": (("models a", "models"), ("models b", "models"))}
    known = [step("models a", names=["crab"]), step("models b", names=["vela"])]
    (item,) = found(*known, step("flux-points", both, source=""))
    assert item.message == (
        "source: models a.models and models b.models hold several sources: crab and vela"
    )


def test_steps_may_stand_in_any_order() -> None:
    sed = step("flux-points", SED, source="crab")
    assert found(sed, step("fit", FIT), step("models", names=["crab"])) == []


def test_a_circle_ends() -> None:
    one = step("fit", {"models": (("fit two", "models"),)})
    two = step("fit two", {"models": (("fit", "models"),)})
    assert found(one, two, step("flux-points", SED, source="crab")) == []


def test_a_long_chain_of_fits_is_followed() -> None:
    names = ["models", *(f"fit {number}" for number in range(5000))]
    chain = [step(name, {"models": ((above, "models"),)}) for above, name in pairwise(names)]
    sed = step("flux-points", {"models": ((names[-1], "models"),)}, source="crabb")
    (item,) = found(step("models", names=["crab"]), *chain, sed)
    assert item.hint == "did you mean 'crab'?"


def test_a_step_may_add_to_the_models_of_several_inputs() -> None:
    class Merging(FakeCatalog):
        def declares(self, tag: str, settings: Mapping[str, Any]) -> Mapping[str, Contents]:
            if tag == "stack":
                return {"models": Contents(models=frozenset({"bkg"}), ports=("first", "second"))}
            return super().declares(tag, settings)

        def requires(self, tag: str, settings: Mapping[str, Any]) -> Sequence[Need]:
            names = settings.get("sources", ())
            return [Need(port="models", path=("sources", n), model=x) for n, x in enumerate(names)]

    merged = step(
        "stack", {"first": (("models a", "models"),), "second": (("models b", "models"),)}
    )
    plot = step(
        "plot", {"models": (("stack", "models"),)}, sources=["crab", "vela", "bkg", "m87"], line=9
    )
    known = [step("models a", names=["crab"]), step("models b", names=["vela"])]
    (item,) = found(*known, merged, plot, catalog=Merging())
    assert item.message == "sources.3: stack.models holds no model 'm87'"
    assert (item.span.line, item.span.column) == (9, 3)


class Energies(FakeCatalog):
    """Datasets with energies of a setting; fits that ask for a range."""

    def declares(self, tag: str, settings: Mapping[str, Any]) -> Mapping[str, Contents]:
        if tag == "datasets":
            return {"datasets": Contents(energies=settings["energies"], path=("geom",))}
        return {"datasets": Contents(ports=("datasets",))} if tag == "stack" else {}

    def requires(self, tag: str, settings: Mapping[str, Any]) -> Sequence[Need]:
        if tag != "fit":
            return []
        return [Need(port="datasets", path=("fit_range",), energies=settings["fit_range"])]


@pytest.mark.parametrize(
    ("fit_range", "words"),
    [
        ((40, None), "above 40 TeV"),
        ((None, 0.1), "below 0.1 TeV"),
        ((50, 60), "50 to 60 TeV"),
        ((0.01, 0.1), "0.01 to 0.1 TeV"),
        ((30, None), None),
        ((None, 0.2), None),
        ((0.01, 100), None),
        ((39.9, 50), None),
    ],
)
def test_a_range_outside_the_energies_of_the_datasets_is_told(
    fit_range: Any, words: str | None
) -> None:
    problems = found(
        step("datasets", energies=(0.1, 40.0), line=2),
        step("stack", {"datasets": (("datasets", "datasets"),)}),
        step("fit", {"datasets": (("stack", "datasets"),)}, fit_range=fit_range, line=7),
        catalog=Energies(),
    )
    if words is None:
        assert problems == []
        return
    (item,) = problems
    assert item.code == "GP306"
    assert item.message == f"fit_range: {words} lies outside stack.datasets: 0.1 to 40 TeV"
    assert (item.span.line, item.span.column) == (7, 2)
    assert [(span.line, span.column) for span, _ in item.related] == [(2, 2)]


def test_energies_of_several_datasets_count_together() -> None:
    two = {"datasets": (("datasets a", "datasets"), ("datasets b", "datasets"))}
    fit = step("fit", two, fit_range=(20, None))
    low = step("datasets a", energies=(0.1, 10.0))
    assert len(found(low, step("datasets b", energies=(0.1, 5.0)), fit, catalog=Energies())) == 1
    assert found(low, step("datasets b", energies=(0.1, 50.0)), fit, catalog=Energies()) == []
    assert found(low, fit, catalog=Energies()) == []  # of the other nothing is known
