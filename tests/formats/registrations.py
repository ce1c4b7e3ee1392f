"""Lines that are written to binfmt_misc's `register`: by hand, one for each rule, and made by the thousand.

The errno of a row is what Linux 6.18 said; tests/differential/test_binfmt_registration.py asks the kernel at hand.
"""

import random
from collections.abc import Iterator

LONG = b"/" + b"i" * 1000

ROWS: tuple[tuple[str, bytes], ...] = (
    # accepted
    ("", b":APE:M::MZqFpD::/bin/true:FP"),
    ("", b":plain:M::MZ::/bin/true:"),
    ("", b":newline:M::MZ::/bin/true:\n"),
    ("", b":flags-newline:M::MZ::/bin/true:PO\n"),
    ("", b",comma,M,,MZ,,/bin/true,"),
    ("", b"#hash#M##MZ##/bin/true#"),
    ("", b"/slash/M//MZ//true/"),
    ("", b"\0nul\0M\0\0MZ\0\0/bin/true\0"),
    ("", b"\xffhigh\xffM\xff\xffMZ\xff\xff/bin/true\xff"),
    ("", b"E1EEE0Eext0E0E/bin/truE"),
    ("", b"M1MMM0MabMM/bin/trueM"),
    ("", b"x1xMx0x\\x41\\x42xx/bin/truex"),
    ("", b"414M44\\x41\\x4244/bin/true4"),
    ("", b":o:M:0:MZ::/bin/true:"),
    ("", b":o:M:254:MZ::/bin/true:"),
    ("", b":o:M:+7:MZ::/bin/true:"),
    ("", b":o:M:-0:MZ::/bin/true:"),
    ("", b":o:M:7\n:MZ::/bin/true:"),
    ("", b":o:M:" + b"0" * 400 + b"9:MZ::/bin/true:"),
    ("", b":m:M::\\x7fELF\\x02\\x01\\x01\\x00:\\xff\\xff\\xff\\xff\\xff\\xfe\\xfe\\x00:/bin/true:OC"),
    ("", b":m:M::\\x00\\x00::/bin/true:"),
    ("", b":m:M::" + b"a" * 256 + b"::/bin/true:"),
    ("", b":m:M::" + b"a" * 256 + b":" + b"\xff" * 256 + b":/bin/true:"),
    ("", b":m:M::\\n\\t\\\\::/bin/true:"),
    ("", b":m:M::\\\\\\x41\\q::/bin/true:"),
    ("", b":m:M::\\\\x41::/bin/true:"),
    ("", b":m:M::\\X41::/bin/true:"),
    ("", b":m:M::MZ\\::/bin/true:"),
    ("", b":m:M::MZ\0ignored::/bin/true:"),
    ("", b":m:M::MZ:\0ignored:/bin/true:"),
    ("", b":m:M::MZ:\xff\xf0\0ignored:/bin/true:"),
    ("", b":m:M::M\nZ::/bin/true:"),
    ("", b":e:E::exe::/bin/true:"),
    ("", b":e:E:nonsense:exe:nonsense:/bin/true:P"),
    ("", b":e:E::tar.gz::/bin/true:"),
    ("", b":e:E::.exe::/bin/true:"),
    ("", b":e:E::\\x41::/bin/true:"),
    ("", b":i:M::MZ::relative:"),
    ("", b":i:M::MZ::/nonexistent:"),
    ("", b":i:M::MZ::/bin:"),
    ("", b":i:M::MZ::/two words:"),
    ("", b":i:M::MZ::/line\nbreak:"),
    ("", b":i:M::MZ::/carriage\rreturn:"),
    ("", b":i:M::MZ::" + LONG + b":"),
    ("", b":f:M::MZ::/bin/true:POCFFPOC"),
    ("", b":" + b"n" * 255 + b":M::MZ::/bin/true:"),
    ("", b":two words:M::MZ::/bin/true:"),
    ("", b":line\nbreak:M::MZ::/bin/true:"),
    ("", b":\xff\xfe:M::MZ::/bin/true:"),
    ("", ":größe:M::MZ::/bin/true:".encode()),
    ("", b":...:M::MZ::/bin/true:"),
    ("", b":a:M::M::/:"),
    ("", b":a:M::M::/" + b"i" * 1909 + b":"),
    # refused
    ("EINVAL", b""),
    ("EINVAL", b"\n"),
    ("EINVAL", b":a:M::M:::"),
    ("EINVAL", b":a:M::M::/" + b"i" * 1910 + b":"),
    ("EINVAL", b":a:M::MZ::/bin/true"),
    ("EINVAL", b":a:M::MZ:/bin/true:"),
    ("EINVAL", b":a:M:MZ::/bin/true:"),
    ("EINVAL", b":a:M::MZ::/bin/true:\n\n"),
    ("EINVAL", b":a:M::MZ::/bin/true:\r\n"),
    ("EINVAL", b":a:M::MZ::/bin/true: "),
    ("EINVAL", b":a:M::MZ::/bin/true:p"),
    ("EINVAL", b":a:M::MZ::/bin/true:X"),
    ("EINVAL", b":a:M::MZ::/bin/true:P:"),
    ("EINVAL", b":a:M::MZ::/bin/true:\0"),
    ("EINVAL", b":a:M::MZ::/bin/true:\n:b:M::ZM::/bin/true:\n"),
    ("EINVAL", b"\na\nM\n\nMZ\n\n/bin/true\n"),
    ("EINVAL", b"PaPMPPMZPP/bin/trueP"),
    ("EINVAL", b"FaFMFFMZFF/bin/trueF"),
    ("EINVAL", b"OaOEOOexeOO/bin/trueOF"),
    ("EINVAL", b"\\a\\M\\\\\\x41\\\\/bin/true\\"),
    ("EINVAL", b" :a:M::MZ::/bin/true:"),
    ("EINVAL", b"::M::MZ::/bin/true:"),
    ("EINVAL", b":.:M::MZ::/bin/true:"),
    ("EINVAL", b":..:M::MZ::/bin/true:"),
    ("EINVAL", b":a/b:M::MZ::/bin/true:"),
    ("EINVAL", b":a\0b:M::MZ::/bin/true:"),
    ("EINVAL", b":a:m::MZ::/bin/true:"),
    ("EINVAL", b":a:B::MZ::/bin/true:"),
    ("EINVAL", b":a:MM::MZ::/bin/true:"),
    ("EINVAL", b":a:::MZ::/bin/true:"),
    ("EINVAL", b":a:M:-1:MZ::/bin/true:"),
    ("EINVAL", b":a:M:-+0:MZ::/bin/true:"),
    ("EINVAL", b":a:M:+:MZ::/bin/true:"),
    ("EINVAL", b":a:M: 1:MZ::/bin/true:"),
    ("EINVAL", b":a:M:1 :MZ::/bin/true:"),
    ("EINVAL", b":a:M:1\n\n:MZ::/bin/true:"),
    ("EINVAL", b":a:M:\n:MZ::/bin/true:"),
    ("EINVAL", b":a:M:0x1:MZ::/bin/true:"),
    ("EINVAL", b":a:M:1_0:MZ::/bin/true:"),
    ("EINVAL", b":a:M:one:MZ::/bin/true:"),
    ("EINVAL", b":a:M:1\0:MZ::/bin/true:"),
    ("EINVAL", b":a:M:255:MZ::/bin/true:"),
    ("EINVAL", b":a:M:2147483648:MZ::/bin/true:"),
    ("EINVAL", b":a:M:" + b"9" * 40 + b":MZ::/bin/true:"),
    ("EINVAL", b":a:M:::\xff:/bin/true:"),
    ("EINVAL", b":a:M::\0MZ::/bin/true:"),
    ("EINVAL", b":a:M::" + b"a" * 257 + b"::/bin/true:"),
    ("EINVAL", b":a:M::MZ:\xff:/bin/true:"),
    ("EINVAL", b":a:M::MZ:\xff\xff\xff:/bin/true:"),
    ("EINVAL", b":a:M::MZ:\\xff\\x0:/bin/true:"),
    ("EINVAL", b":a:M::\\x::/bin/true:"),
    ("EINVAL", b":a:M::\\x4::/bin/true:"),
    ("EINVAL", b":a:M::\\x4g::/bin/true:"),
    ("EINVAL", b":a:M::\\\\x4g::/bin/true:"),
    ("EINVAL", b":a:M::MZ\\x"),
    ("EINVAL", b":a:E:::exe:/bin/true:"),
    ("EINVAL", b":a:E::a/b::/bin/true:"),
    ("EINVAL", b":a:E::a\0b::/bin/true:"),
    ("EINVAL", b":a:M::MZ::::"),
    ("EINVAL", b":a:M::MZ::/bin\0/true:"),
    ("ENAMETOOLONG", b":" + b"n" * 256 + b":M::MZ::/bin/true:"),
    ("EEXIST", b":register:M::MZ::/bin/true:"),
    ("EEXIST", b":status:E::exe::/bin/true:"),
)

_NAMES = (b"a", b"qemu-aarch64", b"zz-ape", b"n" * 255, b"n" * 256, b"status", b"..", b"", b"\xff\xc3\xa4", b"a b")
_INTERPRETERS = (b"/bin/true", b"/bin/true", b"/nonexistent", b"/etc/passwd", b"/etc", b"true", b"", b"/bin/true/x")
_OFFSETS = (b"", b"", b"0", b"4", b"250", b"256", b"-0", b"-1", b"+3", b"08", b"1 ", b"9\n", b"4294967296")
_FLAGS = (b"", b"", b"P", b"F", b"OC", b"PF", b"CF", b"POCF", b"FP\n", b"\n", b"X", b"P ", b"P\r\n")
_DELIMITERS = b":::::::,;#|/xE4M\\P\0\xff \n"
_BYTES = b"MZ\x7fEL:\\x\\x41\\xfF\0\n\r ,/.4POCFa\xff\x80"


def generated(seed: int, number: int) -> Iterator[bytes]:
    """Yield so many lines: some as they should be, most with one thing wrong or odd."""
    chance = random.Random(seed)  # noqa: S311 - the same lines each time
    for _ in range(number):
        line = _line(chance)
        for _ in range(chance.choice((0, 0, 0, 1, 1, 2))):
            line = _mutated(chance, line)
        yield line[: chance.choice((1921, 1921, 1921, 1920, chance.randrange(1921)))]


def _line(chance: random.Random) -> bytes:
    delimiter = bytes((chance.choice(_DELIMITERS),))
    kind = chance.choice((b"M", b"M", b"M", b"E", b"E", b"m"))
    size = chance.choice((1, 2, 4, 4, 8, 20, 128, 256))
    magic = _pattern(chance, size)
    mask = chance.choice((b"", b"", _pattern(chance, size), _pattern(chance, size), _pattern(chance, size + 1)))
    if kind == b"E":
        magic = chance.choice((b"exe", b"exe", b"tar.gz", b"", b"a/b", b"\\x41", b"EXE", magic))
    name = _often(chance, b"handler", _NAMES)
    fields = (name, kind, _often(chance, b"", _OFFSETS), magic, mask, chance.choice(_INTERPRETERS))
    return b"".join(delimiter + field for field in (*fields, chance.choice(_FLAGS)))


def _often(chance: random.Random, usual: bytes, others: tuple[bytes, ...]) -> bytes:
    return usual if chance.random() < 0.6 else chance.choice(others)


def _pattern(chance: random.Random, size: int) -> bytes:
    """Return what stands for so many bytes: mostly escapes and letters, sometimes bytes as they are."""
    style = chance.randrange(4)
    made = b""
    for _ in range(size):
        one = chance.randrange(256)
        if style == 0 or (style == 1 and chance.random() < 0.5):
            made += b"\\x%02x" % one
        elif style == 3:
            made += bytes((chance.choice(_BYTES),))
        else:
            made += bytes((97 + one % 26,))
    return made


def _mutated(chance: random.Random, line: bytes) -> bytes:
    at = chance.randrange(len(line) + 1)
    some = bytes(chance.choice(_BYTES) for _ in range(chance.choice((1, 1, 2, 4))))
    start, end = sorted((at, chance.randrange(len(line) + 1)))
    return chance.choice(
        (
            line[:at] + some + line[at:],
            line[:at] + some + line[at + len(some) :],
            line[:at] + line[at + 1 :],
            line[:end] + line[start:],
            line[:start] + line[end:],
            line + some,
            some[:1] + line[1:],
        )
    )
