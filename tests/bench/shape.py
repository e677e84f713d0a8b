"""The shape of the code: how long its functions and files are.

    python -m tests.bench.shape [--json]

The peers are the figures of code bases that this project learned from, counted in the same way (lines of a function from
`def` to its end): starlette 5 / 24, httpx 6 / 22, h11 6 / 30 for median and 90th percentile, 4 to 7 % over 40 lines.
"""

import argparse
import ast
import json
import statistics
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent.parent


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--json", action="store_true", help="the figures as one JSON object in the last line")
    given = options.parse_args()
    files = sorted([*HOME.glob("bot/**/*.py"), *HOME.glob("pipeline/**/*.py")])
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in files}
    functions = [
        node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lengths = sorted((node.end_lineno or node.lineno) - node.lineno + 1 for node in functions)
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    figures = {
        "files": len([count for count in lines.values() if count]),
        "lines": sum(lines.values()),
        "functions": len(lengths),
        "median": statistics.median(lengths),
        "p90": lengths[int(len(lengths) * 0.9)],
        "over_40_share": round(sum(length > 40 for length in lengths) / len(lengths), 4),
        "return_annotated": round(sum(node.returns is not None for node in functions) / len(functions), 4),
    }
    for name, value in figures.items():
        print(f"{name:18} {value}")
    for path, count in sorted(lines.items(), key=lambda pair: -pair[1]):
        if count > 250:
            print(f"{count:6} {path.relative_to(HOME)}")
    if given.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
