"""The committed catalogue is what its script makes of the facts.

The facts lie beside the repository, not in it; where they are not, there is nothing to compare.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from runworthy.targets.catalogue.catalogue import PACK_PATH
from runworthy.targets.catalogue.pack import Pack

REPOSITORY = Path(__file__).parents[2]
FACTS = REPOSITORY.parent / "shared" / "targets"


def chunks(path: Path) -> list[bytes]:
    """Every chunk, so that another release of zlib, which compresses otherwise, makes no difference."""
    pack = Pack(str(path), path.stat().st_size)
    return [pack.chunk(number) for number in range(pack.chunks)]


if FACTS.is_dir():

    @pytest.mark.slow
    def test_the_script_makes_the_same_catalogue(tmp_path: Path) -> None:
        """Whatever the order of sets, which differs from one process to the next."""
        made = tmp_path / "made.pack"
        script = [sys.executable, "scripts/build_catalogue.py", str(FACTS), "--output", str(made), "--no-check"]
        done = subprocess.run(script, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert chunks(made) == chunks(Path(PACK_PATH))
