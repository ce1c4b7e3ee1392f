"""Machine facts as a snapshot holds them: the fields of :class:`MachineFacts` by name, as JSON."""

from __future__ import annotations

from typing import Any, TypeVar

from runworthy.model.host import BinfmtEntry, BinfmtMisc, Gpu, MachineFacts, Mount

__all__ = ["machine_of_json"]

T = TypeVar("T")
_UNTOLD = "the snapshot does not say whether binfmt_misc was mounted elsewhere"
_STATUS = ("enabled", "disabled", "absent", "unreadable")


def machine_of_json(told: Any) -> MachineFacts:  # noqa: ANN401 - JSON is of any type until it has been looked at
    """Return the machine that ``dataclasses.asdict`` made ``told`` of. Raises KeyError, TypeError, ValueError."""
    mounts = told["mounts"]
    return MachineFacts(
        arch=_of(str, told["arch"]),
        kernel=_of(str, told["kernel"]),
        level=_within(told["level"], 4),
        cpu_flags=_texts(told["cpu_flags"]),
        page_size=_within(told["page_size"], 1 << 24),
        binfmt=_binfmt(told["binfmt"]),
        mounts=None if mounts is None else tuple(map(_mount, mounts)),
        gpus=tuple(Gpu(**{key: _of(str, one[key]) for key in Gpu.__dataclass_fields__}) for one in told["gpus"]),
        nvidia_driver=_of(str, told["nvidia_driver"]),
        os_release=_of(str, told["os_release"]),
    )


def _binfmt(told: Any) -> BinfmtMisc:  # noqa: ANN401 - as above
    if told["status"] not in _STATUS:
        raise ValueError
    entries = tuple(
        BinfmtEntry(name=_of(str, one["name"]), text=None if one["text"] is None else _of(str, one["text"]))
        for one in told["entries"]
    )
    return BinfmtMisc(
        status=told["status"],
        entries=entries,
        point=_of(str, told.get("point", BinfmtMisc().point)),
        unknown=_of(str, told.get("unknown", _UNTOLD if told["status"] == "absent" else "")),
    )


def _mount(told: Any) -> Mount:  # noqa: ANN401 - as above
    return Mount(
        point=_of(str, told["point"]),
        fstype=_of(str, told["fstype"]),
        options=_texts(told["options"]),
        super_options=_texts(told["super_options"]),
    )


def _of(kind: type[T], value: object) -> T:
    if not isinstance(value, kind):
        raise TypeError
    return value


def _texts(value: object) -> tuple[str, ...]:
    return tuple(_of(str, one) for one in _of(list, value))


def _within(value: object, limit: int) -> int:
    number = _of(int, value)
    if not 0 <= number <= limit:
        raise ValueError
    return number
