"""A tree of real environments that have much in common, as a machine of a developer has them."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.judges.roots import home, requires_environment

__all__ = ["ENVIRONMENTS", "Tree", "fill", "image", "seen"]

PYTHON, NODE = "numpy==2.2.6 pandas==2.2.3 pyarrow==20.0.0", "typescript@5.8.3 webpack@5.99.9 rxjs@7.8.2 esbuild@0.25.5"
MATHS = f"{PYTHON} scipy==1.15.3 scikit-learn==1.6.1 matplotlib==3.10.3 sympy==1.14.0"
NOTEBOOKS = "jupyterlab==4.4.3 botocore==1.38.30"
SITE = f"{NODE} next@15.3.3 @mui/material@7.1.1 date-fns@4.1.0 sharp@0.34.2"

# Name -> installer, and what it installs. What they depend on is as new as it is when the tree is made.
ENVIRONMENTS = (
    ("data", "uv", f"{MATHS} {NOTEBOOKS} transformers==4.52.4 opencv-python-headless==4.11.0.86"),
    ("models", "uv", f"{MATHS} transformers==4.52.4 onnxruntime==1.22.0 polars==1.30.0"),
    ("older", "uv", "numpy==2.2.5 pandas==2.2.2 pyarrow==19.0.1 scipy==1.15.2 matplotlib==3.10.3 sympy==1.14.0"),
    ("service", "pip", f"{PYTHON} {NOTEBOOKS} django==5.2.1 sqlalchemy==2.0.41 scipy==1.15.3"),
    ("site", "npm", f"{SITE} @swc/core@1.12.1 rollup@4.43.0"),
    ("shop", "npm", f"{SITE} @aws-sdk/client-s3@3.826.0 lodash@4.17.21"),
    ("tool", "npm", f"{NODE} eslint@9.28.0 prettier@3.5.3"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """What there is in it: files that are not empty, and their bytes."""

    files: int
    size: int


def image() -> Path:
    """Where the file system with the tree is kept: another list of environments is another file."""
    recipe = hashlib.sha256(json.dumps(ENVIRONMENTS).encode()).hexdigest()[:12]
    return home() / "bench" / f"storage-{recipe}.ext4"


def fill(top: Path) -> None:
    """Make the environments: by copies, which is what there is to be found. Takes a few minutes."""
    python = str(requires_environment("installers") / "bin" / "python")
    with tempfile.TemporaryDirectory(prefix="runworthy-bench-") as cache:
        for name, installer, packages in ENVIRONMENTS:
            print(f"{name}: {installer} installs {packages}", flush=True)
            _install(top / name, installer, packages.split(), python, Path(cache))


def _install(path: Path, installer: str, packages: Sequence[str], python: str, cache: Path) -> None:
    if installer == "npm":
        path.mkdir()
        (path / "package.json").write_text(json.dumps({"name": path.name, "private": True}), encoding="utf-8")
        options = ["--no-audit", "--no-fund", "--ignore-scripts", f"--cache={cache / 'npm'}"]
        _do(["npm", "install", "--silent", *options, *packages], path)
        return
    uv, wheels = [python, "-m", "uv", "--quiet", "--cache-dir", str(cache / "uv")], "--only-binary=:all:"
    _do([*uv, "venv", "--python", python, str(path)], path.parent)
    if installer == "uv":
        _do([*uv, "pip", "install", "--python", str(path), wheels, "--link-mode=copy", *packages], path)
    else:
        pip = [python, "-m", "pip", "--python", str(path / "bin" / "python"), "--disable-pip-version-check"]
        _do([*pip, "install", "-qq", "--cache-dir", str(cache / "pip"), wheels, *packages], path)


def _do(words: Sequence[str], at: Path) -> None:
    subprocess.run(words, cwd=at, check=True)


def seen(top: Path) -> Tree:
    """Count a tree."""
    sizes = {}
    for directory, _, names in os.walk(top):
        for name in names:
            state = os.lstat(os.path.join(directory, name))
            if stat.S_ISREG(state.st_mode) and state.st_size:
                sizes[state.st_ino] = state.st_size
    return Tree(files=len(sizes), size=sum(sizes.values()))
