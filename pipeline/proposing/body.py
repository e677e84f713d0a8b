"""The pull request's text in upstream's template: every check box with its evidence, or left open with the reason.

What nobody has done yet is said, never ticked. Whatever people or models wrote is quoted, and pings nobody.
"""

import re
from collections.abc import Mapping

from pipeline.proposing import evidence
from pipeline.proposing.muting import clipped, escaped, quoted
from pipeline.stage import Job
from pipeline.taxonomy import GROUNDED_SKILLS, KNOWLEDGE, SKILLS

KINDS = {SKILLS: "freeform skill", GROUNDED_SKILLS: "grounded skill", KNOWLEDGE: "piece of knowledge"}
MOST = 65_536  # GitHub: characters of a pull request's text
# Characters of a quotation and how many answers are quoted: the most with which all of it fits.
ROOMS = ((1000, 100), (400, 100), (150, 40), (60, 10))
LONG = "# too long for this text: it is among the changed files"
BOX = re.compile(r"^\s*[-*] \[[ xX]\]\s*(.+)$", re.MULTILINE)
WORDS = re.compile(r"[a-z0-9]{3,}")


def text(job: Job, template: str, theirs: str = "") -> str:
    """Fill `template` in. `theirs`: the repository's own template; its check boxes that ours lacks are kept, and left open.

    What is too long for GitHub is quoted in part; the check boxes stay.
    """
    qna = (job.folder / "entry" / "qna.yaml").read_text(encoding="utf-8")
    for shown in (qna.rstrip("\n"), LONG):
        for room, most in ROOMS:
            whole = _filled(job, template, theirs, qna, {"qna": shown, **_said(job, room, most)})
            if len(whole) <= MOST:
                return whole
    raise AssertionError("the least is short")


def _said(job: Job, room: int, most: int) -> dict[str, str]:
    return {
        "description": quoted(clipped(str(job.inputs["description"]), 4 * room)),
        "response": evidence.asked_before(job.folder, room, most),
        "tuned": evidence.asked_after(job.folder, room),
    }


def _filled(job: Job, template: str, theirs: str, qna: str, said: Mapping[str, str]) -> str:
    facts = {
        "kind": KINDS[str(job.inputs["root"])],
        "leaf": str(job.inputs["leaf"]),
        "fence": "`" * max(3, 1 + max(map(len, re.findall(r"`+", said["qna"])), default=0)),
        "compared": evidence.compared(job.folder),
        "generated": evidence.generated(job.folder),
        "more": "".join(f"\n- [ ] {box} (labbot does not know this one: left open)" for box in strangers(theirs, template)),
        **evidence.boxes(job, qna),
        **said,
    }
    return template.format(**facts)


def strangers(theirs: str, ours: str) -> list[str]:
    """The check boxes of a template that ours has not, as text that pings nobody: told apart by the words in them."""
    known = [set(WORDS.findall(box.lower())) for box in BOX.findall(re.sub(r"\[\{\w+\}\]", "[ ]", ours))]
    found = [box.strip() for box in BOX.findall(re.sub(r"<!--.*?-->", "", theirs, flags=re.DOTALL))]
    return [escaped(box)[:500] for box in found if not any(_alike(set(WORDS.findall(box.lower())), one) for one in known)][:20]


def _alike(one: set[str], other: set[str]) -> bool:
    return not one or len(one & other) >= 0.5 * len(one)
