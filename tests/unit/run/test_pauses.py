"""Pauses before another attempt."""

from __future__ import annotations

import math

import pytest

from gpwf.run.pauses import Pauses


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_pauses_double_up_to_a_minute() -> None:
    pauses = Pauses(Clock(), lambda low, high: (low + high) / 2)
    assert [pauses.begin("a", n) for n in (1, 2, 3, 7, 8, 10_000)] == [0.5, 1, 2, 32, 60, 60]


def test_chance_spreads_them() -> None:
    found = {Pauses().begin("a", 3) for _ in range(50)}
    assert len(found) > 40
    assert min(found) >= 1.0
    assert max(found) <= 3.0


def test_tasks_come_back_in_their_time() -> None:
    clock = Clock()
    pauses = Pauses(clock, lambda low, high: 1.0)
    assert not pauses
    assert pauses.due_s == math.inf
    pauses.begin("late", 3)
    pauses.begin("soon", 1)
    assert pauses.due_s == pytest.approx(0.5)
    assert list(pauses.over()) == []
    clock.now_s += 0.5
    assert list(pauses.over()) == ["soon"]
    clock.now_s += 5.0
    assert pauses.due_s == 0.0
    assert list(pauses.over()) == ["late"]
    assert not pauses
