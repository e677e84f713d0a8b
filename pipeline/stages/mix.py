"""The stage that mixes: from the samples that were kept, the files that upstream's tools train on, and their card.

Everything is written into a folder of its own that takes the place of `mix/` when it is whole; a stage that is killed leaves
`.mix/`, which the next attempt begins with throwing away. The same samples and settings make the same bytes.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline import attribution
from pipeline.errors import Failed, Invalid, Problem
from pipeline.files import digest
from pipeline.generating import rows
from pipeline.mixing import blend, card, forms, nodes, sizes, tongue
from pipeline.mixing.blend import Mixed, Source
from pipeline.mixing.nodes import Nodes
from pipeline.mixing.sizes import MixConfig
from pipeline.report import page
from pipeline.stage import Job

BEAT_S = 5.0
LOOK = 500  # rows between two looks at the clock


def mix(job: Job) -> Mapping[str, str]:
    """Write `mix/`. Its settings: sizes.settings.

    Raises Invalid for mix.yaml (mix.base: a base mix is missing or broken), mix.none where no sample is kept; Failed for
    damaged rows, for a sample that stands in the unseen set too, and where the disk refuses.
    """
    path = Path(str(job.settings["home"])) / sizes.FILE
    config = sizes.load(path)
    with _made_anew(job.folder / "mix") as folder:
        facts = _mix(job, config, digest(path.read_bytes()), folder)
        (folder / "README.md").write_text(card.card(facts), encoding="utf-8")
    page.write(job.folder)
    return _told(facts)


def _mix(job: Job, config: MixConfig, config_digest: str, folder: Path) -> card.Facts:
    entry = _yaml(job.folder / "entry" / "qna.yaml")
    tested, held = _test(job.folder / rows.UNSEEN, folder / "test.jsonl", config.system)
    samples = job.folder / rows.SAMPLES
    if not samples.is_file():
        raise _none()
    beat = Beat(job.report, 2 * blend.count(samples))
    found = nodes.Writer(folder, config, str(entry.get("domain") or ""), tested, beat.tick).write(samples)
    if not found.kept:
        raise _none()
    mixes = _mixes(folder, config, found, tested, beat)
    counts = {name: mixed.rows for name, (_, mixed) in mixes.items() if mixed.rows}
    return card.Facts(
        plan=_json(job.folder / "samples" / "plan.json"),
        made=_json(job.folder / "samples" / "yield.json"),
        works=attribution.read(_text(job.folder / "entry" / "attribution.txt")),
        document=_json(job.folder / "document.json") or entry.get("document") or {},
        nodes=found,
        counts={**counts, "messages": found.kept, "train": found.kept, "test": held},
        mixes=mixes,
        config=config,
        config_digest=config_digest,
        languages=tongue.languages(found.words, config.languages),
    )


def _none() -> Invalid:
    fix = "Generate some first; where none survived, its report says why."
    return Invalid(Problem("mix.none", "no sample is kept that could be mixed", rows.SAMPLES, fix))


def _told(facts: card.Facts) -> dict[str, str]:
    """What people should know: rows by phase, samples, questions of the test, and whose rows are replayed."""
    base = [source.path.name for sources, _ in facts.mixes.values() for source in sources if source.of == "base"]
    counts = {name: str(facts.counts.get(name, 0)) for name in ("skills", "knowledge")}
    held = str(facts.counts.get("test", 0))
    return {"stage": "mix", **counts, "kept": str(facts.nodes.kept), "held": held, "replay": ", ".join(base) or "none"}


@dataclass(slots=True)
class Beat:
    """Reports how many rows are done, of about how many, every few seconds."""

    report: Callable[[float, Mapping[str, str]], None]
    whole: int
    done: int = 0
    told_at: float = 0.0

    def tick(self) -> None:
        self.done += 1
        if self.done % LOOK == 0 and time.monotonic() - self.told_at >= BEAT_S:
            self.told_at = time.monotonic()
            self.report(min(1.0, self.done / max(1, self.whole)), {"stage": "mix", "rows": str(self.done)})


# --- what is mixed


def _test(unseen: Path, target: Path, system: str) -> tuple[frozenset[str], int]:
    """Write test.jsonl; what the unseen set asks, and how many questions it has. There is no file where there are none."""
    asked, lines = set[str](), 0
    with target.open("wb") as file:
        for row in rows.read(unseen):
            if row.kept and forms.whole(row):
                asked.add(nodes.key(row.asks))
                file.write(forms.test(row, system))
                lines += 1
    if not lines:
        target.unlink()
    return frozenset(asked), lines


def _mixes(
    folder: Path, config: MixConfig, found: Nodes, tested: frozenset[str], beat: Beat
) -> dict[str, tuple[list[Source], Mixed]]:
    """Write the recipes of both phases, and their rows where there are any leaves for them, as upstream does."""
    sources = {"knowledge": _knowledge(folder, config, found), "skills": _skills(folder, config, found)}
    ours = {name: any(source.of != "base" for source in listed) for name, listed in sources.items()}
    beat.whole = beat.done + sum(source.drawn for name in sources if ours[name] for source in sources[name])
    made = {}
    for name, listed in sources.items():
        (folder / f"{name}_recipe.yaml").write_text(blend.recipe(listed, folder, config.system), encoding="utf-8")
        if ours[name]:
            with (folder / card.FILES[name]).open("wb") as file:
                mixed = blend.mix(listed, file, system=config.system, seed=config.seed, tested=tested, beat=beat.tick)
            made[name] = (listed, mixed)
    return made


def _knowledge(folder: Path, config: MixConfig, found: Nodes) -> list[Source]:
    """Phase 07: the base mix, and each leaf of knowledge whole."""
    leaves = [leaf for leaf in found.leaves.values() if leaf.knowledge]
    return _base(config.knowledge) + [
        Source(folder / leaf.file("_p07"), leaf.phases["_p07"], 1.0, "knowledge") for leaf in leaves
    ]


def _skills(folder: Path, config: MixConfig, found: Nodes) -> list[Source]:
    """Phase 10: the base mix, a fixed number of rows of each skill, and knowledge, drawn up where it would drown."""
    base = _base(config.skills)
    before = sum(source.drawn for source in base)
    alone = not base and len(found.leaves) == 1
    listed = []
    for leaf in found.leaves.values():
        size: sizes.Size = 1.0
        phase, of = ("_p10", "knowledge") if leaf.knowledge else ("", "skill")
        count = leaf.phases[phase]
        if not leaf.knowledge and not alone:
            size = config.leaf_samples
        elif leaf.knowledge and before and count / before < config.knowledge_share:
            size = int(before * config.knowledge_share)
        listed.append(Source(folder / leaf.file(phase), count, size, "knowledge" if of == "knowledge" else "skill"))
    return base + listed


def _base(files: Sequence[sizes.BaseConfig]) -> list[Source]:
    return [Source(Path(one.path), blend.count(Path(one.path)), one.size, "base") for one in files]


# --- files


@contextmanager
def _made_anew(target: Path) -> Iterator[Path]:
    """A folder that takes the place of `target` if all goes well. Raises Failed where the disk refuses."""
    part = target.with_name(f".{target.name}")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        yield part
        for path in part.rglob("*"):
            if path.is_file():
                _settle(path)
        if target.exists():
            shutil.rmtree(target)
        os.replace(part, target)
    except OSError as error:
        raise Failed(f"{error.filename or target} cannot be read or written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _settle(path: Path) -> None:
    """Have the disk write it: a receipt vouches for it from now on."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _json(path: Path) -> Mapping[str, Any]:
    """Raises Failed for damage."""
    try:
        found = json.loads(_text(path) or "{}")
    except ValueError as error:
        raise Failed(f"{path} is damaged: {error}") from None
    return found if isinstance(found, dict) else {}


def _yaml(path: Path) -> Mapping[str, Any]:
    """The entry; what is wrong with it was said long before."""
    try:
        found = yaml.safe_load(_text(path))
    except yaml.YAMLError as error:
        raise Failed(f"{path} cannot be read: {error}") from None
    return found if isinstance(found, dict) else {}
