"""The schema for editors and the reader: they take and refuse the same.

Editors show a date of TOML to the schema as a string: where a text is wanted, they cannot refuse one.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator, FormatChecker

import runworthy
from runworthy.configuration.keys import TOP, Key, walk
from runworthy.configuration.reading import problems
from runworthy.configuration.schema import schema, schema_json

COMMITTED = Path(runworthy.__file__).parent / "configuration" / "runworthy.toml-1.json"
VALIDATOR = Draft7Validator(schema(), format_checker=FormatChecker())


def as_json(value: Any) -> Any:  # noqa: ANN401 - JSON
    """A document of TOML as editors show it to a validator: dates and times are strings."""
    if isinstance(value, dict):
        return {name: as_json(held) for name, held in value.items()}
    if isinstance(value, list):
        return [as_json(held) for held in value]
    return value.isoformat() if isinstance(value, (dt.date, dt.time)) else value


def both(document: Any) -> tuple[bool, bool]:  # noqa: ANN401 - JSON
    """Whether the reader takes it, and whether the schema does."""
    return not list(problems(document)), VALIDATOR.is_valid(as_json(document))


def test_committed_schema_is_what_is_made() -> None:
    """``runworthy config --schema`` writes it anew."""
    assert COMMITTED.read_text(encoding="utf-8") == schema_json()
    Draft7Validator.check_schema(json.loads(schema_json()))


def test_every_key_is_described() -> None:
    assert all(key.about and "\n" not in key.about for key in walk(TOP))


WAIVER = {"code": "RW301", "reason": "r", "expires": "never"}


@pytest.mark.parametrize(
    ("document", "good"),
    [
        ({}, True),
        ({"subjects": "a"}, True),
        ({"subjects": ["a", "b"], "on": "x"}, True),
        ({"subjects": []}, False),
        ({"subjects": [""]}, False),
        ({"subjects": None}, False),
        ({"strict": 1}, False),
        ({"strict": True}, True),
        ({"max-fails": True}, False),
        ({"max-fails": 3}, True),
        ({"max-fails": 3.0}, True),
        ({"max-fails": 3.5}, False),
        ({"max-fails": float("inf")}, False),
        ({"max-fails": -1}, False),
        ({"until": "load"}, True),
        ({"until": "never"}, False),
        ({"env": {"HOME": ""}}, True),
        ({"env": {"home": ""}}, False),
        ({"targets": {"a": "x", "b-1.c": ["x"]}}, True),
        ({"targets": {"-a": "x"}}, False),
        ({"targets": []}, False),
        ({"check": [{"subjects": "a"}]}, True),
        ({"check": [{"on": "a"}]}, False),
        ({"check": [{"subjects": "a", "fail-on": "risky"}]}, False),
        ({"check": {"subjects": "a"}}, False),
        ({"floor": {"max-glibc": "2.28"}}, True),
        ({"floor": {"max-glibc": 2.28}}, False),
        ({"waiver": [WAIVER]}, True),
        ({"waiver": [{**WAIVER, "expires": dt.date(2027, 1, 31)}]}, True),
        ({"waiver": [{**WAIVER, "expires": "2027-01-31"}]}, True),
        ({"waiver": [{**WAIVER, "expires": "20270131"}]}, False),
        ({"waiver": [{**WAIVER, "expires": "2027-02-31"}]}, False),
        ({"waiver": [{**WAIVER, "expires": "2027-W01-1"}]}, False),
        ({"waiver": [{**WAIVER, "expires": dt.datetime(2027, 1, 31, tzinfo=dt.UTC)}]}, False),
        ({"waiver": [{**WAIVER, "expires": dt.time(1, 2)}]}, False),
        ({"waiver": [{"code": "RW301", "reason": "r"}]}, False),
        ({"waiver": [{**WAIVER, "why": "x"}]}, False),
        ([], False),
    ],
)
def test_table(document: object, *, good: bool) -> None:
    assert both(document) == (good, good)


_WORDS = st.sampled_from(["", "a", "never", "fails", "load", "2027-01-31", "2027-13-01", "@x"])
_SCALARS = st.one_of(
    _WORDS,
    st.booleans(),
    st.integers(-2, 3),
    st.sampled_from([1.5, 2.0, float("nan"), float("-inf")]),
)
_TIMES = st.one_of(st.dates(), st.datetimes(), st.times())
_ANY = st.recursive(
    _SCALARS,
    lambda held: st.one_of(st.lists(held, max_size=3), st.dictionaries(st.sampled_from(["HOME", "a", "A b"]), held)),
    max_leaves=4,
)


def _fitting(key: Key) -> st.SearchStrategy[Any]:
    """Values that nearly always fit, so that whole documents are good often enough to tell something."""
    if key.holds in ("table", "tables"):
        table = _table(key.keys)
        return table if key.holds == "table" else st.lists(table, max_size=2)
    return {
        "text": st.sampled_from(key.choices or ("a",)),
        "texts": st.sampled_from(["a", ["a", "b"]]),
        "flag": st.booleans(),
        "number": st.integers(0, 3),
        "day": st.one_of(st.just("never"), st.dates(), _TIMES),
        "variables": st.just({"HOME": "/"}),
        "sets": st.just({"a": ["x"]}),
    }[key.holds]


def _table(keys: tuple[Key, ...]) -> st.SearchStrategy[dict[str, Any]]:
    needed = {key.name: st.one_of(_fitting(key), _fitting(key), _ANY) for key in keys if key.needed}
    others = {key.name: st.one_of(*[_fitting(key)] * 4, _ANY) for key in keys if not key.needed}
    known = st.fixed_dictionaries(needed, optional=others)
    return st.one_of(known, known, known, st.dictionaries(st.sampled_from(["onn", "on", "strict"]), _ANY, max_size=2))


@given(_table(TOP))
def test_the_reader_and_the_schema_agree(document: dict[str, Any]) -> None:
    reader, by_schema = both(document)
    assert reader == by_schema
