"""A run folder as the stages before `mix` leave it, with samples made by rule."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from pipeline.files import file_digest
from pipeline.generating import rows
from pipeline.generating.rows import Kind, Row, Score
from pipeline.mixing import sizes
from pipeline.stage import Job
from pipeline.stages.mix import mix
from tests.conftest import HOME

LEAVES: dict[Kind, str] = {
    "freeform": "compositional_skills/linguistics/orders",
    "grounded": "compositional_skills/grounded/linguistics/notes",
    "knowledge": "knowledge/science/lighthouses",
}
ATTRIBUTION = """\
Title of work: Lights of the <b>coast</b> | [all](https://example.org)
Link to work: https://example.org/lights
License of the work: CC BY-SA 4.0
Creator names: Mary Keeper

Title of work: Own notes
Link to work: -
License of the work: Public domain
Creator names: ann
"""
YIELD = {
    "made": 20,
    "kept": 12,
    "steps": [["questions", 20, 0], ["judge_pairs", 14, 6]],
    "reasons": {"judge_pairs:score": 6, "judge:near": 2},
    "lost": [{"step": "questions", "why": "cut", "count": 5, "wrong": "the list has no | end"}],
    "unseen": {"kept": 3, "too_near": 1, "nearest": 0.431},
}
PLAN = {
    "version": 1,
    "made": "0123456789abcdef",
    "kind": "freeform",
    "seeds": {"train": [1, 2, 4, 5], "held": [3]},
    "models": {"teacher": {"name": "big-teacher", "version": "abc123"}, "judge": {"name": "fair`judge", "version": ""}},
    "prompts": {"questions": "sha256:" + 64 * "1", "answers": "sha256:" + 64 * "2"},
    "recipe": {"samples": 30},
}
DOCUMENT = {"repo": "https://example.org/lights.git", "commit": 40 * "a", "patterns": ["*.md"]}


def row(number: int, kind: Kind = "freeform", **more: Any) -> Row:
    """A sample that is kept; of knowledge, each document has three."""
    name = f"{number:03d}"
    made = Row(
        id=f"{number:016x}",
        number=number,
        set="train",
        kind=kind,
        leaf=LEAVES[kind],
        seed=1 + number % 4,
        question=f"Who keeps lamp {name} alight?",
        answer=f"Keeper {name} does.",
        context=f"Note {name}: the lamp is kept." if kind == "grounded" else "",
        document=f"Of lamp {number // 3}.\n\nIt shines far." if kind == "knowledge" else "",
        chunk=f"c{number // 3}" if kind == "knowledge" else "",
        facet={"topic": "the sea", "form": "a question"},
        scores=(Score("judge_pairs", 3, "It is right."),),
    )
    return replace(made, **more)


def many(count: int, kind: Kind = "freeform") -> list[Row]:
    return [row(number, kind) for number in range(1, count + 1)]


def held(count: int = 3, kind: Kind = "freeform") -> list[Row]:
    """Questions of the unseen set."""
    return [
        row(number, kind, set="unseen", id=f"{number:016x}u", question=f"When was tower {number} built?", seed=3)
        for number in range(1, count + 1)
    ]


def job(
    tmp_path: Path, samples: Iterable[Row], unseen: Iterable[Row] | None = None, told: list[Any] | None = None, **changes: Any
) -> Job:
    """A job for the stage. `changes`: settings of mix.yaml that are others than those we ship."""
    folder = tmp_path / "run"
    samples = list(samples)
    kind = samples[0].kind if samples else "freeform"
    (folder / "entry").mkdir(parents=True, exist_ok=True)
    entry: dict[str, Any] = {"version": 3, "created_by": "ann", "seed_examples": []}
    entry |= {"domain": "Coasts", "document": DOCUMENT} if kind == "knowledge" else {"task_description": "Say who keeps it"}
    (folder / "entry" / "qna.yaml").write_text(yaml.safe_dump(entry), encoding="utf-8")
    (folder / "entry" / "attribution.txt").write_text(ATTRIBUTION, encoding="utf-8")
    rows.write(folder / rows.SAMPLES, samples)
    rows.write(folder / rows.UNSEEN, held(kind=kind) if unseen is None else unseen)
    (folder / "samples" / "plan.json").write_text(json.dumps({**PLAN, "leaf": LEAVES[kind], "kind": kind}), encoding="utf-8")
    (folder / "samples" / "yield.json").write_text(json.dumps(YIELD), encoding="utf-8")
    settings = given(configured(tmp_path / "home", **changes))
    report = (lambda fraction, facts: told.append((fraction, facts))) if told is not None else (lambda fraction, facts: None)
    return Job(folder, {}, settings, report)


def given(home: Path) -> Mapping[str, Any]:
    """What an installation gives the stage."""
    return {**sizes.settings(home), "digest": file_digest(home / sizes.FILE)}


def configured(home: Path, **changes: Any) -> Path:
    path = home / sizes.FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    found = yaml.safe_load((HOME / sizes.FILE).read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**found, **changes}), encoding="utf-8")
    return home


def mixed(tmp_path: Path, samples: Iterable[Row], unseen: Iterable[Row] | None = None, **changes: Any) -> Path:
    """The folder of the mix."""
    made = job(tmp_path, samples, unseen, **changes)
    mix(made)
    return made.folder / "mix"


def read(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def jsonl(path: Path, found: Iterable[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in found), encoding="utf-8")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
