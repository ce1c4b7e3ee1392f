"""Data classes whose methods are made when they are first used.

A start of the program defines some sixty data classes, and the standard decorator compiles six functions for each:
a third of the time that a start takes. These are the same to whoever uses them and to type checkers, who are shown the
standard ones; ``fields``, ``asdict`` and ``replace`` of :mod:`dataclasses` take them. There is what this package uses
and no more: every class has slots, and none has a ``__post_init__``.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass, field, replace

__all__ = ["dataclass", "field", "replace"]

_MISSING = object()


class _Factory:
    """The default of a field that is made anew for each instance."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


def _dataclass(*, slots: bool, frozen: bool = False, kw_only: bool = False, eq: bool = True) -> Callable[[type], type]:
    """As ``dataclasses.dataclass``. Raises TypeError for what is not supported."""

    def make(body: type) -> type:
        if not slots or hasattr(body, "__post_init__"):
            raise TypeError(f"{body.__qualname__} has no slots, or a __post_init__")
        names = tuple(body.__annotations__)
        own = {name: value for name, value in body.__dict__.items() if name not in ("__dict__", "__weakref__")}
        defaults = {name: own.pop(name) for name in names if name in own}
        methods = {
            "__repr__": _repr,
            "__replace__": _replace,
            **(_FROZEN if frozen else {}),
            **(_EQUAL[frozen] if eq else {}),
            **own,
        }
        places = {"__slots__": names, "__match_args__": () if kw_only else names}
        made = type(body)(body.__name__, body.__bases__, methods | places)
        made.__qualname__ = body.__qualname__
        made.__init__ = _init(made, defaults, frozen=frozen, kw_only=kw_only)  # type: ignore[misc]
        standard = _Standard(made, defaults, frozen=frozen, kw_only=kw_only, eq=eq)
        made.__dataclass_fields__ = _Late(standard, "__dataclass_fields__")  # type: ignore[attr-defined]
        made.__dataclass_params__ = _Late(standard, "__dataclass_params__")  # type: ignore[attr-defined]
        return made

    return make


def _field(*, default_factory: Callable[[], Any]) -> _Factory:
    """As ``dataclasses.field``."""
    return _Factory(default_factory)


def _replace(held: Any, /, **changes: Any) -> Any:
    """As ``dataclasses.replace``."""
    return held.__class__(**{name: getattr(held, name) for name in held.__slots__} | changes)


# -- what is made at first use ---------------------------------------------------------------


def _init(made: type, defaults: dict[str, Any], *, frozen: bool, kw_only: bool) -> Callable[..., None]:
    """Return an ``__init__`` that puts the real one in its place at its first call."""

    def __init__(self: Any, *values: Any, **named: Any) -> None:  # noqa: N807
        real = made.__init__ = _compiled(made, defaults, frozen=frozen, kw_only=kw_only)  # type: ignore[misc]
        real(self, *values, **named)

    return __init__


def _compiled(made: Any, defaults: dict[str, Any], *, frozen: bool, kw_only: bool) -> Callable[..., None]:
    """Return the ``__init__`` of a class: one assignment for each field, past ``__setattr__`` where that is closed."""
    known: dict[str, Any] = {"MISSING": _MISSING}
    signature = ["self", *(["*"] if kw_only and made.__slots__ else [])]
    lines = []
    for name in made.__slots__:
        value = name
        default = defaults.get(name, _MISSING)
        if isinstance(default, _Factory):
            known[f"make_{name}"], default = default.make, _MISSING
            value = f"make_{name}() if {name} is MISSING else {name}"
            signature.append(f"{name}=MISSING")
        elif default is _MISSING:
            signature.append(name)
        else:
            known[f"default_{name}"] = default
            signature.append(f"{name}=default_{name}")
        if frozen:
            known[f"set_{name}"] = getattr(made, name).__set__
            lines.append(f" set_{name}(self, {value})")
        else:
            lines.append(f" self.{name} = {value}")
    text = "\n".join([f"def __init__({', '.join(signature)}):", *(lines or [" pass"])])
    exec(text, known)  # noqa: S102 - the names are those of a class body of this package
    init: Callable[..., None] = known["__init__"]
    return init


class _Standard:
    """What the standard library would have made of a class, for whoever asks in its way."""

    __slots__ = ("_defaults", "_made", "_options")

    def __init__(self, made: type, defaults: dict[str, Any], **options: Any) -> None:
        self._made = made
        self._defaults = defaults
        self._options = options

    def get(self, name: str) -> Any:
        from dataclasses import field as standard_field
        from dataclasses import make_dataclass

        def standard(name: str) -> Any:
            default = self._defaults.get(name, _MISSING)
            if default is _MISSING:
                return standard_field()
            if isinstance(default, _Factory):
                return standard_field(default_factory=default.make)
            return standard_field(default=default)

        rows = [(name, kind, standard(name)) for name, kind in self._made.__annotations__.items()]
        return vars(make_dataclass(self._made.__name__, rows, **self._options))[name]


class _Late:
    """An attribute of a class that is made when somebody asks for it, and once."""

    __slots__ = ("_name", "_standard")

    def __init__(self, standard: _Standard, name: str) -> None:
        self._standard = standard
        self._name = name

    def __get__(self, instance: object, owner: type) -> Any:
        found = self._standard.get(self._name)
        if self in vars(owner).values():  # a class that was made of this one has its own
            setattr(owner, self._name, found)
        return found


# -- methods that are the same for all -------------------------------------------------------


def _values(held: Any) -> Any:
    """Return the values of the fields, as one that can be compared and hashed."""
    return _getter(held.__class__)(held)


def _getter(made: Any) -> Callable[[Any], Any]:
    held: Callable[[Any], Any] | None = _GETTERS.get(made)
    if held is None:
        held = _GETTERS[made] = attrgetter(*made.__slots__) if made.__slots__ else lambda _: ()
    return held


_GETTERS: dict[type, Callable[[Any], Any]] = {}


def _repr(self: Any) -> str:
    return f"{self.__class__.__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__slots__)})"


def _eq(self: Any, other: object) -> bool:
    return _values(self) == _values(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _closed(self: Any, name: str, *_: object) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to or delete field {name!r} of {self.__class__.__qualname__}")


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, name) for name in self.__slots__]


def _setstate(self: Any, state: list[Any]) -> None:
    for name, value in zip(self.__slots__, state, strict=True):
        object.__setattr__(self, name, value)


_EVERY = {"__repr__": _repr, "__replace__": _replace}
_FROZEN = {"__setattr__": _closed, "__delattr__": _closed, "__getstate__": _getstate, "__setstate__": _setstate}
_EQUAL: dict[bool, dict[str, Any]] = {
    False: {"__eq__": _eq, "__hash__": None},
    True: {"__eq__": _eq, "__hash__": _hash},
}

if not TYPE_CHECKING:
    dataclass, field, replace = _dataclass, _field, _replace
