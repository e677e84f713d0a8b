"""Screening, by the labelled texts of tests/data/screen and by real files: what is found, what is found wrongly, how fast.

    python -m tests.bench.screen [--json]

A line of a kind counts as found when its kind is among the findings; a clean line of the same file is false when that kind
is found there. The lines were labelled before the rules were written; the figures of kinds were looked at while they were,
the lines were not. Real files are the reference files beside the project, accepted contributions of their time.
"""

import argparse
import json
import random
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pipeline import intake
from pipeline.screen import advice, read
from pipeline.screening.alike import Alike
from pipeline.taxonomy import Knowledge, SeedExample, Skill

HOME = Path(__file__).resolve().parent.parent.parent
SHARED = HOME.parent / "shared" / "data"
PRIVATE = ("secret", "mail", "phone", "card", "iban", "address")
MANY, PAIRS = 100_000, 500
ARRAYS = ("ends", "ids", "texts", "offsets", "rows")
UNIT = 1024 if sys.platform == "linux" else 2**20  # of ru_maxrss in a megabyte
SCREEN = read(HOME / "configs" / "screen.yaml")
NEAR = SCREEN.whole.near
# Real files in which a kind is rightly found: they teach sums, jokes or poems, which today's rules do not take.
TRUE_BY_PATH = {
    "math": "math|reasoning|invoice|receipt|technical_paper",
    "joke": "joke|pun|limerick",
    "poem": "poet|rhym",
    **dict.fromkeys(("phone", "mail", "address"), "."),  # each was looked at: numbers and addresses of offices
    "assistant": ".",  # each was looked at: "let me know if you have any other questions" and its like, in answers
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--json", action="store_true", help="the figures as one JSON object in the last line")
    options.add_argument("--short", action="store_true", help="without the million questions, which take a minute and 2 GB")
    given = options.parse_args()
    figures = {**labelled(), **real(), **near(MANY), **({} if given.short else near(10 * MANY))}
    for name, value in figures.items():
        print(f"{name:34} {value:10}")
    if given.json:
        print(json.dumps(figures))


def kinds(line: dict[str, object]) -> set[str]:
    """The kinds that screening finds in a line: a text is read as a question and as an answer."""
    if "entry" in line:
        given = line["entry"]
        assert isinstance(given, dict)
        examples = [SeedExample(one["question"], one["answer"], one.get("context", "")) for one in given["examples"]]
        entries = [Skill("", "", given["description"], tuple(examples), ())]
    else:
        text = str(line["text"])
        entries = [Skill("", "", "", (SeedExample(*pair),), ()) for pair in ((text, ""), ("", text))]
    return {one.code.removeprefix("screen.") for entry in entries for one in advice(entry, (), SCREEN)}


def labelled() -> dict[str, float]:
    found: dict[str, float] = {}
    sums: Counter[str] = Counter()
    for path in sorted((HOME / "tests" / "data" / "screen").glob("*.jsonl")):
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        hits = Counter((line["kind"] != "clean", path.stem in kinds(line)) for line in lines)
        recall = hits[True, True] / (hits[True, True] + hits[True, False])
        precision = hits[True, True] / max(1, hits[True, True] + hits[False, True])
        found |= {f"{path.stem}_recall": round(recall, 3), f"{path.stem}_precision": round(precision, 3)}
        group = "private" if path.stem in PRIVATE else "entry" if "entry" in lines[0] else "topics"
        sums.update({f"{group} {key}": hits[key] for key in hits})
    for group in ("private", "topics", "entry"):
        right, missed, false = (sums[f"{group} {key}"] for key in ((True, True), (True, False), (False, True)))
        found |= {
            f"{group}_recall": round(right / (right + missed), 3),
            f"{group}_precision": round(right / (right + false), 3),
        }
    return found


def real() -> dict[str, float]:
    """Findings per 100 real files by kind, and those of them that are right by today's rules."""
    paths = sorted([*SHARED.glob("taxonomy/**/qna.yaml"), *SHARED.glob("taxonomy-2024-08/**/qna.yaml")])
    counts: Counter[str] = Counter()
    begun = time.perf_counter()
    for path in paths:
        entry = intake.take(path.read_text(encoding="utf-8"), str(path)).entry
        assert entry
        for kind in {one.code.removeprefix("screen.") for one in advice(entry, (), SCREEN) if one.code.startswith("screen.")}:
            right = re.search(TRUE_BY_PATH.get(kind, "(?!)"), str(path).lower())
            counts["right" if right else f"real_{kind}"] += 1
            counts["real_unclear"] += not right
    share = 100 / max(1, len(paths))
    figures: dict[str, float] = {name: round(count * share, 2) for name, count in sorted(counts.items())}
    return {**figures, "ms_an_entry": round((time.perf_counter() - begun) / max(1, len(paths)) * 1000, 2)}


# --- near-duplicates


def near(count: int) -> dict[str, float]:
    """Reworded questions of the real taxonomy among `count` others: found as the first, and none for strangers."""
    chance = random.Random(20261122)
    mine = list(dict.fromkeys(real_questions()))
    words = sorted({word for one in mine for word in one.split()})
    filler = (" ".join(chance.choices(words, k=chance.randint(6, 14))) for _ in range(count - len(mine)))
    begun = time.perf_counter()
    index = Alike(
        [*((f"real#{at}", one) for at, one in enumerate(mine)), *((f"made#{at}", one) for at, one in enumerate(filler))]
    )
    built_s = time.perf_counter() - begun
    chosen = chance.sample(range(len(mine)), min(PAIRS, len(mine)))
    right = wrong = 0
    spent = []
    for at in chosen:
        begun = time.perf_counter()
        hits = [hit for hit in index.near(reworded(mine[at], chance)) if hit[1] >= NEAR]
        spent.append((time.perf_counter() - begun) * 1000)
        right += any(hit[0] == f"real#{at}" for hit in hits)
    for _ in chosen:
        stranger = " ".join(chance.choices(words, k=10))
        wrong += any(score >= NEAR for _, score in index.near(stranger))
    name = f"near_{count}"
    spent.sort()
    return {
        f"{name}_recall": round(right / len(chosen), 3),
        f"{name}_precision": round(right / max(1, right + wrong), 3),
        f"{name}_ms_p50": round(spent[len(spent) // 2], 2),
        f"{name}_ms_p99": round(spent[int(len(spent) * 0.99) - 1], 2),
        f"{name}_mb": round(sum(getattr(index, one).nbytes for one in ARRAYS) / 2**20, 1),
        f"{name}_build_s": round(built_s, 1),
        f"{name}_peak_mb": round(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 2**20)
        ),
    }


def real_questions() -> Iterator[str]:
    for path in sorted(SHARED.glob("taxonomy*/**/qna.yaml")):
        entry = intake.take(path.read_text(encoding="utf-8"), str(path)).entry
        if isinstance(entry, Knowledge):
            pairs = [pair for one in entry.passages for pair in one.pairs]
        else:
            pairs = list(entry.examples) if entry else []
        yield from (one.question for one in pairs if len(one.question.split()) > 4)


SAME = {
    "write": "compose",
    "give": "provide",
    "list": "name",
    "big": "large",
    "make": "create",
    "short": "brief",
    "sentence": "line",
}


def reworded(question: str, chance: random.Random) -> str:
    """The same asked otherwise: politeness, other words, a plural, a typo, two words changed round; numbers stay."""
    words = [SAME.get(word.lower(), word) for word in question.split()]
    spots = [at for at, word in enumerate(words) if word.isalpha() and len(word) > 4]
    if spots:
        at = chance.choice(spots)
        cut = chance.randrange(1, len(words[at]) - 1)
        words[at] = words[at][:cut] + words[at][cut + 1] + words[at][cut] + words[at][cut + 2 :]
    if spots and chance.random() < 0.5:
        words[chance.choice(spots)] += "s"
    if len(words) > 6 and chance.random() < 0.5:
        at = chance.randrange(len(words) - 1)
        words[at], words[at + 1] = words[at + 1], words[at]
    return f"{chance.choice(['', 'please ', 'could you ', 'hey, '])}{' '.join(words)}"


if __name__ == "__main__":
    main()
