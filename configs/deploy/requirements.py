"""The requirements of pyproject.toml, with those of some extras, a line each: what the image's first stage builds wheels of.

`python configs/deploy/requirements.py local,train`. Apart from the sources, so that a change of these builds nothing anew.
"""

import sys
import tomllib
from pathlib import Path


def main(extras: str, project: Path) -> int:
    found = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    named = [name.strip() for name in extras.split(",") if name.strip()]
    if unknown := [name for name in named if name not in found["optional-dependencies"]]:
        sys.stderr.write(f"pyproject.toml has no extra {', '.join(unknown)}\n")
        return 2
    wanted = {
        line: None
        for lines in (found["dependencies"], *(found["optional-dependencies"][name] for name in named))
        for line in lines
    }
    sys.stdout.write("".join(f"{line}\n" for line in wanted))
    return 0


if __name__ == "__main__":
    sys.exit(main("".join(sys.argv[1:2]), Path("pyproject.toml")))
