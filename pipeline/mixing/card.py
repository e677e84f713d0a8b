"""The dataset card of a mix, `README.md` with a head in YAML as the Hugging Face hub reads it.

With it `datasets.load_dataset(FOLDER, "skills")` loads a file by its name. What people and models wrote is escaped: a title
can be no link, no tag and no heading. The card is the same for the same samples: it has no date.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from pipeline import licences
from pipeline.files import file_digest
from pipeline.markdown import code as _code
from pipeline.markdown import link as _link
from pipeline.markdown import plain as _plain
from pipeline.markdown import table as _table
from pipeline.mixing.blend import Mixed, Source
from pipeline.mixing.nodes import Nodes
from pipeline.mixing.sizes import MixConfig
from pipeline.taxonomy import Work

FILES = {  # config name -> file, as a reader of the hub chooses them
    "skills": "skills_train_msgs.jsonl",
    "knowledge": "knowledge_train_msgs.jsonl",
    "messages": "messages.jsonl",
    "train": "train.jsonl",
    "test": "test.jsonl",
}
WHAT = {
    "skills": "the skills phase (phase 10): train on this last",
    "knowledge": "the knowledge phase (phase 07): train on this first",
    "messages": "the samples alone, as messages (an older format)",
    "train": "the samples alone, as system, user, assistant (the oldest format)",
    "test": "the unseen set, held out: never train on this",
}
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))
HUB = {name: name.lower() for name in licences.ALLOWED if name != licences.PUBLIC_DOMAIN}  # the hub's own are in lower case
SHOWN = 12  # characters of a digest
WHY = {
    "score": "a judge's score was too low",
    "malformed": "the answer was not as its schema wants it",
    "empty": "nothing was written",
    "cut": "the tokens were spent before the end",
    "failed": "the endpoint failed",
    "same": "an exact duplicate of another sample",
    "near": "nearly another sample",
    "seed": "too like a seed example",
    "taxonomy": "too like a question of the taxonomy",
    "unseen": "too near the unseen set",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the card is written from. `plan`, `made`: samples/plan.json and yield.json; `counts`: rows by the names in FILES."""

    plan: Mapping[str, Any]
    made: Mapping[str, Any]
    works: Sequence[Work]
    document: Mapping[str, Any]
    nodes: Nodes
    counts: Mapping[str, int]
    mixes: Mapping[str, tuple[Sequence[Source], Mixed]]
    config: MixConfig
    config_digest: str
    languages: Sequence[str]


def card(facts: Facts) -> str:
    leaf = str(facts.plan.get("leaf") or next(iter(facts.nodes.leaves.values())).name)
    parts = (
        [f"# {_plain(leaf)}", f"Synthetic samples that teach `{_code(leaf)}`, made by labbot by the LAB method from the seed"
         " examples of a contributor. Models wrote and judged them; people may not have read them all."],
        ["## Files", *_files(facts)],
        ["## How they were made", *_making(facts)],
        ["## Yield", *_yield(facts.made)],
        ["## Held out", *_held(facts)],
        ["## The mix", *_mix(facts)],
        ["## Sources", *_sources(facts)],
    )  # fmt: skip
    return f"---\n{_head(facts, leaf)}---\n\n" + "\n\n".join(text for part in parts for text in part) + "\n"


def _head(facts: Facts, leaf: str) -> str:
    known = [licences.normal(work.licence) for work in facts.works]
    names = sorted({HUB.get(name, "other") for name in known}) or ["unknown"]
    others = sorted({name for name in known if name not in HUB})
    listed = [{"config_name": name, "data_files": _split(name)} for name, count in facts.counts.items() if count]
    rows = facts.nodes.kept
    head: dict[str, Any] = {"pretty_name": leaf, "license": names[0] if len(names) == 1 else names}
    if others:
        head["license_name"] = ", ".join(others)
    if facts.languages:
        head["language"] = list(facts.languages)
    head |= {"task_categories": ["text-generation"], "tags": ["synthetic", "instructlab", "lab"]}
    head |= {"size_categories": [next((name for most, name in SIZES if rows < most), "n>10M")], "configs": listed}
    return yaml.safe_dump(head, sort_keys=False, allow_unicode=True)


def _split(name: str) -> list[dict[str, str]]:
    return [{"split": "test" if name == "test" else "train", "path": FILES[name]}]


def _files(facts: Facts) -> list[str]:
    table = [(f"`{FILES[name]}`", f"{count:,}", WHAT[name]) for name, count in facts.counts.items() if count]
    for leaf in facts.nodes.leaves.values():
        table += [(f"`{leaf.file(phase)}`", f"{count:,}", "all rows of the leaf") for phase, count in leaf.phases.items()]
    table += [("`skills_recipe.yaml`, `knowledge_recipe.yaml`", "", "what is mixed, for `ilab data mix`")]
    lost = facts.nodes.blank
    told = [f"Left out: {lost:,} kept samples without a question, an answer or a document."] if lost else []
    return [_table(("file", "rows", "what"), table), *told]


def _making(facts: Facts) -> list[str]:
    plan = facts.plan
    told = [f"* Kind: {_plain(plan.get('kind', 'not said'))}"]
    for role, model in _mapping(plan.get("models")).items():
        version = f", weights `{_code(model['version'])}`" if model.get("version") else ""
        told.append(f"* {_plain(role).capitalize()}: `{_code(model.get('name') or 'not said')}`{version}")
    if "kappa" in plan:
        about = f"kappa {_plain(plan['kappa'])}, on samples of this kind" if plan["kappa"] else "not measured"
        told.append(f"* The judge's agreement with labbot's own labelled samples (labpipe judge --calibrate): {about}")
    if recipe := plan.get("recipe"):
        told.append(f"* Recipe: `{_digest(recipe)}`; samples depend on `{_code(plan.get('made', ''))}`")
    told.append(f"* Languages, as far as told: {', '.join(facts.languages) or 'none'}")
    prompts = [(f"`{_code(name)}`", f"`{_short(text)}`") for name, text in _mapping(plan.get("prompts")).items()]
    return ["\n".join(told), *([_table(("prompt", "digest"), prompts)] if prompts else [])]


def _yield(made: Mapping[str, Any]) -> list[str]:
    total, kept = int(made.get("made") or 0), int(made.get("kept") or 0)
    share = f" ({kept / total:.0%})" if total else ""
    steps = [(f"`{_code(name)}`", f"{passed:,}", f"{dropped:,}") for name, passed, dropped in made.get("steps") or ()]
    reasons = sorted(_mapping(made.get("reasons")).items(), key=lambda one: (-one[1], one[0]))
    told = [f"{kept:,} of {total:,} samples were kept{share}."]
    if steps:
        told.append(_table(("step", "passed", "dropped"), steps))
    if reasons:
        told.append(_table(("dropped at", "because", "samples"), [_reason(name, count) for name, count in reasons]))
    lost = [(*_reason(f"{one['step']}:{one['why']}", one["count"]), _plain(one["wrong"])) for one in made.get("lost") or ()]
    if lost:
        told.append("Requests for lists that led to no sample at all:")
        told.append(_table(("lost at", "because", "requests", "what was wrong with the first"), lost))
    return told


def _reason(name: str, count: int) -> tuple[str, str, str]:
    at, _, why = name.partition(":")
    return f"`{_code(at)}`", WHY.get(why, _plain(why)), f"{count:,}"


def _held(facts: Facts) -> list[str]:
    held = ", ".join(map(str, _mapping(facts.plan.get("seeds")).get("held") or ())) or "none"
    unseen = _mapping(facts.made.get("unseen"))
    told = [
        f"Held out before anything was made: seed example {held}, counted from 1 as in qna.yaml. From what is held out alone"
        f" come the {facts.counts.get('test', 0):,} questions of the unseen set; no row to train on has one of them."
    ]
    if "too_near" in unseen:
        told.append(f"Samples dropped because they came too near the unseen set: {int(unseen['too_near']):,}.")
    if isinstance(unseen.get("nearest"), int | float):
        told.append(f"The sample nearest to it that was kept has a likeness (Jaccard) of {unseen['nearest']:.2f}.")
    return told


def _mix(facts: Facts) -> list[str]:
    config = facts.config
    every = [source for sources, _ in facts.mixes.values() for source in sources]
    told = [f"Seed {config.seed}; settings `{_short(facts.config_digest)}`; system prompt: {_plain(config.system)}"]
    if all(source.size == 1.0 for source in every):
        told.append("Every row is taken once, none is drawn.")
    else:
        told.append(
            f"What is drawn is drawn with replacement, the very rows that upstream draws: {config.leaf_samples} of each skill,"
            f" and of knowledge, where it has less, {config.knowledge_share:.0%} of the base mix of skills."
        )
    if all(source.of != "base" for source in every):
        told.append(
            "**No base mix is replayed**, none is set up. What a model learned in earlier trainings may fade; the skills"
            " phase replays the knowledge phase alone, where there is one."
        )
    table = []
    for name, (sources, mixed) in facts.mixes.items():
        lost = [empty + tested for empty, tested in zip(mixed.empty, mixed.tested, strict=True)]
        for source, taken, left in zip(sources, mixed.taken, lost, strict=True):
            table.append((name, _source(source), f"{source.rows:,}", _size(source), f"{taken:,}", f"{left:,}" if left else ""))
    told.append(_table(("phase", "file", "rows", "size", "taken", "left out"), table))
    if any(sum(mixed.tested) for _, mixed in facts.mixes.values()):
        told.append("Left out of the base mix: rows that say nothing, and rows that ask a question of the unseen set.")
    return told


def _source(source: Source) -> str:
    digest = f" (base mix, `{_short(file_digest(source.path))}`)" if source.of == "base" else ""
    return f"`{_code(source.path.name)}`{digest}"


def _size(source: Source) -> str:
    if source.size == 1.0:
        return "all"
    return f"{source.drawn:,} drawn" + (f", {source.drawn / source.rows:.1f} times each" if source.drawn > source.rows else "")


def _sources(facts: Facts) -> list[str]:
    table = [
        (_plain(one.title), _link(one.link), _plain(licences.normal(one.licence)) or "not said", _plain(one.creators))
        for one in facts.works
    ]
    told = [_table(("work", "link", "licence", "creators"), table) if table else "None are named."]
    if facts.document.get("repo"):
        commit = _code(str(facts.document.get("commit", "")))
        told.append(f"The document: {_link(facts.document['repo'])} at `{commit}`, under the licence of its work above.")
    for row in facts.document.get("files") or ():
        if row.get("read", 0) < row.get("pages", 0):
            told.append(f"Of `{_code(row['path'])}` the first {row['read']:,} of its {row['pages']:,} pages were read.")
    return told


def _digest(value: Any) -> str:
    from pipeline.files import digest

    return _short(digest(json.dumps(value, sort_keys=True).encode()))


def _short(digest: object) -> str:
    return _code(str(digest).removeprefix("sha256:"))[:SHOWN]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
