"""Many at once: bounded, in order, and what is wrong with one stays with it."""

from __future__ import annotations

import errno
import threading

import pytest

from mcp_packager.errors import Problem, UserError, WorldError
from mcp_packager.pipeline.many import side_by_side


def test_answers_come_in_order_and_one_failure_stops_none() -> None:
    def work(number: int) -> int:
        if number == 1:
            raise UserError(Problem("odd", "make it even"))
        if number == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return number * 10

    done = side_by_side([0, 1, 2, 3], work, at_once=2)
    assert [each.result for each in done] == [0, None, None, 30]
    assert [each.exit_code for each in done] == [0, UserError.exit_code, WorldError.exit_code, 0]
    assert done[1].problems[0].what == "odd"


def test_no_more_are_at_work_than_may_be() -> None:
    at_work = threading.Semaphore(3)
    two = threading.Barrier(3)

    def work(number: int) -> None:
        assert at_work.acquire(blocking=False), "a fourth began"
        two.wait(timeout=20)  # three must really be there at once
        at_work.release()

    side_by_side(range(9), work, at_once=3)


def test_a_fault_of_ours_is_not_swallowed() -> None:
    def work(number: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        side_by_side([1, 2, 3], work, at_once=1)
