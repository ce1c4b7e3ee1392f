"""Write down what gcompat's library exports: `build_gcompat_names.py SOURCE RELEASE DATE`.

It compiles the sources of a release, https://git.adelielinux.org/adelie/gcompat, with musl-gcc, and reads the library.
Its releases for architectures differ in nothing but a few names for tables of types.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

from runworthy.targets.directory import DirectoryView

OUT = Path(__file__).parent.parent / "src/runworthy/remedies/gcompat_names.py"
_OWN = ("_init", "_fini")


def exports(source: Path) -> list[str]:
    """Return what the library exports that these sources make."""
    with tempfile.TemporaryDirectory() as scratch:
        line = ["musl-gcc", "-O2", "-fPIC", "-shared", "-std=c99", "-D_BSD_SOURCE", "-I", str(source / "libgcompat")]
        texts = {"LIBGCOMPAT": "/lib/libgcompat.so.0", "LINKER": "/lib/ld-musl-x86_64.so.1", "LOADER": "ld-linux.so.2"}
        line += [f'-D{name}="{text}"' for name, text in texts.items()]
        files = sorted(map(str, (source / "libgcompat").glob("*.c")))
        subprocess.run([*line, "-o", f"{scratch}/libgcompat.so.0", *files], check=True)
        names = DirectoryView(scratch).elf("/libgcompat.so.0").exports().names
    return sorted({name.decode() for name in names} - {*_OWN})


def main() -> None:
    """Write the module."""
    source, release, date = sys.argv[1:]
    names = textwrap.fill(" ".join(exports(Path(source))), 118, break_long_words=False)
    OUT.write_text(
        f'"""What the library of gcompat {release} ({date}) exports. Made by scripts/build_gcompat_names.py."""\n\n'
        "from __future__ import annotations\n\n"
        '__all__ = ["NAMES", "RELEASE"]\n\n'
        f'RELEASE = "{release}"\n'
        f'NAMES = frozenset(\n    """\n{names}\n""".split()\n)\n'
    )


if __name__ == "__main__":
    main()
