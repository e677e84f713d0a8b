"""What a run found out about its entry, in words for a triager; and that nobody looked, where nobody did."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import Failed
from pipeline.proposing.muting import clipped, inline, quoted
from pipeline.stage import Job
from pipeline.taxonomy import MIN_SEEDS

VERDICTS = {
    "worth": "Worth teaching",
    "known": "Known already",
    "mixed": "Partly known already",
    "uncertain": "Not certain whether it is known already",
}
PRECHECK, SCORES, YIELD = "precheck.json", "scores.json", "samples/yield.json"
SHOWN = 5  # questions of a comparison


# --- what the base model says


def asked_before(folder: Path, room: int, most: int) -> str:
    """What the model answered before, question by question, beside the contributor; or that nobody asked it.

    `room`: characters of a quotation; `most`: questions.
    """
    path = folder / PRECHECK
    try:
        found = json.loads(path.read_bytes())
        rows = [_answered(*one, room) for one in enumerate(found["questions"][:most], 1)]
        left = len(found["questions"]) - len(rows)
        return "\n\n".join([_asked(found), *rows, *([f"And {left} more, which do not fit here."] if left else [])])
    except FileNotFoundError:
        return "Not asked: there was no precheck."
    except (ValueError, KeyError, TypeError) as error:
        raise Failed(f"{path} cannot be read ({error}); a new precheck writes it anew") from error


def _asked(found: Mapping[str, Any]) -> str:
    counts = {state: int(found["counts"][state]) for state in ("gap", "known", "uncertain")}
    told = ", ".join(f"{count} {state}" for state, count in counts.items())
    names = [inline(str(found[role]["name"]) or "a model without a name") for role in ("model", "judge")]
    verdict, chance = VERDICTS[found["verdict"]], f", {found['confidence']:.0%} sure" if found["confidence"] else ""
    return f"{names[0]} was asked each question; {names[1]} and plain measures judged: {told}. {verdict}{chance}."


def _answered(number: int, row: Mapping[str, str], room: int) -> str:
    parts = {"Input": row["question"], "The contributor's answer": row["wanted"], "The model's answer today": row["said"]}
    quotes = [f"{name}:\n\n{_quote(text, room)}" for name, text in parts.items()]
    return "\n\n".join([f"**{number}. {inline(row['state'])}.** {inline(clipped(row['reason'], room))}", *quotes])


def _quote(text: str, room: int) -> str:
    return quoted(clipped(text, room) or "(nothing)")


# --- what the tuned model says


def asked_after(folder: Path, room: int) -> str:
    """What a model says that was trained on it, beside the base; or that none was."""
    found = _scores(folder)
    if found is None:
        return "Not asked: no model was trained on it yet."
    try:
        told = [str(found[name]["sentence"]) for name in ("unseen", "forgetting") if found.get(name)]
        rows = (found["examples"] or found["seeds"])[:SHOWN]
        return "\n\n".join([" ".join(map(inline, told)), *(_compared(*one, room) for one in enumerate(rows, 1))])
    except (KeyError, TypeError, AttributeError) as error:
        raise Failed(f"{folder / SCORES} cannot be read ({error!r}); a new training writes it anew") from error


def _compared(number: int, row: Mapping[str, Any], room: int) -> str:
    parts = {"Input": row["question"], "Before": row["before"], "After": row["after"], "Wanted": row["wanted"]}
    return "\n\n".join([f"**{number}.**", *(f"{name}:\n\n{_quote(str(text), room)}" for name, text in parts.items())])


def compared(folder: Path) -> str:
    """Whether it could be taught, as a line of the description; "" where nobody tried."""
    found = _scores(folder)
    unseen = found.get("unseen") if found else None
    return f"\n- {inline(str(unseen['sentence']))}" if isinstance(unseen, dict) and unseen.get("sentence") else ""


def _scores(folder: Path) -> Mapping[str, Any] | None:
    try:
        found = json.loads((folder / SCORES).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise Failed(f"{folder / SCORES} cannot be read ({error}); a new training writes it anew") from error
    return found if isinstance(found, dict) else None


# --- check boxes


def generated(folder: Path) -> str:
    """What became of generating samples: labbot's own way of it is no run of upstream's command."""
    try:
        found = json.loads((folder / YIELD).read_bytes())
        kept, made = int(found["kept"]), int(found["made"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return "not done: left to triage"
    return f"not with that command: labbot's own teacher made {made} samples from it, of which {kept} passed its checks"


def boxes(job: Job, qna: str) -> dict[str, str]:
    """The marks of the check boxes, and what is said beside each."""
    count = len(yaml.safe_load(qna).get("seed_examples") or ()) if _is_mapping(qna) else 0
    dco, at = str(job.inputs.get("dco", "")), float(job.inputs["signed_at"])
    when = datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%d %H:%M UTC")
    return {
        "signed": f" {dco}, agreed to at {when}" if dco else "",
        "five": "x" if count >= MIN_SEEDS else " ",
        "count": f" ({count})" if count else "",
        **_looked(job),
    }


def _is_mapping(qna: str) -> bool:
    try:
        return isinstance(yaml.safe_load(qna), dict)
    except yaml.YAMLError:
        return False


def _looked(job: Job) -> dict[str, str]:
    """Who looked for what should not be in it: the contributor says so, and labbot's screening finds something or nothing."""
    looked, hints = bool(job.inputs.get("looked")), job.inputs.get("hints")
    private, avoided = _found(hints, "private"), _found(hints, "topics")
    who = "the contributor looked" if looked else "the contributor was asked to look"
    return {
        "looked": "x" if looked and private == 0 else " ",
        "private": who if private is None else f"{who}; labbot's screening found {private or 'nothing'}",
        "screened": "x" if avoided == 0 else " ",
        "avoided": "not screened yet" if avoided is None else f"labbot's screening found {avoided or 'nothing'}",
    }


def _found(hints: Any, kind: str) -> int | None:
    return int(hints[kind]) if isinstance(hints, Mapping) and kind in hints else None
