"""A judge compares what base and tuned model say, beside the answer that was wanted, where letters cannot tell.

It is asked twice, with either answer first, and does not know whose they are. A preference that changes with the order is
none: judges lean to what stands first (Zheng et al., 2023, arXiv 2306.05685, section 3.3). A judge has a say only where it was
measured on our samples and found to do better than chance on those of this kind (judging.calibrating).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipeline.errors import Failed, Invalid
from pipeline.evaluating import scoring
from pipeline.evaluating.questions import Question
from pipeline.generating.rows import Kind
from pipeline.judging import asking, calibrating, reference
from pipeline.judging.asking import Log, Model
from pipeline.judging.jury import JUDGED_CHARS, VOTE_TOKENS

if TYPE_CHECKING:  # see asking
    from pipeline.models.client import Message
    from pipeline.models.host import Models

PROMPT = "configs/prompts/evaluate/pairwise.md"
SCHEMA = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "maxLength": 300},  # before the choice, so that the choice follows from it
        "better": {"type": "string", "enum": ["A", "B", "same"]},
    },
    "required": ["reason", "better"],
}

Why = Literal["", "absent", "uncalibrated", "refused", "doubtful"]
SAID: Mapping[Why, str] = {
    "absent": "There is no judge to compare the answers; set one up as judge.url in configs/models/roles.yaml.",
    "uncalibrated": "Nobody has measured the judge, so it has no say; type `labpipe judge --calibrate`.",
    "refused": "The judge was measured and does no better than chance, so it has no say.",
    "doubtful": "The judge was measured and does no better than chance on samples of this kind, so it has no say.",
}


@dataclass(frozen=True, slots=True)
class Bench:
    """Who judges, and how far it agrees with our labels (`kappa`); without a judge, `why`."""

    judge: Model | None
    kappa: float = 0.0
    why: Why = ""


@dataclass(frozen=True, slots=True)
class Pair:
    question: Question
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Preference:
    """`value`: 1 for the tuned model's answer, -1 for the base's, 0 for neither. `why` there is none: "same", "order" where

    it changed with the order, "silent" where an order has no vote in the form that was asked for.
    """

    value: int
    why: str = ""
    reason: str = ""


async def bench(models: "Models", folder: Path, home: Path, kind: Kind) -> Bench:
    """The judge of this installation, if it may judge samples of that kind; `folder` is LABBOT_DATA/models.

    Raises Temporary where its server is only starting, or does not answer.
    """
    found = await asking.maker(models, folder, "judge")
    if found is None:
        return Bench(None, why="absent")
    judge = found[1]
    try:
        asked = reference.load(home).digest
    except Invalid:  # samples that fit no step of an operator's own measure nothing
        return Bench(None, why="uncalibrated")
    standing = calibrating.standing(folder, judge, asked)
    if standing is None:
        return Bench(None, why="uncalibrated")
    if standing.refused or standing.kinds[kind].chance:
        return Bench(None, why="refused" if standing.refused else "doubtful")
    return Bench(judge, standing.kinds[kind].kappa)


@dataclass(frozen=True, slots=True)
class Bar:
    """A judge with its prompt, and what the answers are for (`task`). `told` is called as each pair is decided."""

    log: Log
    judge: Model
    prompt: str
    task: str
    told: Callable[[], None]

    async def preferences(self, pairs: Sequence[Pair]) -> list[Preference]:
        """One for each pair, all in flight at once. Raises what the judge's client raises, but for an unfit answer."""
        return await asking.together([self._preference(pair) for pair in pairs])

    async def _preference(self, pair: Pair) -> Preference:
        found = plain(pair)
        if found is None:
            first, second = await asking.together([self._vote(pair, swapped) for swapped in (False, True)])
            found = weighed(first, second)
        self.told()
        return found

    async def _vote(self, pair: Pair, swapped: bool) -> dict[str, Any]:
        messages = self.messages(pair, swapped)
        asked = ["pair", self.judge.told(), messages]
        return await self.log.once(asked, lambda: self._said(messages), lambda it: "better" in it)

    async def _said(self, messages: Sequence["Message"]) -> dict[str, Any]:
        """What the judge says; where it does not keep to the form, or cannot read so much, only why."""
        from pipeline.models.client import Options

        options = Options(temperature=0.0, max_tokens=VOTE_TOKENS)
        try:
            found = await self.judge.client.structured(messages, SCHEMA, model=self.judge.name, options=options)
        except (Failed, Invalid) as error:
            if isinstance(error, Invalid) and error.problems[0].code != "model.overflow":
                raise
            return {"trouble": str(error)[:500]}
        return {"reason": found["reason"], "better": found["better"]}

    def messages(self, pair: Pair, swapped: bool) -> list["Message"]:
        first, second = (pair.after, pair.before) if swapped else (pair.before, pair.after)
        one = pair.question
        told = {"task": self.task, "text": one.text, "question": one.question, "wanted": one.wanted, "A": first, "B": second}
        clipped = {name: text if len(text) <= JUDGED_CHARS else f"{text[:JUDGED_CHARS]} …" for name, text in told.items()}
        given = {name: text for name, text in clipped.items() if text or name in ("A", "B")}
        content = json.dumps(given, ensure_ascii=False, indent=1)
        return [{"role": "system", "content": self.prompt}, {"role": "user", "content": content}]


def plain(pair: Pair) -> Preference | None:
    """What needs no judge: the same answer twice, or none at all on one side."""
    if scoring.exact(pair.before, pair.after):
        return Preference(0, "same")
    if bool(pair.before.strip()) != bool(pair.after.strip()):
        return Preference(1 if pair.after.strip() else -1)
    return None


def weighed(first: Mapping[str, Any], second: Mapping[str, Any]) -> Preference:
    """The votes of both orders; in the first the base's answer is A."""
    votes = first.get("better"), second.get("better")
    if None in votes:
        return Preference(0, "silent")
    if votes in (("B", "A"), ("A", "B")):
        value = 1 if votes == ("B", "A") else -1
        return Preference(value, reason=str(first.get("reason", "")))
    return Preference(0, "same" if votes == ("same", "same") else "order")


def counted(found: Sequence[Preference], judge: Model, kappa: float) -> dict[str, Any]:
    """As it stands in scores.json."""
    values, why = [one.value for one in found], [one.why for one in found]
    counts = {"before": values.count(-1), "after": values.count(1), "same": values.count(0)}
    return {"judge": judge.told(), "kappa": kappa, "asked": len(found), **counts, **{
        name: why.count(name) for name in ("order", "silent")
    }}  # fmt: skip
