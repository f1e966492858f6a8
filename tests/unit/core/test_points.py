"""Points of a scatter against relations written out: a row is a mapping of axes to positions."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from gpwf.core.points import Points, group, join, join_size, project, projector, union

AXES = ("a", "b", "c", "d")


@st.composite
def tables(draw: st.DrawFn) -> Points:
    """Return distinct rows on a few axes, in any order."""
    axes = tuple(draw(st.lists(st.sampled_from(AXES), unique=True, max_size=3)))
    row = st.tuples(*[st.integers(0, 2) for _ in axes])
    return Points(axes, draw(st.lists(row, unique=True, max_size=12)))


def relation(points: Points) -> list[dict[str, int]]:
    return [dict(zip(points.axes, row, strict=True)) for row in points.rows]


def natural_join(one: Points, two: Points) -> list[dict[str, int]]:
    return [
        left | right
        for left in relation(one)
        for right in relation(two)
        if all(left[name] == right[name] for name in left.keys() & right.keys())
    ]


@given(tables(), tables())
def test_join_is_the_natural_join_in_order(one: Points, two: Points) -> None:
    found = join(one, two)
    assert found.axes == union([one.axes, two.axes])
    assert relation(found) == natural_join(one, two)


@given(tables(), tables())
def test_join_size_counts_without_making(one: Points, two: Points) -> None:
    assert join_size(one, two) == len(join(one, two))


@given(tables(), tables(), tables())
def test_join_may_be_done_in_any_order(one: Points, two: Points, three: Points) -> None:
    def rows(points: Points) -> list[list[tuple[str, int]]]:
        return sorted(sorted(row.items()) for row in relation(points))

    assert rows(join(join(one, two), three)) == rows(join(one, join(two, three)))
    assert rows(join(one, two)) == rows(join(two, one))


@given(tables())
def test_join_with_itself_and_with_the_one_point(points: Points) -> None:
    assert relation(join(points, points)) == relation(points)
    assert relation(join(points, Points())) == relation(points)
    assert relation(join(Points(), points)) == relation(points)
    assert len(join(points, Points((), []))) == 0


@given(tables(), st.data())
def test_project_keeps_distinct_rows_in_order(points: Points, data: st.DataObject) -> None:
    wanted = data.draw(st.lists(st.sampled_from(points.axes or ("a",)), unique=True))
    wanted = [name for name in wanted if name in points.axes]
    expected: list[dict[str, int]] = []
    for row in relation(points):
        short = {name: row[name] for name in wanted}
        if short not in expected:
            expected.append(short)
    found = project(points, wanted)
    assert found.axes == tuple(wanted)
    assert relation(found) == expected


@given(tables(), st.data())
def test_group_parts_the_rows(points: Points, data: st.DataObject) -> None:
    kept = [name for name in points.axes if data.draw(st.booleans())]
    found = group(points, kept)
    assert sorted(number for numbers in found.values() for number in numbers) == list(
        range(len(points))
    )
    key_of = projector(points.axes, kept)
    for key, numbers in found.items():
        assert numbers == sorted(numbers)
        assert {key_of(points.rows[number]) for number in numbers} == {key}


@given(tables(), st.permutations(AXES))
def test_projector_takes_positions_by_name(points: Points, order: Sequence[str]) -> None:
    wanted = [name for name in order if name in points.axes]
    take = projector(points.axes, wanted)
    for row in points.rows:
        assert take(row) == tuple(row[points.axes.index(name)] for name in wanted)
