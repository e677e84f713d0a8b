"""What the intake makes of real files: kinds and versions, how many need no change, and what their drafts still ask for.

    python -m tests.bench.intake [--json]

The files are the reference files beside the project (`../shared/data`); nothing is printed of their texts.
"""

import argparse
import json
import time
from collections import Counter
from pathlib import Path

from bot.core import form
from bot.core.contribute import answers_of, form_of, works_answers
from pipeline import attribution
from pipeline.intake import Taken, take
from pipeline.taxonomy import Knowledge

HOME = Path(__file__).resolve().parent.parent.parent
FOLDERS = ("taxonomy", "taxonomy-2024-08")


def asks(path: Path, taken: Taken) -> set[str]:
    """What the draft of a file would still ask of its contributor, with the attribution that lies beside the file."""
    assert taken.entry
    beside = path.with_name("attribution.txt")
    works = attribution.read(beside.read_text(encoding="utf-8")) if beside.is_file() else ()
    answers = answers_of(taken.entry) | works_answers(works)
    the_form = form_of(taken.entry)
    missing = [item for item in form.items(the_form, answers) if form.problem(item, answers)]
    return {f"{item.page.name}: {item.question.name}" for item in missing if not item.question.given}


def kind(taken: Taken) -> str:
    return "knowledge" if isinstance(taken.entry, Knowledge) else "grounded" if taken.grounded else "freeform"


def counted(paths: list[Path]) -> Counter[str]:
    counts: Counter[str] = Counter(files=len(paths))
    for path in paths:
        taken = take(path.read_text(encoding="utf-8"), str(path))
        if taken.entry is None:
            counts["not understood"] += 1
            continue
        version = next((one.facts["found"] or "none" for one in taken.changes if one.code == "intake.version"), "3")
        counts.update([f"{kind(taken)}, version {version}", *(["without any change"] if not taken.changes else [])])
        counts.update(one.code for one in taken.changes)
        wanted = asks(path, taken)
        counts.update(f"{kind(taken)} asks for {name}" for name in wanted)
        whose = {"sources: origin"}
        counts.update(["complete"] if not wanted else ["complete but for whose work it is"] if wanted == whose else [])
    return counts


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--json", action="store_true", help="the figures as one JSON object in the last line")
    given = options.parse_args()
    paths = sorted(path for name in FOLDERS for path in (HOME.parent / "shared" / "data" / name).rglob("qna.yaml"))
    begun = time.perf_counter()
    figures: dict[str, float] = dict(sorted(counted(paths).items()))
    figures["files_per_s"] = round(len(paths) / (time.perf_counter() - begun), 1)
    for name, value in figures.items():
        print(f"{name:44} {value:8}")
    if given.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
