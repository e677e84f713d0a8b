"""A judge's votes on two answers to a question, and the trials that show whether the judge can judge.

It compares without knowing whose answers they are, in both orders, and gives its reason before its choice. What it is
given is JSON, so that no text can pass for another or for an instruction of ours.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import Failed, Invalid
from pipeline.judging import measures
from pipeline.judging.asking import Log, Model, together
from pipeline.judging.weighing import Better, Vote

if TYPE_CHECKING:  # see asking
    from pipeline.models.client import Message

VOTE_TOKENS = 256
SEEDS = (1, 2)  # votes an order: the likeliest, and one that is drawn
DRAWN = 0.7  # temperature of the second
TRIALS = 4  # questions that a judge is tried on, in both orders: see weighing
JUDGED_CHARS = 6000  # of one text that the judge is given: 1,000 words, twice the longest passage that upstream's guides want
SCHEMA = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "maxLength": 300},  # before the choice, so that the choice follows from it
        "better": {"type": "string", "enum": ["1", "2", "same"]},
    },
    "required": ["reason", "better"],
}


@dataclass(frozen=True, slots=True)
class Seed:
    """A question of an entry with the contributor's answer.

    `context` is what the model is given with it, `text` what the judge may check answers against.
    """

    question: str
    wanted: str
    context: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Ballot:
    """A comparison: `of` is the seed's number, `other` the answer beside the contributor's, first where `swapped`."""

    of: int
    other: str
    swapped: bool
    seed: int


@dataclass(frozen=True, slots=True)
class Jury:
    """A judge with its prompt, and what the answers are for (`task`)."""

    log: Log
    judge: Model
    prompt: str
    task: str
    seeds: Sequence[Seed]

    async def votes(self, ballots: Sequence[Ballot], told: Callable[[], None]) -> list[Vote]:
        """A vote on each, all in flight at once; `told` is called as each comes.

        One that is not in the form that was asked for, twice, is a vote for nobody. Raises what a plain question to the
        judge raises where not one vote came.
        """

        async def one(ballot: Ballot) -> Vote:
            vote = await self._vote(ballot)
            told()
            return vote

        cast = await together([one(ballot) for ballot in ballots])
        if cast and not any(vote.better for vote in cast):
            await self._plainly()
        return cast

    async def _vote(self, ballot: Ballot) -> Vote:
        messages, temperature = self.messages(ballot), 0.0 if ballot.seed == SEEDS[0] else DRAWN
        asked = ["vote", ballot.of, self.judge.told(), messages, ballot.seed, temperature]
        record = await self.log.once(asked, lambda: self._said(messages, ballot.seed, temperature), lambda it: "better" in it)
        return vote_of(record, ballot.swapped)

    async def _said(self, messages: Sequence["Message"], seed: int, temperature: float) -> dict[str, Any]:
        """What the judge says; where it does not keep to the form, or cannot read so much, only why."""
        from pipeline.models.client import Options

        options = Options(temperature=temperature, seed=seed, max_tokens=VOTE_TOKENS)
        try:
            found = await self.judge.client.structured(messages, SCHEMA, model=self.judge.name, options=options)
        except (Failed, Invalid) as error:
            if isinstance(error, Invalid) and error.problems[0].code != "model.overflow":
                raise
            return {"trouble": str(error)[:500]}
        return {"reason": found["reason"], "better": found["better"]}

    async def _plainly(self) -> None:
        """Ask for a word without any form, so that a wrong key or address is told as what it is."""
        from pipeline.models.client import Options

        asked = [{"role": "user", "content": "Say yes."}]
        await self.judge.client.chat(asked, model=self.judge.name, options=Options(max_tokens=8))

    def messages(self, ballot: Ballot) -> list["Message"]:
        seed = self.seeds[ballot.of]
        first, second = (ballot.other, seed.wanted) if ballot.swapped else (seed.wanted, ballot.other)
        told = {"task": self.task, "text": seed.text, "question": seed.question, "answer 1": first, "answer 2": second}
        clipped = {name: text if len(text) <= JUDGED_CHARS else f"{text[:JUDGED_CHARS]} …" for name, text in told.items()}
        content = json.dumps({name: text for name, text in clipped.items() if text}, ensure_ascii=False, indent=1)
        return [{"role": "system", "content": self.prompt}, {"role": "user", "content": content}]


def ballots(answers: Mapping[int, str]) -> list[Ballot]:
    """Both orders for each answer, by its seed's number, so many votes each."""
    return [Ballot(at, said, swapped, seed) for at, said in answers.items() for swapped in (False, True) for seed in SEEDS]


def trials(seeds: Sequence[Seed]) -> list[Ballot]:
    """Comparisons whose right side is known: an answer of the contributor's, and the one to another question."""
    found: list[Ballot] = []
    for at, seed in enumerate(seeds):
        others = [one.wanted for one in (*seeds[at + 1 :], *seeds[:at])]
        other = next((one for one in others if measures.likeness(seed.wanted, one) in ("apart", "between")), "")
        if other and len(found) < 2 * TRIALS:
            found += [Ballot(at, other, swapped, SEEDS[0]) for swapped in (False, True)]
    return found


def vote_of(record: Mapping[str, Any], swapped: bool) -> Vote:
    """A record of the journal as a vote, its reason in the names of the two sides."""
    sides: tuple[Better, Better] = ("said", "wanted") if swapped else ("wanted", "said")
    choices: dict[str, Better] = {"1": sides[0], "2": sides[1], "same": "same"}
    names = {"wanted": "the contributor's answer", "said": "the model's answer"}
    text = str(record.get("reason", "")).strip()
    reason = re.sub(r"\banswer[ _-]?([12])\b", lambda one: names[sides[int(one[1]) - 1]], text, flags=re.I)
    return Vote(swapped, choices.get(str(record.get("better")), ""), reason[:1].upper() + reason[1:])
