"""Runs made by rule, as a stage leaves them: rows of all sets, the funnel and the plan. The same every time."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from pipeline.generating import rows
from pipeline.generating.rows import Row, Score

LEAF = "compositional_skills/extraction/orders"
STEPS = ("questions", "judge_questions", "answers", "judge_pairs", "judge")
WHO, KINDS, THINGS = (
    ("Mia", "Tom", "Eva", "Jonas", "Aylin"),
    ("red", "blue", "oak", "small"),
    ("lamps", "cups", "chairs", "tables"),
)
ASKS = (
    "{who} wants {count} {kind} {thing}.",
    "{count} {kind} {thing} for {who}, please",
    "Could {who} have {count} {kind} {thing}?",
)
FACETS = ({"topic": "everyday life", "difficulty": "harder"}, {"topic": "travel", "difficulty": "as in the examples"})
ORDERS = tuple(product(ASKS, THINGS, KINDS, WHO))
JAPANESE = ("ミアさんに赤いランプを三つお願いします。", "品目:ランプ|色:赤|数:3")
ARABIC = ("تريد ميا ثلاثة مصابيح حمراء (3 lamps).", "الصنف: مصابيح | اللون: أحمر | العدد: 3")
GERMAN = ("Tom hätte gern zwei blaue Tassen.", "Artikel: Tassen | Farbe: Blau | Anzahl: 2")
PLAN = {
    "recipe": "freeform",
    "models": [{"role": "teacher", "name": "a-teacher-7b"}, {"role": "judge", "name": "a-judge-14b"}],
    "prompts": {"questions": "sha256:1f6a", "judge_questions": "sha256:93bc", "answers": "sha256:07d2"},
    "seeds": {"train": [1, 2, 4, 5], "held_out": [3]},
    "tokens": {"prompt": 412_003, "completion": 88_120},
    "seconds": 341.5,
    "stop": {"after": 24, "share": 0.25},
}


def train(count: int) -> list[Row]:
    """`count` samples for training: of every nine one is scored low and one too like another or a seed."""
    made = []
    for number in range(1, count + 1):
        ask, thing, kind, who = ORDERS[number * 7 % len(ORDERS)]
        question = ask.format(who=who, count=number, kind=kind, thing=thing)
        answer = f"item: {thing} | kind: {kind} | count: {number}"
        if number % 40 in (2, 3, 5):
            question, answer = {2: GERMAN, 3: JAPANESE, 5: ARABIC}[number % 40]
        score = Score(
            "judge_pairs", 3 if number % 2 else 2, "The ticket has the item, the kind and the count that were asked for."
        )
        row = Row(
            f"{number:08x}", number, "train", "freeform", LEAF, 1 + number % 5, question, answer, facet=FACETS[number % 2]
        )
        row = replace(row, scores=(Score("judge_questions", 1, "An order that somebody would write."), score))
        made.append(_dropped(row) if number % 9 in (4, 7) else row)
    return made


def _dropped(row: Row) -> Row:
    if row.number % 9 == 4 and row.number % 4 == 3:
        off = Score("judge_questions", 0, "Nobody orders anything here.")
        return replace(row, question="Who invented the lamp?", answer="", scores=(off,)).dropped("judge_questions", "score")
    if row.number % 9 == 4:
        low = Score("judge_pairs", 1, "The count of the ticket is not that of the order.")
        return replace(row, scores=(row.scores[0], low)).dropped("judge_pairs", "score")
    if row.number % 3 == 1 and row.number % 2:
        return replace(row, question="Mia wants 3 red lamps, please.").dropped("judge", "seed", "Mia wants 3 red lamps.", 1)
    return row.dropped("judge", "near", f"{row.question} Thank you.", row.number - 1)


def held(name: rows.Set, count: int) -> list[Row]:
    return [replace(row, set=name, seed=3) for row in train(count)]


def run(folder: Path, trained: Sequence[Row], unseen: Sequence[Row] = (), reworded: Sequence[Row] = ()) -> Path:
    """A run's folder after the judge stage."""
    rows.write(folder / rows.GENERATED, trained)
    rows.write(folder / rows.SAMPLES, trained)
    rows.write(folder / rows.UNSEEN, unseen)
    rows.write(folder / rows.REWORDED, reworded)
    (folder / "samples" / "plan.json").write_text(json.dumps(PLAN), encoding="utf-8")
    (folder / "samples" / "yield.json").write_text(json.dumps(funnel(trained, unseen, reworded)), encoding="utf-8")
    return folder


def funnel(trained: Sequence[Row], unseen: Iterable[Row], reworded: Iterable[Row]) -> dict[str, object]:
    lost = Counter(row.at for row in trained if not row.kept)
    steps, left = [], len(trained)
    for step in STEPS:
        left -= lost[step]
        steps.append([step, left, lost[step]])
    reasons = Counter(f"{row.at}:{row.why}" for row in trained if not row.kept)
    kept = {
        "unseen": {"kept": sum(row.kept for row in unseen), "too_near": 0, "nearest": 0.41},
        "reworded": {"kept": sum(row.kept for row in reworded)},
    }
    return {"made": len(trained), "kept": left, "steps": steps, "reasons": dict(reasons), **kept}
