"""What would help where samples are dropped: data, which people are told in their language, and English for logs."""

from collections.abc import Mapping
from typing import Any

from pipeline.generating.rows import Row

QUOTED = 160  # characters of a sample that advice quotes
CODES: Mapping[str, str] = {
    "seed": "repeats_seed",
    "same": "repeats_sample",
    "near": "repeats_sample",
    "taxonomy": "repeats_taxonomy",
    "unseen": "repeats_unseen",
    "failed": "failed",
}


def code(at: str, why: str) -> str:
    """What kind of advice there is for what was dropped at a step."""
    if why == "score":
        return "off_topic" if "question" in at or at == "judge_relevancy" else "low_score"
    return CODES.get(why, "malformed")


def advised(row: Row, count: int) -> dict[str, Any]:
    """The advice that a sample is an example of, for so many; it names the seed example and quotes the pair."""
    kind = code(row.at, row.why)
    reason = row.scores[-1].reason if row.scores and row.why == "score" else row.near if kind in ("malformed", "failed") else ""
    other = row.near if kind.startswith("repeats") else row.answer if kind == "low_score" else ""
    return {
        "code": kind,
        "count": count,
        "step": row.at,
        "sample": row.number,
        "seed": row.of if row.why == "seed" else row.seed,
        "of": row.of,
        "question": row.question[:QUOTED],
        "other": other[:QUOTED],
        "reason": reason[:QUOTED],
    }


def said(one: Mapping[str, Any]) -> str:
    """A piece of advice in English, for logs and the command line; what models wrote is quoted: no terminal obeys it."""
    quoted, reason = f"sample {one['sample']} ({one['question']!r})", f": {one['reason']!r}" if one["reason"] else ""
    told = {
        "repeats_seed": f"{quoted} repeats seed {one['seed']} ({one['other']!r}): make the seed examples differ more.",
        "repeats_sample": f"{quoted} repeats sample {one['of']}: seed {one['seed']} leaves too little to vary.",
        "repeats_taxonomy": f"{quoted} is in the taxonomy already.",
        "repeats_unseen": f"{quoted} comes too near the test ({one['other']!r}): make the seed examples differ more.",
        "off_topic": f"{quoted} misses what the entry teaches{reason}. Look at seed {one['seed']} and the task.",
        "low_score": f"{quoted} got an answer that does not hold{reason}. Look at seed {one['seed']}.",
        "malformed": f"answers at {one['step']} cannot be read{reason}. Take another model, or give it more tokens.",
        "failed": f"requests at {one['step']} failed{reason}.",
    }
    return told[one["code"]]
