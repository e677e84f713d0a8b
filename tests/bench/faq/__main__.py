"""How well and how fast the FAQ is searched.

    python -m tests.bench.faq [--json] [--embeddings URL]

The 258 questions beside this file, on our own FAQ and on the community's file alone (skipped where ../shared is not here). A
hit is right if its `answers` and the question's have one in common. `first` and `three`: the share of covered questions with
a right entry first, or among three; `auroc`: how well `score` tells covered from not covered, 0.5 is chance, also against the
near misses and the far ones alone; `answered`: covered ones that are answered; `refused`: others that are not. `beyond`: the
share of not covered questions whose best hit is an entry of ours that the community's file has not: "not covered" was judged
by that file, and some of these our FAQ does answer.

`half` and `bare`: our own FAQ asked with phrasings that were left out, every second one or all of them; tune with these.

The questions are for reporting. Weights come from configs/faq itself, by leaving phrasings out (see bot/faq/search.py); the
questions only chose between whole designs: the values of evidence, the BM25 fields' share where entries have no phrasings, the
1.3 for entries that name what they answer, that parts of a message are told as further hits instead of being added up, and
that neither a list of everyday words nor the amount of what an entry does not know is evidence. So the figures are a little
better than on questions never seen.

Peers in the same run: rank-bm25 at its defaults, over the same documents; with --embeddings that endpoint alone.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bot.faq import Entry, Faq
from bot.faq.index import build, phrasings_of
from bot.faq.search import search

HERE = Path(__file__).resolve().parent
HOME = HERE.parent.parent.parent
SHIPPED = HOME / "configs" / "faq"
COMMUNITY = HOME.parent / "shared" / "data" / "faq" / "instructlab-faq.md"
PEER = "rank-bm25"
MANY = 10_000
STARTS = 5
HELD = 800


@dataclass(frozen=True, slots=True)
class Question:
    question: str
    history: tuple[str, ...]
    covered: bool
    answers: frozenset[str]
    kind: str


@dataclass(frozen=True, slots=True)
class Told:
    """What was said to a question: the answers of the first three hits, the score, whether it was answered, the time."""

    hits: list[frozenset[str]]
    score: float
    answered: bool
    seconds: float


def questions() -> list[Question]:
    found = [json.loads(line) for line in (HERE / "questions.jsonl").read_text(encoding="utf-8").splitlines()]
    return [
        Question(one["question"], tuple(one.get("history", ())), one["covered"], frozenset(one["answers"]), one["kind"])
        for one in found
    ]


def asked(faq: Faq, wanted: Sequence[Question]) -> list[Told]:
    told = []
    for one in wanted:
        begun = time.perf_counter()
        reply = faq.ask(one.question, one.history)
        seconds = time.perf_counter() - begun
        told.append(Told([frozenset(hit.answers) for hit in reply.hits[:3]], reply.score, reply.answered, seconds))
    return told


def figures(wanted: Sequence[Question], told: Sequence[Told]) -> dict[str, float]:
    covered = [(one, said) for one, said in zip(wanted, told, strict=True) if one.covered]
    scores = [said.score for _, said in covered]
    others = {
        kind: [said.score for one, said in zip(wanted, told, strict=True) if not one.covered and kind in ("", one.kind)]
        for kind in ("", "near", "far")
    }
    return {
        "first": mean([bool(said.hits and said.hits[0] & one.answers) for one, said in covered]),
        "three": mean([any(hit & one.answers for hit in said.hits) for one, said in covered]),
        "auroc": area(scores, others[""]),
        "auroc_near": area(scores, others["near"]),
        "auroc_far": area(scores, others["far"]),
        "p99_ms": percentile([said.seconds for said in told], 0.99) * 1000,
        "mean_ms": mean([said.seconds for said in told]) * 1000,
    }


def decided(wanted: Sequence[Question], told: Sequence[Told]) -> dict[str, float]:
    return {
        "answered": mean([said.answered for one, said in zip(wanted, told, strict=True) if one.covered]),
        "refused": mean([not said.answered for one, said in zip(wanted, told, strict=True) if not one.covered]),
    }


def beyond(faq: Faq, wanted: Sequence[Question], told: Sequence[Told]) -> float:
    own = {frozenset(entry.answers) for entry in faq.entries if not entry.named}
    return mean([bool(said.hits and said.hits[0] in own) for one, said in zip(wanted, told, strict=True) if not one.covered])


def area(covered: Sequence[float], others: Sequence[float]) -> float:
    """The chance that a covered question scores above one that is not; a tie is half."""
    return mean([(one > other) + (one == other) / 2 for one in covered for other in others])


def mean(values: Sequence[float]) -> float:
    return sum(values) / max(len(values), 1)


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def peer() -> Path:
    """The Python of the peer's environment, made if it is not there yet."""
    folder = HOME / ".cache" / "bench" / PEER
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        needs = HERE.parent / "peers" / f"{PEER}.txt"
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "-r", str(needs)], check=True, stdout=sys.stderr)
        (folder / "ready").touch()
    return python


def ranked(entries: Sequence[Entry], wanted: Sequence[Question]) -> list[Told]:
    """What rank-bm25 finds in the same texts: the title, the phrasings and the body as one."""
    documents = ["\n".join((*phrasings_of(entry), entry.body)) for entry in entries]
    given = json.dumps({"documents": documents, "questions": [one.question for one in wanted]})
    child = [str(peer()), str(HERE.parent / "peers" / "rank_bm25_child.py")]
    found = json.loads(subprocess.run(child, input=given, capture_output=True, text=True, check=True).stdout)
    return [ordered(entries, one["scores"], one["seconds"]) for one in found]


def embedded(url: str, entries: Sequence[Entry], wanted: Sequence[Question], cache: Path) -> list[Told]:
    from bot.faq.vectors import Vectors

    vectors = Vectors(url, entries, cache)
    told = []
    for one in wanted:
        begun = time.perf_counter()
        scores = vectors(one.question)
        if scores is None:
            raise SystemExit(f"{url} does not answer")
        told.append(ordered(entries, [float(score) for score in scores], time.perf_counter() - begun))
    return told


def ordered(entries: Sequence[Entry], scores: Sequence[float], seconds: float) -> Told:
    best = sorted(range(len(entries)), key=lambda number: -scores[number])[:3]
    return Told([frozenset(entries[number].answers) for number in best], scores[best[0]], False, seconds)


def halved() -> dict[str, float]:
    """Our own FAQ without every second phrasing of its entries, asked with these, and without all of them."""
    entries = Faq([SHIPPED]).entries
    found = {}
    for name, kept in (("half", 2), ("bare", 1_000_000)):
        rest = [replace(entry, asked=entry.asked[kept - 1 :: kept]) for entry in entries]
        held = [(text, number) for number, entry in enumerate(entries) for text in set(entry.asked) - set(rest[number].asked)]
        chosen = random.Random(4).sample(sorted(held), HELD)
        index = build(rest, ridge=True)
        orders = [(search(index, text).order, number) for text, number in chosen]
        found[f"{name}_first"] = mean([order[0] == number for order, number in orders])
        found[f"{name}_three"] = mean([number in order[:3] for order, number in orders])
    return found


def large(folder: Path) -> Faq:
    """As many entries as MANY, of words as they are in our own FAQ."""
    chance = random.Random(4)
    words = sorted({word for path in SHIPPED.glob("*.md") for word in path.read_text(encoding="utf-8").split()})
    folder.mkdir()
    for number in range(0, MANY, 500):
        texts = []
        for one in range(number, number + 500):
            title, body = " ".join(chance.choices(words, k=7)), " ".join(chance.choices(words, k=60))
            texts.append(f"## How {title} {one}?\n\n{body}\n")
        (folder / f"{number}.md").write_text("\n".join(texts), encoding="utf-8")
    return Faq([folder])


def started(data: Path) -> float:
    """Seconds from starting `labbot ask` to its end, for one question."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "bot", "ask", "what is a skill?"]
    subprocess.run(command, cwd=HOME, env={**os.environ, "LABBOT_DATA": str(data)}, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def measured(url: str, base: Path) -> dict[str, float]:
    wanted, found = questions(), {}
    for name, path in (("shipped", SHIPPED), ("community", COMMUNITY)):
        if not path.exists():
            print(f"{name}: {path.name} is not here")
            continue
        faq = Faq([path], cache=base / "cache", embeddings=url)
        told = asked(faq, wanted)
        found |= prefixed(name, {**figures(wanted, told), **decided(wanted, told)})
        if name == "shipped":
            found["shipped_beyond"] = beyond(faq, wanted, told)
        found |= prefixed(f"{name}_rank_bm25", figures(wanted, ranked(faq.entries, wanted)))
        if url:
            found |= prefixed(f"{name}_embeddings", figures(wanted, embedded(url, faq.entries, wanted, base / "cache")))
    found |= halved()
    found["large_p99_ms"] = percentile([said.seconds for said in asked(large(base / "large"), wanted)], 0.99) * 1000
    found["start_first_s"] = started(base / "data")
    found["start_s"] = sorted(started(base / "data") for _ in range(STARTS))[STARTS // 2]
    found["over_rank_bm25"] = found["shipped_rank_bm25_mean_ms"] / found["shipped_mean_ms"]
    return found


def prefixed(name: str, found: dict[str, float]) -> dict[str, float]:
    return {f"{name}_{key}": value for key, value in found.items()}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--json", action="store_true", help="the figures as one JSON object in the last line")
    options.add_argument("--embeddings", default="", metavar="URL", help="an OpenAI-compatible endpoint")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="labbot-bench-") as base:
        found = measured(given.embeddings, Path(base))
    for name, value in found.items():
        print(f"{name:32} {value:8.3f}")
    if given.json:
        print(json.dumps({name: round(value, 3) for name, value in found.items()}))


if __name__ == "__main__":
    main()
