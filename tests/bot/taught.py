"""labpipe whose stages write at once what they would after minutes: samples of a draft, and a model that learned from them.

Run as a module it is `labpipe`. That model answers every question right, and its base has the name of the fake model's.
"""

import json
import struct
import sys
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pipeline import recipe
from pipeline.errors import Invalid, Problem
from pipeline.files import write
from pipeline.generating import rows
from pipeline.generating.rows import Row
from pipeline.stage import Job
from pipeline.training import held

BASE = "small"
WITHOUT = "ohne Gewichte"
COMMAND = (sys.executable, "-m", "tests.bot.taught")
SAMPLES, HELD = 6, 4
STEPS, CHECKPOINTS = 4, (2, 4)


def picture(shade: int) -> bytes:
    """A PNG of one grey pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes([0, shade]))) + chunk(b"IEND", b"")


def generate(job: Job) -> Mapping[str, str]:
    made = [row("train", number) for number in range(1, SAMPLES + 1)]
    rows.write(job.folder / rows.GENERATED, made)
    rows.write(job.folder / rows.UNSEEN, [row("unseen", number) for number in range(1, HELD + 1)])
    rows.write(job.folder / rows.REWORDED, ())
    write(job.folder / "samples/plan.json", "{}")
    return {"stage": "generate", "wanted": str(SAMPLES), "kept": str(SAMPLES), "held": str(HELD)}


def row(kind: rows.Set, number: int) -> Row:
    return Row(
        f"{kind}{number}", number, kind, "freeform", "leaf", 1, f"How do I greet guest {number}?", f"Hello, guest {number}"
    )


def judge(job: Job) -> Mapping[str, str]:
    write(job.folder / rows.SAMPLES, (job.folder / rows.GENERATED).read_bytes())
    write(job.folder / "samples/yield.json", "{}")
    return {"stage": "judge"}


def mix(job: Job) -> Mapping[str, str]:
    write(job.folder / "mix/skills_train_msgs.jsonl", "")
    return {"stage": "mix"}


def train(job: Job) -> Mapping[str, str]:
    """Where a draft is about a base `WITHOUT` weights, there are none at the first attempt."""
    asked = job.folder / "asked"
    if WITHOUT in str(job.inputs["description"]) and not asked.exists():
        asked.touch()
        raise Invalid(Problem("train.no_weights", f"the weights of {BASE} are not here", facts={"name": BASE}))
    plan = {"version": 1, "base": {"name": BASE, "version": "1", "licence": ""}, "steps": STEPS}
    write(job.folder / "train/plan.json", json.dumps(plan))
    facts = {"stage": "train", "base": BASE, "device": "cpu", "steps": str(STEPS), "speed": "5900", "rate": "0.0002"}
    lines, scores = list[str](), [json.dumps({"step": 0, "loss": 3.0})]
    for step in range(1, STEPS + 1):
        lines.append(json.dumps({"step": step, "loss": 3.0 / step}))
        write(job.folder / "train/metrics.jsonl", "".join(f"{line}\n" for line in lines))
        if step in CHECKPOINTS:
            scores.append(json.dumps({"step": step, "loss": 2.0 / step}))
            write(job.folder / "train/held.jsonl", "".join(f"{line}\n" for line in scores))
            write(job.folder / "train/curves.png", picture(step))
            facts |= {"curve": "train/curves.png", "curve_at": str(step), "held_loss": f"{2.0 / step:.3f}"}
        job.report(step / STEPS, {**facts, "step": str(step), "loss": f"{3.0 / step:.3f}"})
    write(job.folder / "train/adapter/adapter_config.json", "{}")
    return {**facts, "step": str(STEPS)}


def evaluate(job: Job) -> Mapping[str, str]:
    found = held.split(job.folder)
    job.report(0.5, {"stage": "evaluate", "done": "1", "total": str(2 * len(found.test))})
    told = [
        {"question": one.question, "wanted": one.answer, "before": "Thanks.", "after": one.answer}
        | {"right_before": False, "right_after": True}
        for one in found.test
    ]
    some = next(rows.read(job.folder / rows.SAMPLES))
    seed = {"question": some.question, "wanted": some.answer, "before": "Thanks a lot.", "after": some.answer}
    many = len(told)
    unseen = {
        "asked": many,
        "by": "exact",
        "before": {"right": 0, "share": 0.0, "low": 0.0, "high": 0.0, "f1": 0.0},
        "after": {"right": many, "share": 1.0, "low": 0.9, "high": 1.0, "f1": 1.0},
        "verdict": "few",
        "pairwise": None,
    }
    kept = {"before": {"share": 0.91}, "after": {"share": 0.86}, "verdict": "few"}
    scores: dict[str, Any] = {"version": 1, "unseen": unseen, "forgetting": kept, "examples": told, "seeds": [seed] * 6}
    scores["choosing"] = {"shared_with_test": found.shared}
    write(job.folder / "scores.json", json.dumps(scores))
    write(job.folder / "scores.md", "# Scores\n")
    return {"stage": "evaluate", "asked": str(many), "verdict": "few"}


def export(job: Job) -> Mapping[str, str]:
    job.report(0.5, {"stage": "export", "file": "adapter.gguf"})
    write(job.folder / "export/adapter.gguf", b"GGUF" + bytes(2000))
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        write(job.folder / "export/adapter" / name, "{}")
    write(job.folder / "export/README.md", "# A model that greets\n")
    return {"stage": "export"}


TAUGHT: dict[str, Callable[[Job], Mapping[str, str]]] = {
    "document": lambda job: {},
    "generate": generate,
    "judge": judge,
    "mix": mix,
    "train": train,
    "evaluate": evaluate,
    "export": export,
}


if __name__ == "__main__":
    own = recipe.RECIPES["contribution"]
    recipe.RECIPES["contribution"] = tuple(replace(one, run=TAUGHT[one.name]) if one.name in TAUGHT else one for one in own)
    from pipeline.__main__ import main

    sys.exit(main())
