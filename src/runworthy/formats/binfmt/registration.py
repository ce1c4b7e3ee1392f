"""The line by which a handler is registered: ``:name:type:offset:magic:mask:interpreter:flags``.

Source: Linux ``fs/binfmt_misc.c`` (create_entry, scanarg, check_special_flags, bm_register_write),
``lib/string_helpers.c`` (string_unescape with UNESCAPE_HEX), ``lib/kstrtox.c`` (kstrtoint). The kernel works on a copy
of the line with eight more delimiters behind it, in which a field ends at the next delimiter. So does this, because
what follows from it (for a line without its last delimiters) is then the same.
"""

from __future__ import annotations

import errno

from runworthy.model.binfmt import HEAD_SIZE, Handler
from runworthy.model.errors import FormatError
from runworthy.model.records import replace

__all__ = ["RegistrationError", "format_registration", "parse_registration"]

_SHORTEST = 11
_LONGEST = 1920
"""MAX_REGISTER_LENGTH, in bytes."""
_NAME_MAX = 255
_INT_MAX = (1 << 31) - 1
_PADDING = 8
_FLAGS = b"POCF"
_ALWAYS_THERE = ("register", "status")
_HEX = b"0123456789abcdefABCDEF"
_DIGITS = b"0123456789"
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PLAIN = _DIGITS + _LETTERS + b"!#$%&'()*+,-./:;<=>?@[]^_`{|}~"
# A newline and the flags cannot be told from what may follow the last delimiter; a backslash begins an escape.
_DELIMITERS = b":,;|#!@%^~+=&*?$.-_/<>()[]{}'\"` " + bytes(
    one for one in (_LETTERS + _DIGITS + bytes(range(1, 256)) + b"\0") if one not in b"\n\\" + _FLAGS
)


class RegistrationError(FormatError):
    """The kernel refuses a registration: with ``errno``, whose name begins the message, for breaking ``rule``."""

    def __init__(self, number: int, rule: str, *, path: str = "", offset: int | None = None) -> None:
        super().__init__(f"{errno.errorcode[number]}: {rule}", path=path, offset=offset)
        self.errno = number
        self.rule = rule

    def at(self, path: str) -> FormatError:
        """Return the same error with the path filled in, where the reader did not know it."""
        return self if self.path else RegistrationError(self.errno, self.rule, path=path, offset=self.offset)


def parse_registration(line: bytes, origin: str = "") -> Handler:
    """Return the handler that one write of ``line`` to ``register`` adds. Raises RegistrationError.

    What depends on the machine is not asked: whether a handler of that name is there already (EEXIST), and with the
    flag F whether the interpreter can be opened. Text is UTF-8, other bytes of it are surrogates (os.fsdecode).
    """
    if not _SHORTEST <= len(line) <= _LONGEST:
        raise _invalid(f"a registration has {_SHORTEST} to {_LONGEST} bytes, this one {len(line)}")
    if line[0] in _FLAGS:
        # Linux 6.18.44 does ("reject a flag character as the field delimiter"); older ones take it before a newline.
        raise _invalid("the delimiter is one of the flags P, O, C and F", 0)
    fields = _Fields(line)
    name = fields.plain("name")
    if not name or name in (b".", b"..") or b"/" in name:
        raise _invalid("the name is a file's name: not empty, not . or .., without a slash", 1)
    read = _magic if fields.kind() == b"M" else _extension
    handler = replace(read(fields), name=_text(name), origin=origin)
    place = fields.position
    interpreter = fields.plain("interpreter")
    if not interpreter:
        raise _invalid("the interpreter is missing", place)
    handler = replace(handler, interpreter=_text(interpreter), flags=fields.flags())
    if len(name) > _NAME_MAX:
        raise RegistrationError(errno.ENAMETOOLONG, f"the name has {len(name)} bytes, more than {_NAME_MAX}", offset=1)
    if handler.name in _ALWAYS_THERE:
        raise RegistrationError(errno.EEXIST, f"{handler.name} is a file of binfmt_misc itself", offset=1)
    return handler


class _Fields:
    """A line in the kernel's buffer, read from left to right."""

    __slots__ = ("buffer", "delimiter", "end", "position")

    def __init__(self, line: bytes) -> None:
        self.delimiter = line[:1]
        self.end = len(line)
        # A last byte that is neither flag nor newline stands for whatever lies behind the kernel's buffer.
        self.buffer = line + self.delimiter * _PADDING + b"\xff"
        self.position = 1

    def plain(self, what: str) -> bytes:
        """Return the bytes up to the next delimiter, as strchr finds it: not behind a NUL."""
        start = self.position
        end = self.buffer.find(self.delimiter, start)
        if end < 0 or self.buffer.find(b"\0", start, end) >= 0:
            raise _invalid(f"the {what} does not end in a delimiter", start)
        self.position = end + 1
        return self.buffer[start:end]

    def kind(self) -> bytes:
        """Return the type, E or M."""
        start = self.position
        found = self.buffer[start : start + 1]
        if found not in (b"E", b"M"):
            raise _invalid("the type is neither E nor M", start)
        if self.buffer[start + 1 : start + 2] != self.delimiter:
            raise _invalid("the type does not end in a delimiter", start + 1)
        self.position = start + 2
        return found

    def escaped(self, what: str) -> bytes:
        """Return the bytes up to the next delimiter that is not part of an escape (scanarg)."""
        start = position = self.position
        while (one := self.buffer[position : position + 1]) != self.delimiter:
            position += 1
            if one == b"\\" and self.buffer[position : position + 1] == b"x":
                digits = self.buffer[position + 1 : position + 3]
                if len(digits) < 2 or any(digit not in _HEX for digit in digits):
                    raise _invalid(f"\\x stands before two hexadecimal digits in the {what}", position - 1)
                position += 3
            if position >= len(self.buffer):
                raise _invalid(f"the {what} does not end in a delimiter", start)
        self.position = position + 1
        return self.buffer[start:position]

    def flags(self) -> str:
        """Return the flags in the kernel's order, C with the O it brings. Nothing but one newline may follow them."""
        start = position = self.position
        while self.buffer[position] in _FLAGS:
            position += 1
        held = set(self.buffer[start:position])
        if self.buffer[position] == ord("\n"):
            position += 1
        if position < self.end:
            raise _invalid("after the flags, which are of P, O, C and F, nothing but one newline may stand", position)
        if position > self.end:
            raise _invalid("the delimiter before the flags is missing, or is a newline", self.end)
        if ord("C") in held:
            held.add(ord("O"))
        return "".join(chr(flag) for flag in _FLAGS if flag in held)


def _magic(fields: _Fields) -> Handler:
    """Return what a line of type M tells of offset, magic and mask."""
    place = fields.position
    offset = _number(fields.plain("offset"))
    if offset is None:
        raise _invalid("the offset is no decimal number from 0 on", place)
    place = fields.position
    written = fields.escaped("magic")
    if not written or written[0] == 0:
        raise _invalid("the magic is missing", place)
    magic, place = _unescaped(written), fields.position
    written = fields.escaped("mask")
    mask = b"" if not written or written[0] == 0 else _unescaped(written)
    if mask and len(mask) != len(magic):
        raise _invalid(f"the mask has {len(mask)} bytes, the magic {len(magic)}", place)
    if offset + len(magic) > HEAD_SIZE:
        raise _invalid(f"the magic ends behind the first {HEAD_SIZE} bytes of a file", place)
    return Handler(name="", interpreter="", magic=magic, mask=mask, offset=offset)


def _extension(fields: _Fields) -> Handler:
    """Return what a line of type E tells; its offset and mask are passed over."""
    fields.plain("offset")
    place = fields.position
    extension = fields.plain("extension")
    if not extension or b"/" in extension:
        raise _invalid("the extension is missing, or has a slash", place)
    fields.plain("mask")
    return Handler(name="", interpreter="", extension=_text(extension))


def _number(text: bytes) -> int | None:
    """Return what kstrtoint makes of an offset, None where it refuses or the number is negative. Nothing is zero."""
    if not text:
        return 0
    digits = text.removesuffix(b"\n")
    negative = digits.startswith(b"-")
    digits = digits[1:] if digits[:1] in (b"+", b"-") else digits
    if not digits or digits.strip(_DIGITS):
        return None
    number = int(digits)
    return None if number > _INT_MAX or (negative and number) else number


def _unescaped(written: bytes) -> bytes:
    """Return the bytes that string_unescape makes, up to the first NUL. Other backslashes keep the byte behind them."""
    written = written.partition(b"\0")[0]
    made = bytearray()
    position = 0
    while position < len(written):
        one = written[position : position + 2]
        if one == b"\\x":
            made.append(int(written[position + 2 : position + 4], 16))
            position += 4
        elif one[:1] == b"\\":
            made += one
            position += 2
        else:
            made += one[:1]
            position += 1
    return bytes(made)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _invalid(rule: str, offset: int | None = None) -> RegistrationError:
    return RegistrationError(errno.EINVAL, rule, offset=offset)


# -- writing ---------------------------------------------------------------------------------


def format_registration(handler: Handler) -> bytes:
    """Return a line, without a newline, that registers the handler. Raises RegistrationError where none does.

    Magic and mask are written with escapes for all that is no plain ASCII, or with few where that would be too long.
    The delimiter is a colon, else a byte that is in none of the fields.
    """
    if "\0" in handler.name + handler.extension + handler.interpreter:
        raise _invalid("a name, an extension and an interpreter have no NUL")
    if (handler.magic and handler.extension) or (handler.mask and not handler.magic):
        raise _invalid("a handler has a magic or an extension, and a mask only with a magic")
    refusal: RegistrationError | None = None
    for frugal in (False, True):
        line = _line(handler, frugal=frugal)
        try:
            if _registered(parse_registration(line)) == _registered(handler):
                return line
        except RegistrationError as error:
            refusal = refusal or error
    raise refusal or _invalid("the handler is none that a line can say, such as one with its flags in another order")


def _registered(handler: Handler) -> tuple[object, ...]:
    """Return what a registration says of a handler."""
    told = (handler.name, handler.interpreter, handler.magic, handler.mask, handler.offset, handler.extension)
    return *told, handler.flags


def _line(handler: Handler, *, frugal: bool) -> bytes:
    """Return the line, ``frugal`` with bytes instead of escapes wherever the kernel takes them."""
    texts = tuple(map(_bytes, (handler.name, handler.extension, handler.interpreter)))
    taken = b"".join(texts)
    free = [one for one in _DELIMITERS if one not in taken]
    delimiter = min(free, key=(handler.magic + handler.mask).count) if frugal else free[0]
    plain = _PLAIN if not frugal else bytes(one for one in range(1, 256) if one != ord("\\"))

    def written(raw: bytes) -> bytes:
        return b"".join(bytes((one,)) if one in plain and one != delimiter else b"\\x%02x" % one for one in raw)

    name, extension, interpreter = texts
    offset = b"%d" % handler.offset if handler.offset else b""
    kind = (b"E", extension) if handler.extension else (b"M", written(handler.magic))
    fields = (name, kind[0], offset, kind[1], written(handler.mask), interpreter, _bytes(handler.flags))
    return b"".join(bytes((delimiter,)) + field for field in fields)
