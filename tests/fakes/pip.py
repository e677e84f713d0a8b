"""A pip that does what a script says: `put(folder)` lays it on PYTHONPATH, where `python -m pip` finds it before the real one.

It reads `plan.txt` in the folder that it is started in, line by line: `!installed NAME` makes a package be there,
`!where` prints where temporary files go, `!hold` writes its process and that of a child of its own into `held` and waits
for a file `go`, `!exit N` ends it; every other line is printed. What it was asked for is in `asked.json`.
"""

import os
from pathlib import Path

CODE = """
import json, os, subprocess, sys, tempfile, time
from pathlib import Path
Path("asked.json").write_text(json.dumps(sys.argv[1:]))
for line in Path("plan.txt").read_text(encoding="utf-8").splitlines():
    word, _, rest = line.partition(" ")
    if word == "!installed":
        info = Path(__file__).parents[1] / f"{rest.replace('-', '_')}-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\\nName: {rest}\\nVersion: 1.0\\n")
    elif word == "!hold":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path("held.new").write_text(f"{os.getpid()} {child.pid}")
        os.rename("held.new", "held")
        while not Path("go").exists():
            time.sleep(0.01)
        child.kill()
        child.wait()
    elif word == "!where":
        print(tempfile.gettempdir(), flush=True)
    elif word == "!exit":
        sys.exit(int(rest))
    else:
        print(line, flush=True)
"""
PYPROJECT = """
[project]
name = "labbot"
[project.optional-dependencies]
local = ["labbot-test-engine", "labbot-test-reader>=1,<3"]
train = ["labbot-test-trainer"]
"""


def put(folder: Path, home: Path, plan: str) -> None:
    """Lay the fake into a folder for PYTHONPATH, and a plan for it and a pyproject.toml into a checkout."""
    (folder / "pip").mkdir(parents=True, exist_ok=True)
    (folder / "pip" / "__init__.py").touch()
    (folder / "pip" / "__main__.py").write_text(CODE, encoding="utf-8")
    home.mkdir(parents=True, exist_ok=True)
    (home / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (home / "plan.txt").write_text(plan, encoding="utf-8")


def path(folder: Path) -> str:
    """The PYTHONPATH with the fake first."""
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH", "")])])
