"""A run folder as the stages before `generate` leave it, and its stages beside a scripted teacher."""

import asyncio
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.generating import rows
from pipeline.generating.leaf import leaf
from pipeline.generating.rows import Kind, Row
from pipeline.stage import Job
from pipeline.stages.generate import generate
from pipeline.stages.judge import judge
from tests.conftest import HOME

LEAVES: Mapping[Kind, tuple[str, str]] = {
    "freeform": ("compositional_skills", "linguistics/lights"),
    "grounded": ("compositional_skills", "grounded/linguistics/lights"),
    "knowledge": ("knowledge", "science/lights"),
}
SEEDS: Mapping[str, tuple[tuple[str, str, str], ...]] = {  # context, question, answer
    "en": (
        ("A lamp hangs in the hall.", "What did the old keeper say about his broken lamp?", "That it is fine."),
        ("The tower has a stair.", "How many steps lead up to the gallery of our tower?", "As many as it takes."),
        ("Fog came over the sea.", "Why must ships wait outside when thick fog comes in?", "Nobody sees them."),
        ("The harbour froze over.", "Who breaks the ice before boats leave this harbour?", "The pilots do."),
        ("An anchor lies ashore.", "Which rope holds an anchor that nobody wants any more?", "None of them."),
    ),
    "de": (
        ("Im Flur hängt eine Lampe.", "Was sagte der alte Wärter über seine zerbrochene Lampe?", "Dass sie brennt – „gut“."),
        ("Der Turm hat eine Treppe.", "Wie viele Stufen führen auf die Galerie unseres Turms?", "So viele wie nötig."),
        ("Nebel kam über das Meer.", "Warum müssen große Schiffe bei dichtem Nebel warten?", "Niemand sieht sie."),
        ("Der Hafen war zugefroren.", "Wer bricht das Eis, ehe Boote diesen Hafen verlassen?", "Die Lotsen tun es."),
        ("Ein Anker liegt am Strand.", "Welches Seil hält einen Anker, den keiner mehr möchte?", "Keins von ihnen."),
    ),
    "ja": (
        ("廊下にランプがある。", "年老いた灯台守は壊れたランプについて何と言いましたか？", "まだ使えると言いました。"),
        ("塔には階段がある。", "展望台まで上るには全部でいくつの段がありますか？", "必要なだけあります。"),
        ("海に霧が出た。", "濃霧のとき船が沖合で待たなければならない理由は？", "誰にも見えないからです。"),
        ("港が凍った。", "小舟が出る前に厚い氷を割るのは誰の仕事ですか？", "水先人の仕事です。"),
        ("浜に錨がある。", "もう要らなくなった錨を結ぶ綱はどれを選びますか？", "どれも選びません。"),
    ),
}
DOCUMENT = "# Lights of the coast\n\nThe lamp is lit at dusk by whoever keeps it, and burns until the sun is up again.\n"
SMALL: Mapping[str, Any] = {"samples": 6, "unseen": 6, "reworded": 1, "stop.share": 0}  # settings of the recipe


def entry(kind: Kind, language: str = "en") -> dict[str, Any]:
    """An entry with five seed examples, each of its own words."""
    examples: list[dict[str, Any]] = []
    for context, question, answer in SEEDS[language]:
        pair = {"question": question, "answer": answer}
        about = {} if kind == "freeform" else {"context": context}
        examples.append({**about, **({"questions_and_answers": [pair]} if kind == "knowledge" else pair)})
    found = {"version": 3, "created_by": "ann", "task_description": "Tell of the lights.", "seed_examples": examples}
    if kind == "knowledge":
        found |= {"document_outline": "The lights of the coast", "domain": "coasts"}
    return found


def job(base: Path, kind: Kind, url: str = "", *, language: str = "en", home: Path = HOME, **more: Any) -> Job:
    """A job in `base`/run, made where it is not there. `more`: the recipe's settings; `inputs`, `report`, `thumbs` and

    `fence` are the job's own. `url` is the teacher's and the judge's.
    """
    folder = base / "run"
    if not folder.is_dir():
        (folder / "entry").mkdir(parents=True)
        (folder / "entry" / "qna.yaml").write_text(yaml.safe_dump(entry(kind, language), allow_unicode=True), encoding="utf-8")
        lines = json.dumps({"path": "lights.md", "text": DOCUMENT}) + "\n" if kind == "knowledge" else ""
        (folder / "document.jsonl").write_text(lines, encoding="utf-8")
        (folder / "document.json").write_text("{}", encoding="utf-8")
    root, leaf = LEAVES[kind]
    inputs = {"root": root, "leaf": leaf, **more.pop("inputs", {})}
    own = {name: more.pop(name) for name in ("fence", "thumbs") if name in more}
    report: Callable[[float, Mapping[str, str]], None] = more.pop("report", lambda fraction, facts: None)
    urls = {"LABBOT_TEACHER_URL": url, "LABBOT_JUDGE_URL": url} if url else {}
    settings = {"home": str(home), "folder": str(base / "models"), "urls": urls, "recipe": {**SMALL, **more}}
    return Job(folder, inputs, settings, report, **own)


async def made(given: Job) -> dict[str, Any]:
    """Both stages; what they say of their end, and yield.json under "yield"."""
    told = dict(await asyncio.to_thread(generate, given))
    told |= dict(await asyncio.to_thread(judge, given))
    return {**told, "yield": json.loads((given.folder / "samples" / "yield.json").read_bytes())}


def samples(given: Job, path: str = rows.SAMPLES) -> list[Row]:
    return list(rows.read(given.folder / path))


def kept(given: Job) -> set[str]:
    """The questions of the samples that are kept."""
    return {row.question for row in samples(given) if row.kept}


def files(folder: Path) -> dict[str, bytes]:
    """What the stages of a run wrote for those who come after, by path: all but the page.

    What a write that was killed left, whose name begins with a dot, is nobody's (see pipeline.stage).
    """
    wanted = ("samples", "holdout", "mix")
    found = sorted(path for name in wanted for path in (folder / name).rglob("*") if path.is_file() and path.name[0] != ".")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def home(base: Path, concurrency: int = 512) -> Path:
    """A home of its own with our configs, whose prompts a test may change. `concurrency`: most requests at once."""
    for name in ("models", "prompts", "recipes", "calibration"):
        shutil.copytree(HOME / "configs" / name, base / "home" / "configs" / name)
    path = base / "home" / "configs" / "models" / "roles.yaml"
    text = path.read_text(encoding="utf-8")
    assert "concurrency: 512" in text
    path.write_text(text.replace("concurrency: 512", f"concurrency: {concurrency}"), encoding="utf-8")
    return base / "home"


def held(kind: Kind, language: str = "en") -> dict[str, str]:
    """The questions of the seed example that is held out, with their contexts where a sample has one."""
    found = leaf(yaml.safe_dump(entry(kind, language)), "")
    return {pair.question: one.context if kind == "grounded" else "" for one in found.held for pair in one.pairs}
