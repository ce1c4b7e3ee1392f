"""Deflated bytes at any offset, without keeping them: zlib's state is noted on the way, and taken up again.

A state is some 40 KiB, its window (RFC 1951) the most of it. They are noted each MiB at first, then at growing
distances, so that a file of 4 GiB has a thousand of them. The blocks read last are kept for the whole archive.
"""

from __future__ import annotations

import errno
import zlib
from bisect import bisect_right
from collections import OrderedDict
from typing import Any, Final

from runworthy.formats.archive.unreadable import damaged
from runworthy.formats.content import Content

__all__ = ["RAW", "WITH_HEADER", "Blocks", "Inflated"]

RAW: Final = -15
"""Bare deflate data, as in zip archives."""
WITH_HEADER: Final = 31
"""Members of gzip, one or more after another (RFC 1952)."""

_BLOCK: Final = 1 << 18
_CACHE: Final = 32 << 20
_FED: Final = 1 << 16
_HEAD: Final = 512
_WHOLE: Final = 1 << 12
_NEAR: Final = 1 << 20
_SHARE: Final = 256
_MAGIC: Final = b"\x1f\x8b"
_ENDLESS: Final = 1 << 62


class Blocks:
    """The blocks of all members of an archive that were read last, of bounded size together."""

    __slots__ = ("_held", "_last", "_room")

    def __init__(self, room: int = _CACHE) -> None:
        self._held: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._room = room
        self._last = 0

    def key(self) -> int:
        """Return a number that no other member has."""
        self._last += 1
        return self._last

    def get(self, key: tuple[int, int]) -> bytes | None:
        """Return a block, None where it is not at hand."""
        data = self._held.get(key)
        if data is not None:
            self._held.move_to_end(key)
        return data

    def put(self, key: tuple[int, int], data: bytes) -> None:
        """Keep a block, and let go of those that were not asked for the longest time."""
        held = self._held.pop(key, b"")
        self._held[key] = data
        self._room -= len(data) - len(held)
        while self._room < 0 and len(self._held) > 1:
            self._room += len(self._held.popitem(last=False)[1])


class _State:
    """Where inflating has come to: ``out`` bytes came of what lies before ``at``."""

    __slots__ = ("at", "checksum", "decoder", "out")

    def __init__(self, decoder: Any, at: int = 0, out: int = 0, checksum: int = 0) -> None:  # noqa: ANN401 - zlib's own
        self.decoder = decoder
        self.at = at
        self.out = out
        self.checksum = checksum

    def copy(self) -> _State:
        return _State(self.decoder.copy(), self.at, self.out, self.checksum)


class Inflated:
    """What ``packed`` inflates to.

    ``size`` is what is declared, None where nobody knows until the end is reached. ``checksum`` is the CRC-32 that all
    of it should have. ``limit`` is how many bytes may come out where the size is not declared.
    """

    __slots__ = (
        "_at_hand", "_blocks", "_checksum", "_ended", "_form", "_head", "_key", "_limit", "_now", "_packed", "_states",
        "size",
    )  # fmt: skip

    def __init__(
        self,
        packed: Content,
        blocks: Blocks,
        form: int,
        *,
        size: int | None = None,
        checksum: int | None = None,
        limit: int = _ENDLESS,
    ) -> None:
        self.size = _ENDLESS if size is None else size
        self._packed = packed
        self._blocks = blocks
        self._key = blocks.key()
        self._form = form
        self._checksum = checksum
        self._limit = limit
        self._ended = size is not None
        self._states: list[_State] = []
        self._now: _State | None = None
        self._at_hand = (-1, b"")
        self._head: bytes | None = None

    def pread(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``offset``.

        Raises OSError: EBADMSG for damaged data, EFBIG for more than the limit.
        """
        count = min(count, self.size - offset)
        if offset < 0 or count <= 0:
            return b""
        first, last = offset // _BLOCK, (offset + count - 1) // _BLOCK
        begin = offset - first * _BLOCK
        if offset + count <= _HEAD and self._now is None and self.size > _WHOLE:
            head = self._beginning()
            if len(head) >= offset + count:
                return head[offset : offset + count]
        if first == last:
            return self._block(first)[begin : begin + count]
        data = b"".join([self._block(number) for number in range(first, last + 1)])
        return data[begin : begin + count]

    def end(self) -> int:
        """Return how many bytes there are in all, inflating what nobody has asked for yet. Raises OSError."""
        number = self._now.out // _BLOCK if self._now is not None else 0
        while not self._ended:
            self._block(number)
            number += 1
        return self.size

    def close(self) -> None:
        """Let go of what was noted; a later read notes it again."""
        self._states.clear()
        self._now = self._head = None
        self._at_hand = (-1, b"")

    def _beginning(self) -> bytes:
        """Return the first bytes, if little has to be inflated for them: of most members nothing else is asked for."""
        if self._head is None:
            try:
                self._head = self._decoder().decompress(self._packed.pread(0, 2 * _HEAD), _HEAD)
            except zlib.error:
                self._head = b""
        return self._head

    def _block(self, number: int) -> bytes:
        if self._at_hand[0] == number:
            return self._at_hand[1]
        data = self._blocks.get((self._key, number))
        if data is None:
            data = self._inflate(number)
        self._at_hand = number, data
        return data

    def _inflate(self, number: int) -> bytes:
        """Return a block by inflating up to it from where that was noted last. Raises OSError."""
        start = number * _BLOCK
        state = self._now
        if state is None or state.out > start or start - state.out > _NEAR:
            at = bisect_right(self._states, start, key=lambda one: one.out) - 1
            if at >= 0 and (state is None or state.out > start or self._states[at].out > state.out):
                state = self._states[at].copy()
            elif state is None or state.out > start:
                state = _State(self._decoder())
        self._now = None  # until it is known to be sound
        data = b""
        while state.out <= start:
            self._note(state)
            here = state.out // _BLOCK
            data = self._next(state)
            if data:
                self._blocks.put((self._key, here), data)
            if len(data) < _BLOCK:
                break
        found = data if state.out > start else b""
        if len(data) == _BLOCK:
            self._now = state
        return found

    def _note(self, state: _State) -> None:
        last = self._states[-1].out if self._states else 0
        if state.out >= last + max(_NEAR, last // _SHARE):
            self._states.append(state.copy())

    def _next(self, state: _State) -> bytes:
        """Return the next block, a shorter one at the end. Raises OSError."""
        wanted = min(_BLOCK, self.size - state.out)
        parts: list[bytes] = []
        while wanted > 0:
            piece = self._piece(state, wanted)
            if piece is None:
                break
            if piece:
                parts.append(piece)
                wanted -= len(piece)
                state.out += len(piece)
                state.checksum = zlib.crc32(piece, state.checksum)
        if state.out > self._limit:
            raise OSError(errno.EFBIG, f"unpacks to more than {self._limit} bytes")
        if wanted > 0:
            self._reached(state)
        elif state.out == self.size and self._checksum is not None:
            self._verify(state)
        return b"".join(parts)

    def _piece(self, state: _State, wanted: int) -> bytes | None:
        """Return what comes out next, at most ``wanted`` bytes, nothing where more has to go in; None at the end."""
        decoder = state.decoder
        if decoder.eof and not self._another(state):
            return None
        decoder = state.decoder
        fed = decoder.unconsumed_tail
        if not fed:
            fed = self._packed.pread(state.at, _FED)
            state.at += len(fed)
        try:
            piece: bytes = decoder.decompress(fed, wanted)
        except zlib.error as error:
            damaged(f"its deflated data is damaged ({error})")
        if not piece and not fed and not decoder.eof:
            damaged("its deflated data ends too early")
        return piece

    def _another(self, state: _State) -> bool:
        """Whether another member of gzip follows the one that has ended; what else follows is padding."""
        if self._form != WITH_HEADER:
            return False
        state.at -= len(state.decoder.unused_data)
        if self._packed.pread(state.at, 2) != _MAGIC:
            return False
        state.decoder = self._decoder()
        return True

    def _reached(self, state: _State) -> None:
        """Take note of the end. Raises OSError where it comes before the size that was declared."""
        if self._ended and state.out != self.size:
            damaged(f"its deflated data holds {state.out} bytes, not {self.size}")
        self.size = state.out
        self._ended = True

    def _verify(self, state: _State) -> None:
        if state.checksum != self._checksum:
            damaged("its deflated data does not have the checksum that the archive tells")
        self._checksum = None
        if (
            not state.decoder.eof
            and self._form == RAW
            and state.decoder.decompress(state.decoder.unconsumed_tail + self._packed.pread(state.at, _FED), 1)
        ):
            damaged(f"its deflated data holds more than {self.size} bytes")

    def _decoder(self) -> Any:  # noqa: ANN401 - zlib names no type
        return zlib.decompressobj(self._form)
