"""The facts of the stage: what people are told in the thread when the comparison is done."""

import json
from collections.abc import Mapping
from typing import Any

from pipeline.evaluating import outcome, wording

EXAMPLE = ("question", "context", "before", "after", "wanted")


def of(scores: Mapping[str, Any]) -> dict[str, str]:
    """What people should know, of the unseen set."""
    found, kept = scores["unseen"], scores["forgetting"]
    side = {"exact": _by_letters, "f1": _by_words, "judge": _by_judge}[found["by"]](found)
    shown = outcome.example([one for one in scores["examples"] if one["set"] == "unseen"])
    example = (
        {name: shown[name] for name in ("question", "context", "before", "after", "wanted") if name in shown} if shown else {}
    )
    told = {
        "stage": "evaluate",
        "by": found["by"],
        "asked": str(found["asked"]),
        "independent": str(found["independent"]),
        **side,
        "right_before": str(found["before"]["right"]),
        "right_after": str(found["after"]["right"]),
        "p": f"{found['difference']['p']:.4f}",
        "verdict": found["verdict"],
        "withheld": found["withheld"],
        "cut_before": str(found["before"]["cut"]),
        "cut_after": str(found["after"]["cut"]),
        "cut_at": str(max(found["cut_at"], default="")),
        "why": found["why"],
        "example": json.dumps(example),
    }
    if kept:
        told |= {"kept_before": wording.whole(kept["before"]["share"]), "kept_after": wording.whole(kept["after"]["share"])}
        told |= {"kept": kept["verdict"]}
    return told


def _by_letters(found: Mapping[str, Any]) -> dict[str, str]:
    before, after = found["before"], found["after"]
    shares = {name: wording.whole(after[name]) for name in ("share", "low", "high")}
    return {"before": str(before["right"]), "after": str(after["right"]), "same": "0", **shares}


def _by_words(found: Mapping[str, Any]) -> dict[str, str]:
    before, after = found["before"], found["after"]
    shares = {"share": after["f1"], "low": after["f1_low"], "high": after["f1_high"]}
    means = {"before": wording.whole(before["f1"]), "after": wording.whole(after["f1"]), "same": "0"}
    return means | {name: wording.whole(one) for name, one in shares.items()}


def _by_judge(found: Mapping[str, Any]) -> dict[str, str]:
    judge = found["pairwise"]
    counts = {name: str(judge[name]) for name in ("before", "after", "same")}
    return counts | {name: wording.whole(judge[name]) for name in ("share", "low", "high")}
