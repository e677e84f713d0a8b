"""What instructlab-schema's own parser says of texts, kept by their digests, because it judges five a second.

    python -m tests.pipeline.oracle      asks it again about every text of `corpus` and writes tests/data/verdicts.json

A verdict is [errors, warnings], or "raises" where the parser gives up with an exception, which refuses the file too.
"""

import contextlib
import hashlib
import io
import json
import logging
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.conftest import HOME

SHARED = HOME.parent / "shared" / "data"
KEPT = HOME / "tests" / "data" / "verdicts.json"
MODES = {"ci": {}, "ilab": {"schema_version": 0, "yamllint_strict": True}}
MUTATIONS = 360
SEED = 20261122

Verdict = list[int] | str


def corpus() -> list[tuple[str, str]]:
    """(path below a taxonomy, text): the reference files as they are, ours, and seeded mutations of all of them."""
    folders = [HOME / "configs" / "demo", SHARED / "taxonomy", SHARED / "taxonomy-2024-08"]
    found = [
        (str(path.relative_to(folder)), path.read_text(encoding="utf-8"))
        for folder in folders
        for path in sorted(folder.rglob("qna.yaml"))
    ]
    rng = random.Random(SEED)
    return found + [mutated(rng, *rng.choice(found)) for _ in range(MUTATIONS)]


def mutated(rng: random.Random, path: str, text: str) -> tuple[str, str]:
    """The text with one to three things done to it that people and editors do."""
    for _ in range(rng.randint(1, 3)):
        text = rng.choice(SLIPS)(rng, text)
    return path, text


def _line(rng: random.Random, text: str, change: "object") -> str:
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    lines[at : at + 1] = change(lines[at])  # type: ignore[operator]
    return "\n".join(lines)


VERSIONS = (1, 2, 3, 4, 0, -1, "3.0", "3.5", "two", "true", "null", "[3]", "2024-01-01")
SLIPS = (
    lambda rng, text: _line(rng, text, lambda line: [line + "  "]),
    lambda rng, text: _line(rng, text, lambda line: [" " + line]),
    lambda rng, text: _line(rng, text, lambda line: [line[1:]]),
    lambda rng, text: _line(rng, text, lambda line: [line, "", "", ""]),
    lambda rng, text: _line(rng, text, lambda line: [line, line]),
    lambda rng, text: _line(rng, text, lambda line: []),
    lambda rng, text: _line(rng, text, lambda line: [line.replace(": ", ":", 1)]),
    lambda rng, text: _line(rng, text, lambda line: [line.replace(": ", " :  ", 1)]),
    lambda rng, text: _line(rng, text, lambda line: [line.replace("- ", "-   ", 1)]),
    lambda rng, text: _line(rng, text, lambda line: [line.replace("  ", "\t", 1)]),
    lambda rng, text: _line(rng, text, lambda line: [line + ": x"]),
    lambda rng, text: _line(rng, text, lambda line: [line, "extra: 1"]),
    lambda rng, text: _line(rng, text, lambda line: [line + " # yamllint disable-line"]),
    lambda rng, text: text.rstrip("\n"),
    lambda rng, text: text + "\n\n\n",
    lambda rng, text: "\n\n" + text,
    lambda rng, text: text.replace("\n", "\r\n"),
    lambda rng, text: "\ufeff" + text,
    lambda rng, text: "---\n" + text + "...\n",
    lambda rng, text: text + "---\n" + text,
    lambda rng, text: "# yamllint disable-file\n" + text,
    lambda rng, text: (
        f"version: {rng.choice([1, 2, 3, 4, 0, -1, '3.0', '3.5', 'two', 'true', 'null', '[3]', '2024-01-01'])}\n" + text
    ),
    lambda rng, text: text.replace(
        "created_by:", rng.choice(["created_by: 123 #", "created-by:", "created_by: #", "created_by: &a"]), 1
    ),
    lambda rng, text: text.replace("task_description:", rng.choice(["task_description: '' #", "description:", "domain:"]), 1),
    lambda rng, text: text.replace("answer:", rng.choice(["answers:", "answer: yes #", "Answer:", "answer: *none #"]), 1),
    lambda rng, text: text.replace(
        "seed_examples:", rng.choice(["seed_examples: []\nold:", "seeds:", "seed_examples:\n  - x"]), 1
    ),
    lambda rng, text: text[: rng.randrange(len(text) + 1)],
    lambda rng, text: "- " + text.replace("\n", "\n  "),
    lambda rng, text: rng.choice(["", "\n", "# nothing\n", "[]\n", "false\n", "0\n", "~\n", "text\n", "- a\n", "{}\n"]),
    lambda rng, text: text.replace("e", rng.choice(["é", "\u2028", "\x85", "\x07", "😀"]), 3),
)


def digest(path: str, text: str) -> str:
    """A name for a text at a path, and for the slips it came from: other texts, other names."""
    return hashlib.sha256(json.dumps([path, text]).encode()).hexdigest()[:24]


def ask(path: Path) -> dict[str, Verdict]:
    """What the parser says of a file, in both modes. It starts yamllint, and yq if there is one."""
    from instructlab.schema.taxonomy import TaxonomyParser

    found: dict[str, Verdict] = {}
    for mode, settings in MODES.items():
        with quiet():
            try:
                judged = TaxonomyParser(**settings).parse(path)
                found[mode] = [judged.errors, judged.warnings]
            except Exception:  # whatever it is, the parser's callers refuse the file
                found[mode] = "raises"
    return found


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The parser finds yamllint, and neither prints nor logs what it finds; all of it is as before at the end."""
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{path}"
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)
        os.environ["PATH"] = path


def _asked(item: tuple[str, str]) -> tuple[str, dict[str, Verdict]]:
    path, text = item
    with tempfile.TemporaryDirectory() as folder:
        return digest(path, text), ask(laid(Path(folder), path, text))


def laid(folder: Path, path: str, text: str) -> Path:
    """The text as a file, byte for byte."""
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(text.encode("utf-8", "surrogatepass"))
    return folder / path


def main() -> None:
    with ProcessPoolExecutor() as pool:
        verdicts = dict(pool.map(_asked, corpus(), chunksize=8))
    KEPT.parent.mkdir(exist_ok=True)
    rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(verdict)}" for name, verdict in sorted(verdicts.items()))
    KEPT.write_text(f"{{\n{rows}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
