"""Which cases of a family are among the quick tests: the others of its kind run in the long ones."""

from collections.abc import Collection, Iterable

import pytest


def quick_first(cases: Iterable, count: int = 1) -> list:
    """Returns the cases; those after the first few are among the long tests."""
    return [case if number < count else _long(case) for number, case in enumerate(cases)]


def quick_only(quick: Collection, cases: Iterable) -> list:
    """Returns the cases; all but the given ones are among the long tests."""
    cases = list(cases)
    assert all(case in cases for case in quick), "a quick case is none of the cases"
    return [case if case in quick else _long(case) for case in cases]


def _long(case):
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.long)
