"""A teacher and judge by script, behind the OpenAI protocol on the loopback interface: which samples to keep is known.

    async with Teacher({"off": 0.1, "near": 0.05}, held=["What is rain?"]) as teacher:
        ...
        assert questions_kept == teacher.expected("train")

It tells by a request's schema and by the fields of its JSON which step asks, and what it says depends on the request alone.
A question is made of words that no other has, so no two of them are near each other by chance. Each has a fate, drawn with
the shares that are given; one that later steps need to know stands in its text as a word such as "fate-off":

    good         kept, as are slow, malformed1, 500, 503, 429, reset and open: trouble at the first try, a good answer then
    off          scored lowest where questions are judged (knowledge: relevancy)
    unfaithful   scored lowest where pairs are judged (knowledge: faithfulness)
    unverifiable scored lowest by judge_verifiability (else: as off)
    same, near   the text of a good question of the same answer, and that text with another last word
    seed, unseen near a seed example of the request; near one of `held` (questions, or a mapping of them to their contexts).
                 Of grounded samples it is the context that is taken, and near are all questions that are asked about it
    blank        nothing but blanks where the question should be
    empty, malformed, wrong, cut, down   at every try: nothing but blanks, no JSON, JSON of another form, a text that was
                 cut, 500. It is the answer that goes wrong, or, with "_judge" at the end, the first judge of the question

`lists` has the shares of whole lists that go wrong: any of those troubles. `limit`: so many requests at once, 429 for more.
"""

import asyncio
import hashlib
import itertools
import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.fakes.openai_server import CUT, END, Asked, Server, Step, answer, chunk, finished, streamed

CHAT = "/v1/chat/completions"
LASTING = ("empty", "malformed", "wrong", "cut", "down")
PASSING = ("slow", "malformed1", "500", "503", "429", "reset", "open")
SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
WORDS = 12  # of a question
MARK = re.compile(r" fate-(\w+)")
WHY = {"empty": "empty", "malformed": "malformed", "wrong": "malformed", "cut": "cut", "down": "failed"}
OF = {"same": "same", "near": "near", "seed": "seed", "unseen": "unseen", "blank": "empty"}


@dataclass(frozen=True, slots=True)
class Given:
    """A question that was given out. `at`, `why`: the step that should drop it and the reason, "" where it is to be kept."""

    question: str
    set: str
    step: str
    fate: str
    at: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request as the script sees it. `key` is what its answer depends on."""

    step: str
    told: Mapping[str, Any]
    properties: Mapping[str, Any]
    key: str


class Teacher(Server):
    """`steps` counts requests by step, `peak` is the most that were in flight, `turned` how many got 429 for `limit`.

    `slow_s` is how long a slow answer takes, `each_s` how long every one does; none comes while `gate` is shut (`clear`).
    """

    def __init__(
        self,
        items: Mapping[str, float] | None = None,
        *,
        lists: Mapping[str, float] | None = None,
        held: Sequence[str] | Mapping[str, str] = (),
        limit: int = 0,
        slow_s: float = 0.05,
        each_s: float = 0.0,
        context: int = 8192,
    ) -> None:
        super().__init__(tuple({"id": name, "owned_by": "tests", "max_model_len": context} for name in ("teacher", "judge")))
        self.items, self.lists = dict(items or {}), dict(lists or {})
        self.held = dict(held) if isinstance(held, Mapping) else dict.fromkeys(held, "")
        self.limit, self.slow_s, self.each_s, self.context = limit, slow_s, each_s, context
        self.given: list[Given] = []
        self.steps: Counter[str] = Counter()
        self.flight = self.peak = self.turned = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._tries: Counter[str] = Counter()
        self._known: set[str] = set()

    # --- what is to be kept

    def expected(self, which: str = "train") -> set[str]:
        """The questions of a set that are to be kept."""
        return {one.question for one in self.given if one.set == which and not one.why}

    def dropped(self, which: str = "train") -> Counter[tuple[str, str]]:
        """How many of a set are to be dropped, by step and reason; for copies the step is not told, it is the flow's."""
        return Counter((one.at, one.why) for one in self.given if one.set == which and one.why)

    # --- the server

    def answer(self, asked: Asked) -> tuple[Step, ...]:
        if asked.path == "/tokenize":
            self.asked.append(asked)
            texts = [one["content"] for one in asked.body.get("messages", [])] or [asked.body["prompt"]]
            count = sum(len(text.split()) + 1 for text in texts)
            return (answer(200, {"count": count, "max_model_len": self.context, "tokens": []}),)
        if asked.path != CHAT:
            return super().answer(asked)
        self.asked.append(asked)
        if self.limit and self.flight >= self.limit:
            self.turned += 1
            return (refused(429, "0"),)
        ask = understood(asked.body)
        self.steps[ask.step] += 1
        self._tries[ask.key] += 1
        self.flight += 1
        self.peak = max(self.peak, self.flight)
        return self._counted(ask)  # type: ignore[return-value]  # the server iterates over it, whatever it is

    def _counted(self, ask: Ask) -> Iterator[Step]:
        try:
            yield self.gate
            if self.each_s:
                yield after(self.each_s)
            yield from self._spoken(ask)
        finally:
            self.flight -= 1

    def _spoken(self, ask: Ask) -> Iterator[Step]:
        """The answer, or the trouble that this try gets instead."""
        kind = next(iter(ask.properties))
        listed = kind in ("questions", "contexts", "pairs")
        trouble = self._of_list(ask) if listed else self._of_item(ask)
        first = self._tries[ask.key] == 1
        if trouble == "slow":
            yield after(self.slow_s)
        if trouble == "down" or (first and trouble in ("500", "503", "429")):
            yield refused(500 if trouble == "down" else int(trouble), "0")
            return
        value = self._list(ask, trouble) if listed else self._text(ask, kind)
        text = json.dumps(value, ensure_ascii=False)
        yield from spoiled(text, trouble, first) if trouble not in ("", "slow") else streamed(*pieces(text), finished())

    def _of_list(self, ask: Ask) -> str:
        return drawn(self.lists, chance(ask.key, "list").random()) if self.lists else ""

    def _of_item(self, ask: Ask) -> str:
        """What goes wrong with the request about a question that has a mark for it."""
        fate, judged = fate_of(ask.told), "score" in ask.properties
        bare = fate.removesuffix("_judge")
        if bare not in (*LASTING, *PASSING):
            return ""
        here = ask.step == first_judge(ask) if fate.endswith("_judge") or not has_text(ask) else not judged
        return bare if here else ""

    # --- what it says

    def _text(self, ask: Ask, kind: str) -> dict[str, Any]:
        if kind == "answer":
            return {"answer": f"It is {made(ask.key)}."}
        low, high = scores(ask.properties["score"])
        poor = ask.step == judge_of(fate_of(ask.told), ask)
        return {"reason": "It does not do." if poor else "It does all that is asked for.", "score": low if poor else high}

    def _list(self, ask: Ask, trouble: str) -> dict[str, Any]:
        """The entries of a list; those that get through its trouble are noted, once, however often they are asked for."""
        kind, wanted = next(iter(ask.properties)), int(ask.told.get("wanted", 1))
        if kind == "contexts":
            return {kind: [self._context(ask, number) for number in range(wanted)]}
        entries, found = [], list[Given]()
        for number in range(wanted):
            found.append(self._entry(ask, number, found))
            reply = "  " if found[-1].fate == "empty" and kind == "pairs" else f"It is {made(f'{ask.key} answer {number}')}."
            entries.append({"question": found[-1].question, "answer": reply} if kind == "pairs" else found[-1].question)
        through = wanted // 2 if trouble == "cut" else 0 if trouble in LASTING else wanted
        if ask.key not in self._known:
            self._known.add(ask.key)
            self.given += found[:through]
        return {kind: entries}

    def _context(self, ask: Ask, number: int) -> str:
        luck = chance(ask.key, str(number))
        fate = drawn(self.items, luck.random())
        if texts := sorted({text for text in self._sources(ask).get(fate, {}).values() if text}):
            return luck.choice(texts)
        return f"{made(f'{ask.key} {number}', 3 * WORDS)}."

    def _entry(self, ask: Ask, number: int, before: Sequence[Given]) -> Given:
        luck = chance(ask.key, str(number))
        fate = drawn(self.items, luck.random()) or "good"
        if context := ask.told.get("context", "") if ask.step == "grounded_questions" else "":
            taken = (name for name, found in self._sources(ask).items() if context in found.values())
            fate = next(taken, "good" if fate in ("seed", "unseen") else fate)
        goods = [one.question for one in before if one.fate == "good"]
        sources = {"same": goods, "near": goods}
        for name, found in self._sources(ask).items():
            sources[name] = [question for question, about in found.items() if not context or about == context]
        if fate in sources and (not sources[fate] or ask.step == "rewordings"):
            fate = "good"
        if fate in sources:
            text = luck.choice(sources[fate])
            question = text if fate == "same" else near(text, made(f"{ask.key} {number}", 1))
        else:
            mark = "" if fate == "good" else f" fate-{fate}"
            question = "  " if fate == "blank" else f"Which {made(f'{ask.key} {number}', WORDS - 1)}{mark}?"
        which = "reworded" if ask.step == "rewordings" else "unseen" if self._is_held(ask) else "train"
        return Given(question, which, ask.step, fate, *ends(fate, ask))

    def _sources(self, ask: Ask) -> dict[str, dict[str, str]]:
        """Questions that a sample must not repeat, with their contexts, by the fate of one that does."""
        seeds = {one["question"]: one.get("context", "") for one in ask.told.get("examples", ())}
        return {"seed": seeds, "unseen": {} if self._is_held(ask) else self.held}

    def _is_held(self, ask: Ask) -> bool:
        return any(one["question"] in self.held for one in ask.told.get("examples", ()))


# --- what a request asks


def understood(body: Mapping[str, Any]) -> Ask:
    form = body["response_format"]
    schema = form.get("schema") or form["json_schema"]["schema"]
    first = json.dumps(body["messages"][:2], sort_keys=True)  # a second try has more of them
    told = json.loads(body["messages"][1]["content"])
    properties = schema["properties"]
    return Ask(step(told, properties), told, properties, hashlib.sha256(first.encode()).hexdigest())


def step(told: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    """The name of the step, which its schema and fields tell."""
    about = next((name for name in ("document", "context") if told.get(name)), "")
    if "score" in properties:
        if told.get("reworded"):
            return "judge_rewordings"
        if about == "document":
            high = scores(properties["score"])[1]
            return "judge_verifiability" if "answer" not in told else "judge_relevancy" if high == 2 else "judge_faithfulness"
        return f"judge_{'grounded_' if about else ''}{'pairs' if 'answer' in told else 'questions'}"
    kind = next(iter(properties))
    if kind == "questions" and told.get("question"):
        return "rewordings"
    grounded = kind in ("questions", "answer") and about == "context"
    name = "answers" if kind == "answer" else kind
    return f"grounded_{name}" if grounded else name


def scores(field: Mapping[str, Any]) -> tuple[int, int]:
    """The lowest and the highest: clients send small ranges as lists."""
    found = field.get("enum") or [field["minimum"], field["maximum"]]
    return min(found), max(found)


def fate_of(told: Mapping[str, Any]) -> str:
    found = MARK.search(str(told.get("reworded") or told.get("question") or ""))
    return found[1] if found else "good"


def has_text(ask: Ask) -> bool:
    """Whether samples like this one have a step that writes their answer."""
    return not (ask.told.get("document") or ask.step in ("pairs", "rewordings", "judge_rewordings"))


def first_judge(ask: Ask) -> str:
    if ask.step in ("rewordings", "judge_rewordings"):
        return "judge_rewordings"
    if ask.told.get("document"):
        return "judge_faithfulness"
    return "judge_grounded_questions" if ask.told.get("context") else "judge_questions"


def judge_of(fate: str, ask: Ask) -> str:
    """The judge who gives a fate the lowest score; "" where none does."""
    if fate not in ("off", "unfaithful", "unverifiable"):
        return ""
    if ask.told.get("document") and first_judge(ask) != "judge_rewordings":
        names = {"off": "judge_relevancy", "unfaithful": "judge_faithfulness", "unverifiable": "judge_verifiability"}
        return names[fate]
    first = first_judge(ask)
    return first.replace("questions", "pairs") if fate == "unfaithful" else first


def ends(fate: str, ask: Ask) -> tuple[str, str]:
    """Where a question of that fate is to be dropped, and why; "" twice where it is to be kept."""
    if fate in OF:
        return "", OF[fate]
    if at := judge_of(fate, ask):
        return at, "score"
    bare = fate.removesuffix("_judge")
    if bare not in LASTING:
        return "", ""
    if fate == "empty" and ask.step == "pairs":
        return "pairs", "empty"
    if fate.endswith("_judge") or not has_text(ask):
        return first_judge(ask), "malformed" if bare == "empty" else WHY[bare]
    return "grounded_answers" if ask.told.get("context") else "answers", WHY[bare]


# --- what it is made of


def chance(*of: str) -> random.Random:
    return random.Random("\0".join(of))


def made(of: str, words: int = WORDS) -> str:
    """Words that stand nowhere else."""
    luck = chance(of)
    return " ".join("".join(luck.choices(SYLLABLES, k=4)) for _ in range(words))


def near(text: str, word: str) -> str:
    """The text with another last word; a short one gets one more, since of a few words one is a large part."""
    bare = text.rstrip(" ?!.")
    words, end = bare.split(), text[len(bare) :]
    changed = words[:-1] if len(words) > 7 and words[-1].isalpha() else words  # another figure would be another question
    return f"{' '.join([*changed, word])}{end}"


def drawn(shares: Mapping[str, float], at: float) -> str:
    """The name in whose share `at` (0 to 1) falls, "" where it is in none."""
    ends_at = itertools.accumulate(shares.values())
    return next((name for name, end in zip(shares, ends_at, strict=True) if at < end), "")


# --- how it is said


def pieces(text: str, count: int = 4) -> list[bytes]:
    size = max(1, -(-len(text) // count))
    return [chunk(text[at : at + size]) for at in range(0, len(text), size)]


def spoiled(text: str, trouble: str, first: bool) -> tuple[Step, ...]:
    """The answer as the trouble has it, which for some is over at the second try."""
    half = text[: len(text) // 2]
    match trouble:
        case "reset" | "open" if first:
            return streamed(*pieces(half), CUT if trouble == "reset" else END)
        case "malformed1" if first:
            return streamed(*pieces("Here you are. I hope it helps!"), finished())
        case "malformed":
            return streamed(*pieces("Here you are. I hope it helps!"), finished())
        case "wrong":
            return streamed(*pieces('{"verdict": 7}'), finished())
        case "cut":
            return streamed(*pieces(shortened(text)), finished("length"))
        case "empty":
            return streamed(*pieces(emptied(text)), finished())
        case _:
            return streamed(*pieces(text), finished())


def shortened(text: str) -> str:
    """Half of it; of a list half its entries, and the beginning of the next."""
    entries = next(iter(json.loads(text).values()))
    if not isinstance(entries, list):
        return text[: len(text) // 2]
    through = ", ".join(json.dumps(one, ensure_ascii=False) for one in entries[: len(entries) // 2])
    begun = json.dumps(entries[len(entries) // 2], ensure_ascii=False)[:10]
    return f"{text[: text.index('[') + 1]}{', '.join(filter(None, (through, begun)))}"


def emptied(text: str) -> str:
    found = json.loads(text)
    return json.dumps({name: [] if isinstance(value, list) else "  " for name, value in found.items()})


def refused(status: int, wait: str) -> bytes:
    return answer(status, {"error": {"message": "not now"}}, {"retry-after": wait})


def after(seconds: float) -> asyncio.Event:
    """An event that comes by itself."""
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, event.set)
    return event
