"""Order and reach in a graph."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpwf.compiler.graph import ancestors, descendants, find_cycle, topological_order


def test_ties_keep_the_order_of_the_document() -> None:
    edges = {"c": [], "b": [], "a": ["c"], "d": ["b"]}
    assert topological_order(edges) == ["c", "b", "a", "d"]


@given(st.lists(st.lists(st.integers(0, 8), max_size=3), min_size=1, max_size=9))
def test_upstream_comes_first(rows: list[list[int]]) -> None:
    edges = {str(n): [str(m) for m in row if m < n] for n, row in enumerate(rows)}
    order = topological_order(edges)
    assert sorted(order) == sorted(edges)
    for node, upstream in edges.items():
        assert all(order.index(item) < order.index(node) for item in upstream)


def test_a_cycle_is_named() -> None:
    edges = {"a": ["c"], "b": ["a"], "c": ["b"]}
    with pytest.raises(ValueError, match="form a cycle"):
        topological_order(edges)
    cycle = find_cycle(edges)
    assert cycle[0] == cycle[-1]
    assert set(cycle) == {"a", "b", "c"}
    assert find_cycle({"a": []}) == []


def test_reach() -> None:
    edges = {"a": [], "b": ["a"], "c": ["b"], "d": ["a"]}
    assert ancestors(edges, ["c"]) == {"a", "b", "c"}
    assert descendants(edges, ["b"]) == {"b", "c"}
