"""What a shim is made of: a few functions of glibc that can be said in a line or two of what every C library has.

Sources: glibc ``debug/*_chk.c`` (what each looks at before it does what its namesake does), ``stdlib/strtol_l.c``
(prefixes of C23), ``misc/sys/single_threaded.h``. A function that is more than its namesake with a look at a length is
not here. No header is asked for, so that one source serves every C library.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

__all__ = ["NAMES", "source"]

_HEAD = """\
/* Functions of glibc that this system's C library does not have, by way of those that it has. */
typedef __SIZE_TYPE__ size_t;
typedef __PTRDIFF_TYPE__ ssize_t;
typedef __builtin_va_list va_list;
typedef struct stream FILE;
"""

_OVERFLOW = r"""static void overflow(void)
{
	static const char said[] = "*** buffer overflow detected ***: terminated\n";
	write(2, said, sizeof said - 1);
	abort();
}"""
_BOUNDED = """\
/* Prints into size bytes, or ends the program. Sizes over INT_MAX, as of an unknown buffer, are refused by
   some C libraries. */
static int bounded(char *to, size_t size, const char *format, va_list list)
{
	if (!size)
		overflow();
	int length = vsnprintf(to, size > __INT_MAX__ ? __INT_MAX__ : size, format, list);
	if (length >= 0 && (size_t)length >= size)
		overflow();
	return length;
}"""
_BINARY = """\
/* Returns the digits after a sign in *minus and the prefix 0b of C23, 0 where there is no such prefix. */
static const char *binary(const char *text, int base, int *minus)
{
	if (base != 0 && base != 2)
		return 0;
	while (isspace((unsigned char)*text))
		text++;
	*minus = *text == '-';
	if (*text == '-' || *text == '+')
		text++;
	if (text[0] != '0' || (text[1] | 32) != 'b' || (text[2] != '0' && text[2] != '1'))
		return 0;
	return text + 2;
}
/* Reads digits up to most, and says whether there were more of them. */
static unsigned long long digits(const char *text, char **end, unsigned long long most, int *over)
{
	unsigned long long value = 0;
	for (*over = 0; *text == '0' || *text == '1'; text++) {
		unsigned long long digit = *text - '0';
		if (*over || value > (most - digit) / 2)
			*over = 1;
		else
			value = 2 * value + digit;
	}
	if (end)
		*end = (char *)text;
	if (*over)
		*__errno_location() = 34; /* ERANGE */
	return value;
}"""

# What the functions are made with: declarations, and helpers, each with those that it needs in turn.
_HELPERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "overflow": (_OVERFLOW, ("write", "abort")),
    "bounded": (_BOUNDED, ("overflow", "vsnprintf")),
    "binary": (_BINARY, ("isspace", "__errno_location")),
}

_DECLARED = {
    "abort": "void abort(void) __attribute__((noreturn));",
    "write": "ssize_t write(int, const void *, size_t);",
    "isspace": "int isspace(int);",
    "__errno_location": "int *__errno_location(void);",
    "memcpy": "void *memcpy(void *, const void *, size_t);",
    "memmove": "void *memmove(void *, const void *, size_t);",
    "memset": "void *memset(void *, int, size_t);",
    "memchr": "void *memchr(const void *, int, size_t);",
    "explicit_bzero": "void explicit_bzero(void *, size_t);",
    "strlen": "size_t strlen(const char *);",
    "strnlen": "size_t strnlen(const char *, size_t);",
    "strncpy": "char *strncpy(char *, const char *, size_t);",
    "stpncpy": "char *stpncpy(char *, const char *, size_t);",
    "strdup": "char *strdup(const char *);",
    "strndup": "char *strndup(const char *, size_t);",
    "strtok_r": "char *strtok_r(char *, const char *, char **);",
    "secure_getenv": "char *secure_getenv(const char *);",
    "getauxval": "unsigned long getauxval(unsigned long);",
    "vprintf": "int vprintf(const char *, va_list);",
    "vfprintf": "int vfprintf(FILE *, const char *, va_list);",
    "vdprintf": "int vdprintf(int, const char *, va_list);",
    "vasprintf": "int vasprintf(char **, const char *, va_list);",
    "vsnprintf": "int vsnprintf(char *, size_t, const char *, va_list);",
    "vscanf": "int vscanf(const char *, va_list);",
    "vfscanf": "int vfscanf(FILE *, const char *, va_list);",
    "vsscanf": "int vsscanf(const char *, const char *, va_list);",
    "fread": "size_t fread(void *, size_t, size_t, FILE *);",
    "read": "ssize_t read(int, void *, size_t);",
    "readlink": "ssize_t readlink(const char *, char *, size_t);",
    "recv": "ssize_t recv(int, void *, size_t, int);",
    "getcwd": "char *getcwd(char *, size_t);",
    "gethostname": "int gethostname(char *, size_t);",
    "poll": "int poll(void *, unsigned long, int);",
    "realpath": "char *realpath(const char *, char *);",
    "strtol": "long strtol(const char *, char **, int);",
    "strtoll": "long long strtoll(const char *, char **, int);",
    "strtoul": "unsigned long strtoul(const char *, char **, int);",
    "strtoull": "unsigned long long strtoull(const char *, char **, int);",
}


def _function(head: str, body: str) -> str:
    lines = "".join(f"\t{line}\n" for line in body.split("\n"))
    return f"{head}\n{{\n{lines}}}"


def _guarded(wrong: str, body: str) -> str:
    """Return a body that ends the program where the length is wrong, as __chk_fail does."""
    return f"if ({wrong})\n\toverflow();\n{body}"


def _listed(last: str, call: str, kind: str = "int") -> str:
    """Return the body of a function with a list of arguments after ``last``."""
    begin, end = f"va_list list;\n__builtin_va_start(list, {last});\n", "__builtin_va_end(list);\nreturn result;"
    return f"{begin}{kind} result = {call};\n{end}"


_TO, _FROM = "void *to, const void *from, size_t size, size_t room", "const char *from"
_FORMAT = "const char *format"

_Row = tuple[str, str, tuple[str, ...]]
"""The head of a function, its body, and what it is made with."""

_GUARDS: dict[str, _Row] = {
    "__memcpy_chk": (
        f"void *__memcpy_chk({_TO})",
        _guarded("size > room", "return memcpy(to, from, size);"),
        ("memcpy",),
    ),
    "__memmove_chk": (
        f"void *__memmove_chk({_TO})",
        _guarded("size > room", "return memmove(to, from, size);"),
        ("memmove",),
    ),
    "__mempcpy_chk": (
        f"void *__mempcpy_chk({_TO})",
        _guarded("size > room", "return (char *)memcpy(to, from, size) + size;"),
        ("memcpy",),
    ),
    "__memset_chk": (
        "void *__memset_chk(void *to, int byte, size_t size, size_t room)",
        _guarded("size > room", "return memset(to, byte, size);"),
        ("memset",),
    ),
    "__explicit_bzero_chk": (
        "void __explicit_bzero_chk(void *to, size_t size, size_t room)",
        _guarded("size > room", "explicit_bzero(to, size);"),
        ("explicit_bzero",),
    ),
    "__strcpy_chk": (
        f"char *__strcpy_chk(char *to, {_FROM}, size_t room)",
        f"size_t size = strlen(from);\n{_guarded('size >= room', 'return memcpy(to, from, size + 1);')}",
        ("strlen", "memcpy"),
    ),
    "__stpcpy_chk": (
        f"char *__stpcpy_chk(char *to, {_FROM}, size_t room)",
        f"size_t size = strlen(from);\n{_guarded('size >= room', 'return (char *)memcpy(to, from, size + 1) + size;')}",
        ("strlen", "memcpy"),
    ),
    "__strncpy_chk": (
        f"char *__strncpy_chk(char *to, {_FROM}, size_t size, size_t room)",
        _guarded("size > room", "return strncpy(to, from, size);"),
        ("strncpy",),
    ),
    "__stpncpy_chk": (
        f"char *__stpncpy_chk(char *to, {_FROM}, size_t size, size_t room)",
        _guarded("size > room", "return stpncpy(to, from, size);"),
        ("stpncpy",),
    ),
    "__strcat_chk": (
        f"char *__strcat_chk(char *to, {_FROM}, size_t room)",
        "size_t held = strnlen(to, room), size = strlen(from);\n"
        + _guarded("held == room || size >= room - held", "memcpy(to + held, from, size + 1);\nreturn to;"),
        ("strnlen", "strlen", "memcpy"),
    ),
    "__strncat_chk": (
        f"char *__strncat_chk(char *to, {_FROM}, size_t most, size_t room)",
        "size_t held = strnlen(to, room), size = strnlen(from, most);\n"
        + _guarded(
            "held == room || size >= room - held", "memcpy(to + held, from, size);\nto[held + size] = 0;\nreturn to;"
        ),
        ("strnlen", "memcpy"),
    ),
    "__read_chk": (
        "ssize_t __read_chk(int file, void *to, size_t size, size_t room)",
        _guarded("size > room", "return read(file, to, size);"),
        ("read",),
    ),
    "__recv_chk": (
        "ssize_t __recv_chk(int file, void *to, size_t size, size_t room, int flags)",
        _guarded("size > room", "return recv(file, to, size, flags);"),
        ("recv",),
    ),
    "__readlink_chk": (
        "ssize_t __readlink_chk(const char *path, char *to, size_t size, size_t room)",
        _guarded("size > room", "return readlink(path, to, size);"),
        ("readlink",),
    ),
    "__getcwd_chk": (
        "char *__getcwd_chk(char *to, size_t size, size_t room)",
        _guarded("size > room", "return getcwd(to, size);"),
        ("getcwd",),
    ),
    "__gethostname_chk": (
        "int __gethostname_chk(char *to, size_t size, size_t room)",
        _guarded("size > room", "return gethostname(to, size);"),
        ("gethostname",),
    ),
    "__realpath_chk": (
        "char *__realpath_chk(const char *path, char *to, size_t room)",
        _guarded("room < 4096", "return realpath(path, to);"),
        ("realpath",),
    ),
    "__poll_chk": (
        "int __poll_chk(void *files, unsigned long number, int timeout, size_t room)",
        _guarded("room / 8 < number", "return poll(files, number, timeout);"),
        ("poll",),
    ),
    "__fread_chk": (
        "size_t __fread_chk(void *to, size_t room, size_t size, size_t number, FILE *stream)",
        "size_t all;\n"
        + _guarded(
            "__builtin_mul_overflow(size, number, &all) || all > room", "return fread(to, size, number, stream);"
        ),
        ("fread",),
    ),
    "__fdelt_chk": (
        "long __fdelt_chk(long file)",
        _guarded("file < 0 || file >= 1024", "return file / (8 * (long)sizeof(long));"),
        (),
    ),
    "__fdelt_warn": (
        "long __fdelt_warn(long file)",
        _guarded("file < 0 || file >= 1024", "return file / (8 * (long)sizeof(long));"),
        (),
    ),
}

_PRINTED = "/* Unlike glibc's, it does not look where a %n writes. */\n"
_PRINTING: dict[str, _Row] = {
    "__printf_chk": (
        f"int __printf_chk(int flag, {_FORMAT}, ...)",
        _listed("format", "vprintf(format, list)"),
        ("vprintf",),
    ),
    "__vprintf_chk": (
        f"int __vprintf_chk(int flag, {_FORMAT}, va_list list)",
        "return vprintf(format, list);",
        ("vprintf",),
    ),
    "__fprintf_chk": (
        f"int __fprintf_chk(FILE *stream, int flag, {_FORMAT}, ...)",
        _listed("format", "vfprintf(stream, format, list)"),
        ("vfprintf",),
    ),
    "__vfprintf_chk": (
        f"int __vfprintf_chk(FILE *stream, int flag, {_FORMAT}, va_list list)",
        "return vfprintf(stream, format, list);",
        ("vfprintf",),
    ),
    "__dprintf_chk": (
        f"int __dprintf_chk(int file, int flag, {_FORMAT}, ...)",
        _listed("format", "vdprintf(file, format, list)"),
        ("vdprintf",),
    ),
    "__vdprintf_chk": (
        f"int __vdprintf_chk(int file, int flag, {_FORMAT}, va_list list)",
        "return vdprintf(file, format, list);",
        ("vdprintf",),
    ),
    "__asprintf_chk": (
        f"int __asprintf_chk(char **to, int flag, {_FORMAT}, ...)",
        _listed("format", "vasprintf(to, format, list)"),
        ("vasprintf",),
    ),
    "__vasprintf_chk": (
        f"int __vasprintf_chk(char **to, int flag, {_FORMAT}, va_list list)",
        "return vasprintf(to, format, list);",
        ("vasprintf",),
    ),
    "__sprintf_chk": (
        f"int __sprintf_chk(char *to, int flag, size_t room, {_FORMAT}, ...)",
        _listed("format", "bounded(to, room, format, list)"),
        ("bounded",),
    ),
    "__vsprintf_chk": (
        f"int __vsprintf_chk(char *to, int flag, size_t room, {_FORMAT}, va_list list)",
        "return bounded(to, room, format, list);",
        ("bounded",),
    ),
    "__snprintf_chk": (
        f"int __snprintf_chk(char *to, size_t size, int flag, size_t room, {_FORMAT}, ...)",
        _guarded("size > room", _listed("format", "vsnprintf(to, size, format, list)")),
        ("overflow", "vsnprintf"),
    ),
    "__vsnprintf_chk": (
        f"int __vsnprintf_chk(char *to, size_t size, int flag, size_t room, {_FORMAT}, va_list list)",
        _guarded("size > room", "return vsnprintf(to, size, format, list);"),
        ("overflow", "vsnprintf"),
    ),
}


def _number(name: str, kind: str, *, signed: bool) -> _Row:
    """Return __isoc23_NAME: as NAME, and with the prefix 0b for the bases 0 and 2."""
    bits = f"8 * (int)sizeof({kind})"
    if signed:
        limit = f"(1ULL << ({bits} - 1)) - 1 + minus"
        least = f"-({kind})(limit - 1) - 1"
        done = f"if (over)\n\treturn minus ? {least} : ({kind})limit;\nreturn ({kind})(minus ? 0 - value : value);"
    else:
        limit = f"~0ULL >> (64 - {bits})"
        done = f"if (over)\n\treturn ({kind})limit;\nreturn ({kind})(minus ? 0 - value : value);"
    body = (
        "int minus, over;\n"
        "const char *from = binary(text, base, &minus);\n"
        f"if (!from)\n\treturn {name}(text, end, base);\n"
        f"unsigned long long limit = {limit}, value = digits(from, end, limit, &over);\n{done}"
    )
    return f"{kind} __isoc23_{name}(const char *text, char **end, int base)", body, ("binary", name)


_NUMBERS: dict[str, _Row] = {
    "__isoc23_strtol": _number("strtol", "long", signed=True),
    "__isoc23_strtoll": _number("strtoll", "long long", signed=True),
    "__isoc23_strtoul": _number("strtoul", "unsigned long", signed=False),
    "__isoc23_strtoull": _number("strtoull", "unsigned long long", signed=False),
}

_SCANNED = "/* Unlike glibc's, %i does not know the prefix 0b. */\n"
_SCANNING: dict[str, _Row] = {
    "__isoc23_scanf": (f"int __isoc23_scanf({_FORMAT}, ...)", _listed("format", "vscanf(format, list)"), ("vscanf",)),
    "__isoc23_vscanf": (f"int __isoc23_vscanf({_FORMAT}, va_list list)", "return vscanf(format, list);", ("vscanf",)),
    "__isoc23_fscanf": (
        f"int __isoc23_fscanf(FILE *stream, {_FORMAT}, ...)",
        _listed("format", "vfscanf(stream, format, list)"),
        ("vfscanf",),
    ),
    "__isoc23_vfscanf": (
        f"int __isoc23_vfscanf(FILE *stream, {_FORMAT}, va_list list)",
        "return vfscanf(stream, format, list);",
        ("vfscanf",),
    ),
    "__isoc23_sscanf": (
        f"int __isoc23_sscanf(const char *text, {_FORMAT}, ...)",
        _listed("format", "vsscanf(text, format, list)"),
        ("vsscanf",),
    ),
    "__isoc23_vsscanf": (
        f"int __isoc23_vsscanf(const char *text, {_FORMAT}, va_list list)",
        "return vsscanf(text, format, list);",
        ("vsscanf",),
    ),
}

_OTHERS: dict[str, _Row] = {
    "__strdup": ("char *__strdup(const char *text)", "return strdup(text);", ("strdup",)),
    "__strndup": ("char *__strndup(const char *text, size_t most)", "return strndup(text, most);", ("strndup",)),
    "__strtok_r": (
        "char *__strtok_r(char *text, const char *between, char **held)",
        "return strtok_r(text, between, held);",
        ("strtok_r",),
    ),
    "__mempcpy": (
        "void *__mempcpy(void *to, const void *from, size_t size)",
        "return (char *)memcpy(to, from, size) + size;",
        ("memcpy",),
    ),
    "__rawmemchr": (
        "void *__rawmemchr(const void *from, int byte)",
        "return memchr(from, byte, (size_t)-1 / 2);",
        ("memchr",),
    ),
    "rawmemchr": (
        "void *rawmemchr(const void *from, int byte)",
        "return memchr(from, byte, (size_t)-1 / 2);",
        ("memchr",),
    ),
    "__secure_getenv": ("char *__secure_getenv(const char *name)", "return secure_getenv(name);", ("secure_getenv",)),
    "__getauxval": ("unsigned long __getauxval(unsigned long type)", "return getauxval(type);", ("getauxval",)),
}

_DATA = {"__libc_single_threaded": "/* There may always be other threads. */\nchar __libc_single_threaded;"}
_GROUPS: tuple[tuple[dict[str, _Row], str, tuple[str, ...]], ...] = (
    (_GUARDS, "", ("overflow",)),
    (_PRINTING, _PRINTED, ()),
    (_NUMBERS, "", ()),
    (_SCANNING, _SCANNED, ()),
    (_OTHERS, "", ()),
)
_ROWS = {name: (row, said, also) for rows, said, also in _GROUPS for name, row in rows.items()}

NAMES = frozenset((*_ROWS, *_DATA))
"""What a shim can have."""


def source(names: Iterable[str]) -> str:
    """Return the C source of a library with these functions, which are among :data:`NAMES`."""
    wanted = sorted(set(names))
    made_with: dict[str, None] = {}
    for name in wanted:
        if name in _ROWS:
            row, _, also = _ROWS[name]
            made_with.update(dict.fromkeys(_all_of((*also, *row[2]))))
    declared = [_DECLARED[name] for name in made_with if name in _DECLARED]
    helpers = [text for name, (text, _) in _HELPERS.items() if name in made_with]
    texts = [f"{_ROWS[name][1]}{_function(*_ROWS[name][0][:2])}" if name in _ROWS else _DATA[name] for name in wanted]
    return "\n\n".join((_HEAD + "\n".join(declared), *helpers, *texts)) + "\n"


def _all_of(names: Iterable[str]) -> Iterator[str]:
    """Yield names, and before each what it needs in turn."""
    for name in names:
        if name in _HELPERS:
            yield from _all_of(_HELPERS[name][1])
        yield name
