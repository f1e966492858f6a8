"""Connect inputs to products: as written, and by kind where nothing is written.

Edges come only from ``required_products`` and ``after``. A port that is left out takes the only
product of its kind from the steps above, of those that no later step replaced; two candidates are
an error, so that two instruments are never mixed silently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from gpwf.core.catalog import StepCatalog
from gpwf.core.spec import InputRef, Port
from gpwf.lang.codes import Code
from gpwf.lang.draft import WORKFLOW_TAG, Draft, by_name
from gpwf.lang.report import Report, listed, near_miss
from gpwf.lang.tree import Node, Place

__all__ = ["Wiring", "wire"]


@dataclass(slots=True, kw_only=True)
class Wiring:
    """The connections of a workflow.

    Parameters
    ----------
    inputs : dict of str to dict of str to tuple of InputRef
        By step and port.
    after : dict of str to tuple of str
        Steps that must end first.
    outputs : dict of str to InputRef
        Named results of the workflow.
    """

    inputs: dict[str, dict[str, tuple[InputRef, ...]]] = field(default_factory=dict)
    after: dict[str, tuple[str, ...]] = field(default_factory=dict)
    outputs: dict[str, InputRef] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A reference that leads to a product; the kind is None where the step is not understood."""

    ref: InputRef
    kind: str | None


def wire(root: Node, drafts: Sequence[Draft], catalog: StepCatalog, report: Report) -> Wiring:
    """Return the connections of all steps and the named results; problems go to the report."""
    wirer = _Wirer(root=root, drafts=drafts, catalog=catalog, report=report)
    wirer.name_products()
    for draft in drafts:
        wirer.connect(draft)
    wirer.name_outputs()
    wirer.check_circles()
    return wirer.wiring


@dataclass(slots=True, kw_only=True)
class _Wirer:
    """State while the steps are gone through in the order of the document."""

    root: Node
    drafts: Sequence[Draft]
    catalog: StepCatalog
    report: Report
    wiring: Wiring = field(default_factory=Wiring)
    steps: Mapping[str, Draft] = field(default_factory=dict)
    public: dict[str, tuple[Draft, str, Node]] = field(default_factory=dict)
    live: dict[str, list[InputRef]] = field(default_factory=dict)
    unknown_above: bool = False

    def name_products(self) -> None:
        """Collect the public names of products."""
        self.steps = by_name(self.drafts)
        for draft in self.drafts:
            node = draft.node.child("products")
            if node is None:
                continue
            if isinstance(node.value, str):
                self._name_only_product(draft, node)
            for product, public in node.items():
                if not isinstance(public.value, str):
                    continue
                known = [port.name for port in draft.products or ()]
                if draft.products is not None and product not in known:
                    message = f"the step {draft.name!r} has no product {product!r}"
                    hint = near_miss(product, known) or f"its products: {listed(known)}"
                    place = Place.of_key(public)
                    self.report.add(
                        Code.UNKNOWN_PRODUCT, message, place, hint=hint, step=draft.full_name
                    )
                self._name_product(draft, product, public)

    def _name_only_product(self, draft: Draft, node: Node) -> None:
        """Give a public name to the only product of a step."""
        if draft.products is None:
            self._name_product(draft, "", node)
            return
        if len(draft.products) == 1:
            self._name_product(draft, draft.products[0].name, node)
            return
        names = [port.name for port in draft.products]
        message = f"the step {draft.name!r} has {len(names)} products: {listed(names)}"
        hint = f"write products: {{{names[0] if names else 'product'}: {node.value}}}"
        self.report.add(Code.PRODUCT_UNCLEAR, message, node, hint=hint, step=draft.full_name)
        self._name_product(draft, "", node)

    def _name_product(self, draft: Draft, product: str, node: Node) -> None:
        """Keep a public name."""
        name = str(node.value)
        first = self.public.setdefault(name, (draft, product, node))
        if first[2] is not node:
            related = ((first[2].span, "the first one"),) if first[2].span is not None else ()
            message = f"two products have the public name {name!r}"
            self.report.add(
                Code.PRODUCT_TWICE, message, node, step=draft.full_name, related=related
            )

    def connect(self, draft: Draft) -> None:
        """Connect the inputs of a step, then offer its products to the steps below."""
        written = draft.node.child("required_products")
        taken: dict[str, tuple[InputRef, ...]] = {}
        if written is not None and written.is_mapping:
            taken = self._by_port(draft, written)
        elif written is not None:
            taken = self._by_kind(draft, written)
        for port in draft.ports or ():
            if port.name not in taken and port.name != "*":
                taken[port.name] = self._by_rule(draft, port)
        self.wiring.inputs[draft.name] = {name: refs for name, refs in taken.items() if refs}
        self._after(draft)
        self._offer(draft)

    def _by_port(self, draft: Draft, written: Node) -> dict[str, tuple[InputRef, ...]]:
        """Connect ``{port: reference or list of references}``."""
        known = {port.name: port for port in draft.ports or ()}
        taken: dict[str, tuple[InputRef, ...]] = {}
        for name, node in written.items():
            port = known.get(name) or known.get("*")
            if port is None and draft.ports is not None:
                message = f"the step {draft.name!r} has no input {name!r}"
                hint = near_miss(name, known)
                hint = hint or (f"its inputs: {listed(list(known))}" if known else "it has none")
                if draft.tag == WORKFLOW_TAG:
                    hint = "an included workflow takes parameters, no products"
                place = Place.of_key(node)
                self.report.add(Code.UNKNOWN_PORT, message, place, hint=hint, step=draft.full_name)
            items = list(node.entries()) if node.is_list else [node]
            if port is not None and not port.multiple and len(items) > 1:
                message = f"the input {name!r} takes one product, not {len(items)}"
                self.report.add(Code.ONE_PRODUCT_ONLY, message, node, step=draft.full_name)
            if port is not None and not port.optional and (node.value is None or not items):
                message = f"the input {name!r} of {draft.name!r} cannot stay unconnected"
                self.report.add(Code.NOTHING_TO_CONNECT, message, node, step=draft.full_name)
            refs = [self._find(item, draft) for item in items if isinstance(item.value, str)]
            for item, found in zip(items, refs, strict=False):
                self._check_kind(draft, port, item, found)
            taken[name] = tuple(found.ref for found in refs if found is not None)
        return taken

    def _by_kind(self, draft: Draft, written: Node) -> dict[str, tuple[InputRef, ...]]:
        """Connect a list of references, each to the port of its kind."""
        taken: dict[str, tuple[InputRef, ...]] = {}
        for node in written.entries():
            found = self._find(node, draft) if isinstance(node.value, str) else None
            if found is None or found.kind is None or draft.ports is None:
                continue
            ports = [port for port in draft.ports if port.kind == found.kind]
            ports = ports or [p for p in draft.ports if p.kind == "any" and p.name != "*"]
            free = [port for port in ports if port.multiple or port.name not in taken]
            if free:
                taken[free[0].name] = (*taken.get(free[0].name, ()), found.ref)
            elif ports:
                message = f"the input {ports[0].name!r} takes one product of kind {found.kind!r}"
                self.report.add(Code.ONE_PRODUCT_ONLY, message, node, step=draft.full_name)
            else:
                kinds = listed(sorted({port.kind for port in draft.ports})) or "nothing"
                message = f"{node.value} is of kind {found.kind!r}; {draft.name!r} takes {kinds}"
                self.report.add(Code.WRONG_KIND, message, node, step=draft.full_name)
        return taken

    def _check_kind(
        self, draft: Draft, port: Port | None, node: Node, found: _Found | None
    ) -> None:
        """Refuse a product of another kind than the port's."""
        if port is None or found is None or found.kind in (None, port.kind):
            return
        if port.kind == "any":
            return
        message = (
            f"the input {port.name!r} of {draft.name!r} takes {port.kind!r}, "
            f"but {node.value} is {found.kind!r}"
        )
        fitting = [
            f"{step.name}.{product.name}"
            for step in self.drafts
            for product in step.products or ()
            if product.kind == port.kind and step is not draft
        ]
        hint = f"products of this kind: {listed(fitting)}" if fitting else None
        self.report.add(Code.WRONG_KIND, message, node, hint=hint, step=draft.full_name)

    def _by_rule(self, draft: Draft, port: Port) -> tuple[InputRef, ...]:
        """Connect a port that is left out to the only product of its kind above."""
        candidates = self.live.get(port.kind, [])
        if port.kind == "any":  # nobody could say which of all products is meant
            candidates = []
        if len(candidates) == 1 and not (self.unknown_above and port.optional):
            return (candidates[0],)
        if len(candidates) > 1 and not self.unknown_above:
            names = [f"{ref.step}.{ref.product}" for ref in candidates]
            message = (
                f"the input {port.name!r} of {draft.name!r} could be {listed(names)}: say which"
            )
            hint = f"required_products: {{{port.name}: {names[-1]}}}"
            if port.multiple:
                hint = f"required_products: {{{port.name}: [{', '.join(names)}]}}"
            related = tuple(
                (span, f"{ref.step}.{ref.product} comes from here")
                for ref in candidates
                if (span := self.steps[ref.step].place.span) is not None
            )
            self.report.add(
                Code.AMBIGUOUS,
                message,
                draft.place,
                hint=hint,
                step=draft.full_name,
                related=related,
            )
        elif not candidates and not port.optional and not self.unknown_above:
            message = (
                f"nothing above makes {port.kind!r} for the input {port.name!r} of {draft.name!r}"
            )
            maker = self._maker_hint(draft, port)
            if port.kind == "any":
                message = f"the input {port.name!r} of {draft.name!r} takes any product: say which"
                maker = f"required_products: {{{port.name}: step.product}}"
            self.report.add(
                Code.NOTHING_TO_CONNECT, message, draft.place, hint=maker, step=draft.full_name
            )
        return ()

    def _maker_hint(self, draft: Draft, port: Port) -> str | None:
        """Say which steps below, or which types of step, could make what is missing."""
        below = [
            f"{step.name}.{product.name}"
            for step in self.drafts
            for product in step.products or ()
            if product.kind == port.kind and step is not draft
        ]
        if below:
            return (
                f"{listed(below)} would fit: move the step up, or write "
                f"required_products: {{{port.name}: {below[0]}}}"
            )
        tags = list(self.catalog.makers(port.kind))
        return f"add a step {listed(tags)} above it" if tags else None

    def _after(self, draft: Draft) -> None:
        """Read ``after``."""
        node = draft.node.child("after")
        if node is None:
            return
        names: list[str] = []
        items = list(node.entries()) if node.is_list else [node]
        for item in items:
            if not isinstance(item.value, str):
                continue
            if item.value not in self.steps:
                self._unknown_step(item.value, item, draft)
            else:
                names.append(item.value)
        self.wiring.after[draft.name] = tuple(dict.fromkeys(names))

    def _offer(self, draft: Draft) -> None:
        """Make the products of a step available below, instead of those that they replace."""
        if draft.products is None:
            self.unknown_above = True
            return
        replaces = self.catalog.replaces(draft.tag) if draft.tag != WORKFLOW_TAG else {}
        taken = self.wiring.inputs[draft.name]
        for product in draft.products:
            live = self.live.setdefault(product.kind, [])
            if product.name in replaces:
                gone = {(ref.step, ref.product) for ref in taken.get(replaces[product.name], ())}
                live[:] = [ref for ref in live if (ref.step, ref.product) not in gone]
            live.append(InputRef(step=draft.name, product=product.name))

    def _find(self, node: Node, user: Draft | None) -> _Found | None:
        """Return the product that a reference names; None after a report."""
        text = str(node.value)
        step, dot, product = text.partition(".")
        name = user.full_name if user is not None else None
        if not dot:
            return self._find_public(text, node, name)
        draft = self.steps.get(step)
        if draft is None:
            self._unknown_step(step, node, user)
            return None
        ref = InputRef(step=step, product=product, span=node.span)
        if draft.products is None:
            return _Found(ref=ref, kind=None)
        known = {port.name: port.kind for port in draft.products}
        if product not in known:
            message = f"the step {step!r} has no product {product!r}"
            hint = near_miss(product, known) or f"its products: {listed(list(known))}"
            if draft.tag == WORKFLOW_TAG and not known:
                hint = "the included workflow has no `outputs`"
            self.report.add(Code.UNKNOWN_PRODUCT, message, node, hint=hint, step=name)
            return None
        return _Found(ref=ref, kind=known[product])

    def _find_public(self, text: str, node: Node, user: str | None) -> _Found | None:
        """Return the product that a public name stands for."""
        if text in self.public:
            draft, product, _ = self.public[text]
            kinds = {port.name: port.kind for port in draft.products or ()}
            ref = InputRef(step=draft.name, product=product, span=node.span)
            return _Found(ref=ref, kind=kinds.get(product))
        step = self.steps.get(text)
        if step is not None:
            names = [f"{text}.{port.name}" for port in step.products or ()]
            message = f"{text!r} is a step; name one of its products"
            hint = f"for example {listed(names)}" if names else None
        else:
            message = f"no product has the public name {text!r}"
            hint = near_miss(text, [*self.public, *self.steps]) or "write step.product"
        self.report.add(Code.UNKNOWN_PRODUCT, message, node, hint=hint, step=user)
        return None

    def _unknown_step(self, step: str, node: Node, user: Draft | None) -> None:
        """Report a step that does not exist, unless its tag is misspelt and known to be."""
        tags = {*self.catalog.tags(), WORKFLOW_TAG}
        unnamed = [item for item in self.drafts if item.node.child("name") is None]
        if any(item.tag not in tags and near_miss(step, [item.tag]) for item in unnamed):
            return
        if self.report.tells_of(node):  # it is no name at all
            return
        hint = near_miss(step, self.steps) or f"steps: {listed(list(self.steps))}"
        name = user.full_name if user is not None else None
        self.report.add(Code.UNKNOWN_STEP, f"there is no step {step!r}", node, hint=hint, step=name)

    def name_outputs(self) -> None:
        """Read ``outputs``."""
        outputs = self.root.child("outputs")
        for name, node in outputs.items() if outputs is not None else ():
            found = self._find(node, None) if isinstance(node.value, str) else None
            if found is not None:
                self.wiring.outputs[name] = found.ref

    def check_circles(self) -> None:
        """Refuse steps that wait for each other."""
        if len(self.steps) < len(self.drafts):  # two have one name: circles would not be real
            return
        edges = {
            name: {
                *(ref.step for refs in ports.values() for ref in refs),
                *self.wiring.after.get(name, ()),
            }
            for name, ports in self.wiring.inputs.items()
        }
        try:
            TopologicalSorter(edges).prepare()
        except CycleError as error:
            circle: list[str] = list(reversed(error.args[1]))
            first = self.steps[circle[0]]
            message = "steps wait for each other: " + " → ".join(circle)
            if len(circle) == 2:
                message = f"the step {circle[0]!r} waits for itself"
            node = first.node.child("required_products") or first.node.child("after")
            place = Place.of_key(node) if node is not None else first.place
            self.report.add(Code.CIRCLE, message, place, step=first.full_name)
