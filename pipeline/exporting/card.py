"""The model card of an export, `README.md` with a head in YAML as the Hugging Face hub reads it.

It says what the model is, what it was made from and under which licences, how well it did on questions that it never saw,
and how it is used. What people and models wrote is escaped. The card has no date: the same export makes the same card.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from pipeline import licences, markdown
from pipeline.mixing.card import HUB
from pipeline.models.catalog import amount
from pipeline.taxonomy import Work

HUB_NAME = r"[\w.-]+/[\w.-]+"
SHOWN = 12  # characters of a digest
USES = {  # by the file that they need
    "adapter": (
        "With transformers and peft",
        """```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = AutoModelForCausalLM.from_pretrained("BASE")
model = PeftModel.from_pretrained(base, "ADAPTER")
words = AutoTokenizer.from_pretrained("BASE")
```""",
    ),
    "vllm": ("With vLLM", "```\nvllm serve BASE --enable-lora --max-lora-rank RANK --lora-modules NAME=ADAPTER\n```"),
    "adapter.gguf": ("With llama.cpp", "```\nllama-server --model base.gguf --lora adapter.gguf\n```"),
    "labpipe": ("With labbot", "```\nlabpipe serve NAME --adapters .\n```"),
    "merged": (
        "The merged model, which has the adapter in its weights",
        '```python\nmodel = AutoModelForCausalLM.from_pretrained("merged")\n```',
    ),
    "gguf": ("The merged model with llama.cpp", "```\nllama-server --model FILE\n```"),
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a card is written from. `plan`: train/plan.json; `head`: that of mix/README.md; `files`: (name, bytes, sha256).

    `base_source`: where the base is from; a place on the hub is a link. `scores`: scores.md. `checks`: those of checks.json.
    """

    leaf: str
    plan: Mapping[str, Any]
    base_licence: str
    base_source: str
    works: Sequence[Work]
    files: Sequence[tuple[str, int, str]]
    checks: Sequence[Mapping[str, Any]]
    head: Mapping[str, Any] = field(default_factory=dict)
    scores: str = ""

    @property
    def base(self) -> str:
        return str(self.plan.get("base", {}).get("name", ""))

    @property
    def base_page(self) -> str:
        """OWNER/NAME of the base on the hub; "" for one that is not from there, or nobody knows."""
        page = self.base_source.partition("@")[0]
        return page if re.fullmatch(HUB_NAME, page) else ""

    @property
    def names(self) -> frozenset[str]:
        """Files and folders at the top of the export."""
        return frozenset(name.partition("/")[0] for name, _, _ in self.files)


def card(facts: Facts) -> str:
    """The whole card."""
    kind = "An adapter (LoRA)" if "adapter" in facts.names else "A model"
    origin = (
        f"{kind} for `{markdown.code(facts.base)}` that was taught `{markdown.code(facts.leaf)}` with labbot by the LAB method"
    )
    parts = (
        [f"# {markdown.plain(facts.leaf or facts.base)}", f"{origin}: from a few examples of a contributor, synthetic samples"
         " were made, judged and mixed, and the adapter was trained on them."],
        ["## Use", *_uses(facts)],
        ["## Training", *_training(facts)],
        ["## Data", *_data(facts)],
        ["## Scores", *_scores(facts)],
        ["## Files", _files(facts), *_checked(facts)],
        ["## Licences", *_licences(facts)],
        ["## Limits", "It was taught one thing. What the base gets wrong it may still get wrong, and what it could do before"
         " it may do worse: the scores tell as far as it was looked at. Nobody looked at it for safety beyond that."],
    )  # fmt: skip
    return f"---\n{_head(facts)}---\n\n" + "\n\n".join(text for part in parts for text in part) + "\n"


def _head(facts: Facts) -> str:
    known = [licences.normal(one) for one in (facts.base_licence, *(work.licence for work in facts.works)) if one]
    names = sorted({HUB.get(name, "other") for name in known}) or ["unknown"]
    others = sorted({name for name in known if name not in HUB})
    adapter = "adapter" in facts.names
    head: dict[str, Any] = {"library_name": "peft" if adapter else "transformers", "pipeline_tag": "text-generation"}
    if facts.base_page:
        head["base_model"] = facts.base_page
        head["base_model_relation"] = "adapter" if adapter else "finetune"
    head["license"] = names[0] if len(names) == 1 else names
    if others:
        head["license_name"] = ", ".join(others)
    if facts.head.get("language"):
        head["language"] = facts.head["language"]
    tags = ["labbot", "instructlab", "lab", "synthetic", *(["lora"] if adapter else [])]
    head["tags"] = [*tags, *(["gguf"] if any(name.endswith(".gguf") for name in facts.names) else [])]
    return yaml.safe_dump(head, sort_keys=False, allow_unicode=True)


def _uses(facts: Facts) -> list[str]:
    wanted: list[str] = [name for name in ("adapter", "adapter.gguf", "merged") if name in facts.names]
    wanted += ["vllm", "labpipe"] if "adapter" in wanted else []
    models = sorted(name for name in facts.names if name.startswith("model-"))
    rank = max([facts.plan.get("config", {}).get("rank", 16), *facts.plan.get("config", {}).get("ranks", {}).values()])
    words = {"BASE": facts.base_page or facts.base, "RANK": str(rank), "NAME": facts.base}
    words |= {"ADAPTER": "adapter", "FILE": models[0] if models else ""}
    told = []
    for name in [one for one in USES if one in wanted or (one == "gguf" and models)]:
        title, text = USES[name]
        told += [f"{title}:", re.sub("|".join(words), lambda found: markdown.code(words[found[0]]), text)]
    return told


def _training(facts: Facts) -> list[str]:
    plan, config, samples = facts.plan, facts.plan.get("config", {}), facts.plan.get("samples", {})
    best = plan.get("best", {})
    version = markdown.code(plan.get("base", {}).get("version", ""))
    rows = [
        ("base", f"`{markdown.code(facts.base)}`, version `{version}`"),
        ("method", f"{config.get('method')}, rank {config.get('rank')}, alpha {config.get('alpha')}"),
        ("steps", f"{plan.get('steps')}, up to {config.get('batch_tokens')} tokens each; highest rate {config.get('rate')}"),
        ("kept", f"step {best.get('step')}, the best of those that were scored" if best else "the last step"),
        ("samples", f"{samples.get('train')}, and {samples.get('replay')} of what the base was taught with"),
        ("computed on", f"{plan.get('device')}, {plan.get('precision')}"),
    ]
    return [markdown.table(("what", ""), [(what, markdown.plain(text) if "`" not in text else text) for what, text in rows])]


def _data(facts: Facts) -> list[str]:
    table = [
        (markdown.plain(one.title), markdown.link(one.link), _licence(one.licence), markdown.plain(one.creators))
        for one in facts.works
    ]
    told = ["Models wrote the samples that it was trained on; people may not have read them all. They go back to these works:"]
    return [*told, markdown.table(("work", "link", "licence", "creators"), table) if table else "None are named."]


def _scores(facts: Facts) -> list[str]:
    """scores.md, its headings below this one."""
    if not facts.scores:
        return ["It was not compared with its base yet."]
    lines = [line for line in facts.scores.splitlines() if not line.startswith("# ")]
    return ["\n".join(f"#{line}" if line.startswith("##") else line for line in lines).strip()]


def _files(facts: Facts) -> str:
    table = [(f"`{markdown.code(name)}`", amount(size), f"`{digest[:SHOWN]}`") for name, size, digest in facts.files]
    return markdown.table(("file", "size", "sha256"), table)


def _checked(facts: Facts) -> list[str]:
    """What was looked at after writing, in a sentence for each comparison."""
    told = []
    for one in facts.checks:
        if one["what"] == "logits":
            share, places = one["found"]["likeliest"], int(one["found"]["places"])
            about = f" ({markdown.plain(one['note'])})" if one["note"] else ""
            most = f"the greatest difference of a logit is {one['found']['logit']:.2g}"
            told.append(
                f"* `{one['file']}` gives the likeliest token of transformers in {share:.1%} of {places} places, {most}{about}."
            )
        elif one["what"] == "loaded":
            told.append(f"* `{markdown.code(one['file'])}`: {markdown.plain(one['note'])}.")
    return ["\n".join(told)] if told else []


def _licences(facts: Facts) -> list[str]:
    told = [f"* the base, `{markdown.code(facts.base)}`: {_licence(facts.base_licence)}"]
    told += [f"* {markdown.plain(one.title)}: {_licence(one.licence)}" for one in facts.works]
    return ["It stands on the base and on the works above, each under its own licence:", "\n".join(told)]


def _licence(name: str) -> str:
    return markdown.plain(licences.normal(name)) or "not said"
