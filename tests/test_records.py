"""Our data classes are those of the standard library, but for the time at which their methods are made."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import pickle
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import runworthy
from runworthy.model import records
from runworthy.model.finding import Remedy
from runworthy.model.trace import Evidence, Need, Probe


def modules() -> Iterator[str]:
    for module in pkgutil.walk_packages(runworthy.__path__, "runworthy."):
        if not module.name.endswith("__main__"):
            yield module.name


def classes() -> list[type]:
    """Every data class of the package."""
    found = {
        held
        for name in modules()
        for held in vars(importlib.import_module(name)).values()
        if isinstance(held, type) and held.__module__ == name and isinstance(vars(held).get("__slots__"), tuple)
    }
    ours = [held for held in found if "__dataclass_fields__" in vars(held)]
    return sorted(ours, key=lambda held: f"{held.__module__}.{held.__qualname__}")


def standard(ours: type[Any]) -> type[Any]:
    """The same class, made by the standard library."""
    rows = [
        (one.name, one.type, dataclasses.field(default=one.default, default_factory=one.default_factory))
        for one in dataclasses.fields(ours)
    ]
    return dataclasses.make_dataclass(
        ours.__qualname__, rows, frozen="__delattr__" in vars(ours), slots=True, kw_only=not ours.__match_args__
    )


def arguments(ours: type[Any], seed: int) -> dict[str, object]:
    """A value for every field that must have one, and for every second of the others."""
    required = dataclasses.MISSING
    return {
        one.name: (one.name, seed)
        for number, one in enumerate(dataclasses.fields(ours))
        if (one.default is required and one.default_factory is required) or number % 2
    }


def is_dataclass(held: object) -> bool:
    """Not a type guard: what follows asks for more than that."""
    return dataclasses.is_dataclass(held)


def test_there_are_many() -> None:
    assert len(classes()) > 80


@pytest.mark.parametrize("ours", classes(), ids=lambda held: f"{held.__module__}.{held.__qualname__}")
def test_as_the_standard_library_has_it(ours: type[Any]) -> None:
    theirs = standard(ours)
    assert is_dataclass(ours)
    same = {"init", "repr", "compare", "kw_only", "name", "default", "default_factory"}
    for one, other in zip(dataclasses.fields(ours), dataclasses.fields(theirs), strict=True):
        assert {name: getattr(one, name) for name in same} == {name: getattr(other, name) for name in same}
    given = arguments(ours, 1)
    mine, other = ours(**given), theirs(**given)
    told = {name: getattr(mine, name) for name in ours.__slots__}
    assert told == {name: getattr(other, name) for name in ours.__slots__}
    if vars(ours)["__repr__"] is vars(Probe)["__repr__"]:  # it has none of its own
        assert repr(mine) == repr(other)
    assert ours.__match_args__ == theirs.__match_args__
    if "__eq__" in vars(ours):
        assert mine == ours(**given)
        assert mine != other
        if given:
            assert mine != ours(**arguments(ours, 2))
    assert dataclasses.replace(mine, **given).__class__ is ours
    with pytest.raises(TypeError):
        ours(**given, no_such_field=1)


def test_what_is_frozen_stays_so() -> None:
    probe = Probe(path="/lib/a", origin="RUNPATH")
    with pytest.raises(dataclasses.FrozenInstanceError):
        probe.path = "/lib/b"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del probe.path
    with pytest.raises((AttributeError, TypeError)):
        probe.other = 1  # type: ignore[attr-defined]
    assert hash(probe) == hash(Probe(path="/lib/a", origin="RUNPATH"))


def test_copies_and_pickles() -> None:
    need = Need(kind="symbol", name="puts", by="/app", evidence=Evidence(file="/app", offset=4))
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(need, protocol)) == need  # noqa: S301 - made here
    assert copy.deepcopy(need) == copy.copy(need) == need
    assert dataclasses.asdict(need)["evidence"] == {"file": "/app", "section": "", "offset": 4}
    assert records.replace(need, name="gets") == dataclasses.replace(need, name="gets") != need


def test_defaults_that_are_made_are_made_for_each() -> None:
    @records.dataclass(slots=True)
    class Held:
        names: list[str] = records.field(default_factory=list)

    one, other = Held(), Held()
    one.names.append("x")
    assert other.names == []
    with pytest.raises(TypeError):
        hash(one)


def test_a_class_of_the_standard_library_can_be_made_of_one() -> None:
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Longer(Probe):
        why: str = ""

    longer = Longer(path="/lib/a", origin="RUNPATH", why="because")
    assert (longer.path, longer.outcome, longer.why) == ("/lib/a", "not found", "because")
    assert dataclasses.asdict(longer)["why"] == "because"
    assert [one.name for one in dataclasses.fields(Probe)] == ["path", "origin", "outcome"]


def test_positions_and_keywords() -> None:
    remedy = Remedy(title="t", applicability="manual")
    assert remedy.proved is False
    with pytest.raises(TypeError):
        Remedy("t", "manual")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Probe(path="/lib/a")  # type: ignore[call-arg]


def test_what_is_not_supported_is_refused() -> None:
    with pytest.raises(TypeError, match="no slots"):
        records.dataclass(slots=False)(type("Bare", (), {"__annotations__": {}}))
    with pytest.raises(TypeError, match="__post_init__"):
        records.dataclass(slots=True)(type("Late", (), {"__annotations__": {}, "__post_init__": lambda _: None}))


def test_a_check_does_without_the_standard_ones() -> None:
    program = "import sys; from runworthy.cli import main; main(sys.argv[1:]); sys.exit('dataclasses' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program, "check", "-q", sys.executable, "--on", "debian:12"], check=False
    )
    assert done.returncode == 0
