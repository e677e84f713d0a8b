"""What a training says of itself, as sentences and cards: how far it is, its curve, what came of it, its files.

The facts of a run are texts; what another version wrote otherwise is left out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bot.core import cards, samples
from bot.core.known import Report
from bot.core.records import Draft, Run
from bot.core.talk import ALT, BLOCKS, CARD, FILE_BYTES, TITLE, Attached, Block, Button, Card, Picture, Text
from bot.core.trained import Curve, Exported, Scores, Seed
from bot.core.words import Words

PAGE = 5  # questions of a page
WIDTHS = (400, 250, 150, 100, 60, 40)  # characters of a text in a list: the most with which all fit
EXAMPLE = 200  # characters of a text of the one example
LISTED = 8  # files that a card lists
SENT = 2  # files that a card brings: of FILE_BYTES each, they fit a request
ADAPTER = ".gguf"  # what is sent first: it runs wherever llama.cpp does
BARS = "▁▂▃▄▅▆▇█"
DRAWN = 32  # signs of a curve that is drawn with signs


# --- how far it is


def told(run: Run, words: Words, *, document: bool = False) -> str:
    """How a training stands, or how it ended; `document`: its samples are made of one."""
    stage = run.facts.get("stage", "")
    match run.state:
        case "running" if stage in ("document", "generate", "judge", "mix"):
            return samples.told(run, words, document=document)  # the samples are made anew where something about them is new
        case "running":
            return _line(run.facts, stage, words)
        case "done":
            return words("train.done")
        case "failed":
            return words("run.failed", cause=samples.cause(run.facts, words))
        case "cancelled":
            return words("train.cancelled")
        case state:
            return words(f"run.{state}")


def _line(facts: Mapping[str, str], stage: str, words: Words) -> str:
    match stage:
        case "train" if facts.get("act") == "wait":
            return words("train.waits")
        case "evaluate" if samples.number(facts, "total"):
            return words("train.comparing.of", done=samples.number(facts, "done"), total=samples.number(facts, "total"))
        case "evaluate":
            return words("train.comparing")
        case "export" if facts.get("file"):
            return words("train.exporting.file", file=cards.quoted(facts["file"], 80))
        case "export":
            return words("train.exporting")
        case _:
            return _steps(facts, words) or words("train.begins")


def _steps(facts: Mapping[str, str], words: Words) -> str:
    """ "step 180/300 · 5,900 tokens/s · loss 0.41", what the held-out questions say, and what is trained where."""
    step, steps = samples.number(facts, "step"), samples.number(facts, "steps")
    if not steps:
        return ""
    speed, loss, held = _real(facts, "speed"), _real(facts, "loss"), _real(facts, "held_loss")
    parts = (
        words("train.step", step=step, steps=steps),
        words("train.speed", speed=round(speed)) if speed else "",
        words("train.loss", loss=f"{loss:.2f}") if loss is not None else "",
        words("train.held", loss=f"{held:.2f}") if held is not None else "",
    )
    names = {name: cards.quoted(facts.get(name, ""), 60) for name in ("base", "device")}
    where = words("train.where", **names) if all(names.values()) else ""
    return "\n".join(filter(None, (" · ".join(filter(None, parts)), where)))


def _real(facts: Mapping[str, str], name: str) -> float | None:
    """A number among the facts; None where there is none."""
    try:
        found = float(facts.get(name, ""))
    except ValueError:
        return None
    return found if math.isfinite(found) else None


# --- its curve


def with_curve(card: Card, run: str, curve: Curve | None, words: Words) -> Card:
    """The card with the newest picture of the curve below what it says, if there is one."""
    drawn = _picture(run, curve, words) if curve else ()
    return replace(card, blocks=(*card.blocks, *drawn)[:BLOCKS])


def _picture(run: str, curve: Curve, words: Words) -> tuple[Block, ...]:
    if not curve.path:
        return ()
    lines = []
    for name, values in (("loss", curve.losses), ("held", curve.held)):
        if values:
            ends = {"first": f"{values[0]:.2f}", "last": f"{values[-1]:.2f}"}
            lines.append((words(f"train.curve.{name}", **ends), sparkline(values)))
    alt = cards.clip(" ".join(text for text, _ in lines) or words("train.curve"), ALT)
    signs = "\n".join(f"{line} {text}" for text, line in lines)
    return (Picture(f"curves-{run}.png", run, curve.path, curve.version, alt, signs, curve.where),)


def sparkline(values: Sequence[float]) -> str:
    """Numbers as a line of bars, the highest the longest; of many some, evenly."""
    some = [values[at * len(values) // DRAWN] for at in range(DRAWN)] if len(values) > DRAWN else [*values]
    low, high = min(some), max(some)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((one - low) * scale)] for one in some)


# --- its end


def end(draft: Draft, run: str, scores: Scores, curve: Curve, report: Report, words: Words) -> Card:
    """What came of it, one example, the curve and the page, and what can be done next."""
    lines = [*_compared(scores, words), *(_example(scores.example, words) if scores.example else ())]
    title = cards.clip(words("train.done.end", name=cards.name_of(draft, words)), TITLE)
    text, *page = samples.with_page(run, report, lines, words)
    return Card(title, (text, *_picture(run, curve, words), *page), _next(draft, run, scores, words))


def _next(draft: Draft, run: str, scores: Scores, words: Words) -> tuple[Button, ...]:
    submit = cards.button(words, "submit", f"draft.submit|{draft.id}", "good")
    return (
        cards.button(words, "tuned.chat", f"tuned.chat|{run}", "good"),
        cards.button(words, "tuned.compare", f"tuned.compare|{run}"),
        *((cards.button(words, "tuned.seeds", f"tuned.seeds|{run}|0"),) if scores.seeds else ()),
        cards.button(words, "tuned.files", f"tuned.files|{run}"),
        *(() if draft.state == "submitted" else (submit,)),
    )


def _compared(scores: Scores, words: Words) -> list[str]:
    """ "On 24 questions it never saw: before 0, after 22 (92%, between 79 and 100). Better." """
    if not scores.asked:
        return [words("train.unmeasured")]
    lines = [" ".join(filter(None, (_figures(scores, words), _verdict(scores.verdict, words))))]
    if scores.shared:
        lines.append(words("train.shared"))
    if scores.kept:
        before, after = map(_percent, scores.kept)
        lost = words("train.lost") if scores.lost else ""
        lines.append(" ".join(filter(None, (words("train.kept", before=before, after=after), lost))))
    return lines


def _figures(scores: Scores, words: Words) -> str:
    many = f"{scores.before:.2f}", f"{scores.after:.2f}"
    before, after = many if scores.by == "f1" else (f"{scores.before:.0f}", f"{scores.after:.0f}")
    low, high = (f"{one:.2f}" if scores.by == "f1" else _percent(one) for one in (scores.low, scores.high))
    facts = {"asked": scores.asked, "before": before, "after": after, "same": scores.same, "low": low, "high": high}
    return words(f"train.compared.{scores.by}", share=_percent(scores.share), **facts)


def _verdict(verdict: str, words: Words) -> str:
    name = f"train.verdict.{verdict}"
    return words(name) if words.has(name) else ""


def _percent(share: float) -> str:
    """Without the sign. What is not all is not said to be all, and what is not nothing not to be nothing."""
    return str(round(100 * share) if share in (0, 1) else min(99, max(1, round(100 * share))))


def _example(one: Seed, words: Words, width: int = EXAMPLE) -> list[str]:
    texts = {name: cards.quoted(getattr(one, name), width) or "…" for name in ("question", "before", "after", "wanted")}
    lines = words("train.example", **texts).split("\n")
    return lines if one.after.strip() != one.wanted.strip() else lines[:-1]  # what was wanted is said where it differs


def failed(draft: Draft, words: Words) -> Card:
    """That it did not work; why stands in the run's card."""
    title = words("train.failed.end", name=cards.clip(cards.name_of(draft, words), 60))
    return Card(cards.clip(title, TITLE), (), (cards.button(words, "again", f"draft.train|{draft.id}"),))


# --- the seed questions, the files


def seeds(draft: Draft, run: str, found: Scores, skip: int, words: Words) -> Card:
    """A page of the draft's own questions: what the base answered, what the tuned model does, and what was wanted."""
    title = cards.clip(words("train.seeds", name=cards.name_of(draft, words), id=run), TITLE)
    some = found.seeds[skip : skip + PAGE]
    buttons = []
    if skip + PAGE < len(found.seeds):
        buttons.append(cards.button(words, "samples.more", f"tuned.seeds|{run}|{skip + PAGE}"))
    if skip:
        buttons.append(cards.button(words, "samples.back", f"tuned.seeds|{run}|{max(0, skip - PAGE)}"))
    if not some:
        return Card(title, (Text(words("train.seeds.none")),), tuple(buttons))
    drawn: list[str] = []
    for width in WIDTHS:
        drawn = [_seed(number, one, words, width) for number, one in enumerate(some, skip + 1)]
        if sum(len(one) + 1 for one in drawn) <= CARD:
            break
    return Card(title, tuple(map(Text, drawn)), tuple(buttons))


def _seed(number: int, one: Seed, words: Words, width: int) -> str:
    texts = {name: cards.quoted(getattr(one, name), width) or "…" for name in ("question", "before", "after", "wanted")}
    sign = words("train.sign") if one.after.strip() == one.wanted.strip() else ""
    return "\n".join(line.rstrip() for line in words("train.seed", number=number, sign=sign, **texts).split("\n"))


def files(draft: Draft, run: str, found: Exported, words: Words) -> Card:
    """The files to take away; those that are too large to be sent with where they lie."""
    title = cards.clip(words("train.files", name=cards.name_of(draft, words), id=run), TITLE)
    if not found.files:
        return Card(title, (Text(words("train.files.none")),))
    lines = [
        words("train.file", file=cards.quoted(path.rpartition("/")[2], 80), size=_size(size, words))
        for path, size in found.files[:LISTED]
    ]
    small = [path for path, size in found.files if size <= FILE_BYTES and path.endswith(ADAPTER)][:SENT]
    if len(small) < sum(path.endswith(ADAPTER) for path, _ in found.files):
        lines.append(words("train.files.large", size=_size(FILE_BYTES, words), id=run))
    lines.append(words("train.files.use"))
    sent = tuple(Attached(path.rpartition("/")[2], "", f"{found.where}/{path}", run, path) for path in small)
    return Card(title, (Text("\n".join(lines)), *sent))


def _size(size: int, words: Words) -> str:
    """A size as people read it."""
    if size < 2**20:
        return words("train.size.kb", size=max(1, round(size / 1024)))
    return words("train.size.mb", size=f"{size / 2**20:.1f}")
