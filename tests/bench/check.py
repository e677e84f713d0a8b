"""How many files a second the checker judges, and what it needs for it.

    python -m tests.bench.check [--json] [--files N]

A tree of the project's own demo entries, copied. The peer in the same run is instructlab-schema's own parser, which
judges each file in the same mode on one core, as its callers use it. Memory is the largest resident set of any process,
for 100 and for N files: it must not grow with the tree.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent.parent
DEMO = HOME / "configs" / "demo" / "compositional_skills"
ASKED = 12  # files that the package judges: it does about five a second


def tree(folder: Path, files: int) -> None:
    entries = sorted(path.parent for path in DEMO.rglob("qna.yaml"))
    for number in range(files):
        shutil.copytree(entries[number % len(entries)], folder / "compositional_skills" / f"n{number:05}")


def checked(folder: Path) -> tuple[float, float]:
    """Seconds that `labpipe check` takes for a tree, and the megabytes of its largest process."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", "pipeline", "check", str(folder)], check=True, cwd=HOME, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - begun
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def asked(folder: Path) -> float:
    """Seconds that the package's parser takes for a few files, its start not counted."""
    from instructlab.schema.taxonomy import TaxonomyParser

    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    parser = TaxonomyParser()
    files = sorted(folder.rglob("qna.yaml"))[:ASKED]
    begun = time.perf_counter()
    for path in files:
        parser.parse(path)
    return (time.perf_counter() - begun) / len(files)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--json", action="store_true", help="the figures as one JSON object in the last line")
    options.add_argument("--files", type=int, default=10_000)
    given = options.parse_args()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="labbot-bench-") as base:
        for name, files in (("1", 1), ("100", 100), ("many", given.files)):
            tree(Path(base) / name, files)
        one = next((Path(base) / "1").rglob("qna.yaml"))
        figures["one_file_s"] = checked(one)[0]
        figures["memory_100_mb"] = checked(Path(base) / "100")[1]
        seconds, figures["memory_many_mb"] = checked(Path(base) / "many")
        figures["files_per_s"] = given.files / seconds
        figures["package_files_per_s"] = 1 / asked(Path(base) / "100")
    figures["over_package"] = figures["files_per_s"] / figures["package_files_per_s"]
    for name, value in figures.items():
        print(f"{name:20} {value:10.2f}")
    if given.json:
        print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
