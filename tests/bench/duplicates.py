"""What it takes to look at a whole set of samples: 100,000 and 1,000,000 whose verdicts are there, through `judge` and `mix`.

    python -m tests.bench.duplicates [--json] [--short]

A sample is a question of 8 to 20 words and an answer of 30, with what its judges said. One in ten is an earlier one with other
blanks and capitals, one in ten an earlier one of which a word was changed (of 16 or more words, so that it is near by the
rule), one in ten failed its judge; the others share words, and no two of them are near. So what must be found is known,
and `recall` and `precision` are told; they must be 1. In `forms` all samples are one sentence in which two words and a
number change: alike, and no two the same. A stage runs in a child process of its own, whose largest memory is told
(`peak_gb`), and reads and writes files as in a run, with 30 questions held out, and the taxonomy beside the project if there is
one. `cpu` are seconds of the processor, which tell more where others use the machine, too.

`seconds_100k`, `seconds_1m`, `peak_gb_1m`, `growth` are of judge and mix together; goals: judge of 100,000 in under 60 s,
both of 1,000,000 in under 1.5 GB, growth at most 12 times. `over_datasketch`: datasketch's MinHashLSH (64 permutations,
threshold 0.7, candidates taken as found) by ours: seconds of the processor for the same 100,000 questions in memory, each
in a process of its own.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pipeline.generating import near, rows, shingles
from pipeline.generating.rows import Row, Score
from pipeline.mixing import sizes
from pipeline.stage import Job
from pipeline.stages import judge, mix
from tests.bench.engine.__main__ import environment

HOME = Path(__file__).resolve().parent.parent.parent
TAXONOMY = HOME.parent / "shared" / "data" / "taxonomy"
PEER, PERMUTATIONS = "datasketch", 64
SMALL, LARGE = 100_000, 1_000_000
UNIT = 1024**2 if sys.platform == "linux" else 1024**3  # of ru_maxrss in a gigabyte
LEAF = "compositional_skills/linguistics/bench"
SEEDS = {f"How would seed {name} greet somebody new?": f"With {name}." for name in ("oak", "elm", "ash", "fir", "yew")}
STAGES = {"judge": judge.judge, "mix": mix.mix}

Figures = dict[str, float]


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    options.add_argument("--json", action="store_true", help="the figures as one JSON object in the last line")
    options.add_argument("--short", action="store_true", help="without the million, which takes minutes and 2 GB of disk")
    options.add_argument("--stage", nargs=2, metavar=("STAGE", "FOLDER"), help=argparse.SUPPRESS)
    options.add_argument("--ours", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.stage:
        return staged(given.stage[0], Path(given.stage[1]))
    if given.ours:
        return ours()
    figures = {**through("100k", SMALL), **compared()}
    if not given.short:
        figures |= through("1m", LARGE) | through("1m_forms", LARGE, forms=True)
        figures["growth"] = round(figures["seconds_1m"] / figures["seconds_100k"], 2)
    for name, value in figures.items():
        print(f"{name:24} {value:10}")
    if given.json:
        print(json.dumps(figures))
    return None


# --- samples by rule


def questions(count: int) -> Iterator[tuple[str, str]]:
    """Questions with what is to be found of them: "same", "near", "score", "" for nothing."""
    chance = random.Random(20261123)
    vocabulary = ["".join(chance.choices("bdfgklmnprst", k=2)) + str(chance.choice(["a", "e", "io"])) for _ in range(400)]
    vocabulary += [f"{one}{two}" for one in vocabulary[:100] for two in vocabulary[100:300]]
    earlier: list[str] = []
    for _ in range(count):
        kind = chance.choice(["same", "near", "score", *[""] * 7]) if len(earlier) > 100 else ""
        if kind == "same":
            words = chance.choice(earlier).split()
            yield "  ".join(words).upper() + " !", kind
        elif kind == "near":
            words = chance.choice(earlier).split()
            words[chance.randrange(len(words))] = f"other{chance.randrange(10**9)}x"
            yield " ".join(words), kind
        else:
            long = chance.random() < 0.1
            words = chance.choices(vocabulary, k=chance.randint(16, 20) if long else chance.randint(8, 15))
            if long and len(earlier) < 10_000:
                earlier.append(" ".join(words))
            yield " ".join(words), kind


def formal(count: int) -> Iterator[tuple[str, str]]:
    """One sentence over and over, with other words and another number in it."""
    for number in range(count):
        one, two = divmod(number, 1000)
        yield f"Write {number % 7 + 2} lines on how thing{one}x and thing{two}y met at the sea, and why it matters", "form"


def samples(count: int, forms: bool) -> Iterator[Row]:
    answer = " ".join(["This is how one says it where the sea is near and the light is out."] * 2)
    for number, (question, kind) in enumerate((formal if forms else questions)(count), 1):
        failed = kind == "score"
        scores = (
            Score("judge_questions", 1, "It fits the task."),
            Score("judge_pairs", 1 if failed else 3, "As the scale says."),
        )
        row = Row(f"{number:012x}", number, "train", "freeform", LEAF, number % 4 + 1, question, answer, scores=scores)
        yield row.dropped("judge_pairs", "score") if failed else row


def made(folder: Path, count: int, forms: bool) -> None:
    examples = [{"question": question, "answer": answer} for question, answer in SEEDS.items()]
    entry = {"version": 3, "task_description": "Greet", "created_by": "ann", "seed_examples": examples}
    (folder / "entry").mkdir(parents=True)
    (folder / "entry" / "qna.yaml").write_text(yaml.safe_dump(entry), encoding="utf-8")
    (folder / "entry" / "attribution.txt").write_text("", encoding="utf-8")
    rows.write(folder / rows.GENERATED, samples(count, forms))
    asked = [f"How does held{number}a greet held{number}b when held{number}c is away?" for number in range(30)]
    unseen = (Row(f"{at:012x}", at, "unseen", "freeform", LEAF, 5, one, "So.") for at, one in enumerate(asked, 1))
    rows.write(folder / rows.UNSEEN, unseen)
    steps = [{"name": name} for name in ("questions", "judge_questions", "answers", "judge_pairs")]
    plan = {"leaf": LEAF, "kind": "freeform", "seeds": {"train": [1, 2, 3, 4], "held": [5]}, "recipe": {"steps": steps}}
    (folder / "samples" / "plan.json").write_text(json.dumps(plan), encoding="utf-8")


# --- through the stages


def through(name: str, count: int, *, forms: bool = False) -> Figures:
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as folder:
        made(Path(folder), count, forms)
        for stage in STAGES:
            command = [sys.executable, "-m", "tests.bench.duplicates", "--stage", stage, folder]
            told = json.loads(subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=True).stdout)
            figures |= {f"{stage}_{what}_{name}": value for what, value in told.items()}
        if not forms:
            figures |= judged(name, Path(folder), count)
    for what in ("seconds", "cpu"):
        figures[f"{what}_{name}"] = round(sum(figures[f"{stage}_{what}_{name}"] for stage in STAGES), 2)
    figures[f"peak_gb_{name}"] = max(figures[f"{stage}_peak_gb_{name}"] for stage in STAGES)
    return figures


def judged(name: str, folder: Path, count: int) -> Figures:
    right = wrong = missed = 0
    for row, (_, kind) in zip(rows.read(folder / rows.SAMPLES), questions(count), strict=True):
        found, wanted = row.why, kind
        right += found == wanted != ""
        wrong += found not in ("", wanted)
        missed += found != wanted != ""
    return {f"recall_{name}": round(right / (right + missed), 5), f"precision_{name}": round(right / (right + wrong), 5)}


def staged(stage: str, folder: Path) -> None:
    """In the child: run a stage, and say how long it took and how much memory."""
    settings: dict[str, Any] = {"judge": {"taxonomy": str(TAXONOMY)}, "mix": sizes.settings(HOME)}[stage]
    begun = time.perf_counter()
    STAGES[stage](Job(folder, {"leaf": LEAF}, settings, lambda fraction, facts: None))
    told = {"seconds": round(time.perf_counter() - begun, 2), "cpu": round(time.process_time(), 2), "peak_gb": peak_gb()}
    print(json.dumps(told))


def peak_gb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / UNIT, 3)


# --- beside another


def compared() -> Figures:
    asked = list(questions(SMALL))
    repeats = {number for number, (_, kind) in enumerate(asked) if kind in ("same", "near")}
    given = json.dumps({"texts": [text for text, _ in asked], "threshold": near.NEAR / 100, "permutations": PERMUTATIONS})
    peers = {
        PEER: [environment(PEER), str(Path(__file__).parent / "peers" / f"{PEER}_child.py")],
        "ours": [sys.executable, "-m", "tests.bench.duplicates", "--ours"],
    }
    figures: Figures = {}
    for name, command in peers.items():
        told = json.loads(subprocess.run(command, cwd=HOME, input=given, capture_output=True, text=True, check=True).stdout)
        found = set(told["near"])
        figures |= {
            f"{name}_seconds": round(told["seconds"], 2),
            f"{name}_recall": round(len(found & repeats) / len(repeats), 5),
            f"{name}_precision": round(len(found & repeats) / max(1, len(found)), 5),
        }
    figures["over_datasketch"] = round(figures[f"{PEER}_seconds"] / figures["ours_seconds"], 2)
    return figures


def ours() -> None:
    """In the child: the same as the peer does."""
    asked = json.load(sys.stdin)["texts"]
    begun = time.process_time()
    parts = [near.texts([(text, "") for text in asked[at : at + 4096]]) for at in range(0, len(asked), 4096)]
    keys, sets = shingles.np.concatenate([one.keys for one in parts]), shingles.joined([one.sets for one in parts])
    numbers = shingles.np.arange(len(keys))
    found = near.duplicates(near.Texts(keys, sets, numbers), numbers)
    repeats = [number for number, of in enumerate(found.of.tolist()) if of >= 0]
    json.dump({"seconds": time.process_time() - begun, "near": repeats}, sys.stdout)


if __name__ == "__main__":
    main()
