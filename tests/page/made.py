"""Runs made by rule, as a stage leaves them: rows of all sets, the funnel and the plan. The same every time."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from pipeline.evaluating import outcome, wording
from pipeline.evaluating.answers import Said
from pipeline.evaluating.outcome import Answered, Judged
from pipeline.evaluating.questions import Question, messages
from pipeline.generating import rows
from pipeline.generating.rows import Row, Score
from pipeline.report import parts

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


def trained(folder: Path, steps: int = 300, texts: Sequence[str] = ()) -> Path:
    """What a training and its comparison leave, beside what is there. `texts` stand wherever a model's or a person's may."""
    (folder / "train").mkdir(parents=True, exist_ok=True)
    plan = {"base": {"name": "".join(texts[:1]) or "tiny", "version": "0f"}, "device": "cpu", "precision": "fp32"}
    (folder / parts.TRAINED).write_text(json.dumps({**plan, "best": {"step": steps, "loss": 0.2}}), encoding="utf-8")
    lines = [
        {
            "step": step,
            "epoch": step / 30,
            "loss": None if step == 7 else 0.2 + 3 / step,
            "rate": 3e-3,
            "norm": 1.0,
            "tokens": 640,
            "seconds": 0.1,
        }
        for step in range(1, steps + 1)
    ]
    (folder / parts.METRICS).write_text("".join(f"{json.dumps(one)}\n" for one in lines), encoding="utf-8")
    held = [{"step": steps * at // 8, "loss": 0.3 + 2 / (1 + at), "right": 3 * at, "asked": 24} for at in range(9)]
    (folder / parts.CHECKPOINTS).write_text("".join(f"{json.dumps(one)}\n" for one in held), encoding="utf-8")
    (folder / parts.SCORES).write_text(json.dumps(scores(texts)), encoding="utf-8")
    return folder


def scores(texts: Sequence[str] = ()) -> dict[str, object]:
    rows = [
        *answered("unseen", 75),
        *(Answered(_question("unseen", 76 + at, one, one), Said(one), Said(one)) for at, one in enumerate(texts)),
    ]
    sets = {"unseen": rows, "reworded": answered("reworded", 20)}
    known = [
        Answered(one.question, one.after, one.after if at % 9 else Said("woof"))
        for at, one in enumerate(answered("repeat", 60))
    ]
    found = {
        "version": 1,
        "base": {"name": "tiny", "version": "0f"},
        "adapter": "sha256:1f",
        **{name: outcome.compared(several, Judged(why="absent")) for name, several in sets.items()},
        "forgetting": outcome.kept(known, "practice"),
        "seeds": [outcome.row(one, held=one.question.number == 3) for one in answered("seeds", 5)],
        "examples": outcome.examples(sets, dict.fromkeys(sets, Judged())),
        "choosing": {"questions": 25, "shared_with_test": True},
    }
    return {**found, "notes": wording.notes(found)}


def answered(name: str, count: int) -> list[Answered]:
    """Of every twelve one is wrong after the training, all are before."""
    rows = train(count)
    return [
        Answered(
            _question(name, row.number, row.question, row.answer or "none"),
            Said(row.question[:12]),
            Said(row.answer if row.number % 12 else "item"),
        )
        for row in rows
    ]


def _question(name: str, number: int, asks: str, wanted: str) -> Question:
    return Question(name, number, messages(asks, ""), asks, (wanted,), context=asks if number > 75 else "")
