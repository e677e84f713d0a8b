"""What the tour says: what is done in each step and why, and what was found. The figures come from the steps."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.generating import rows
from pipeline.models.dialogues import CLOSED
from pipeline.models.tiny import Card
from pipeline.proposing.checkout import Checkout
from pipeline.touring import teacher
from pipeline.touring.controls import Controls
from pipeline.touring.figures import Figures, Scored, share, summary
from pipeline.touring.page import Page

SHOWN = 3  # samples, and questions with their answers
KIB = 1024


def beginning(page: Page, folder: Path, seed: int) -> None:
    page.line("labbot: the tour", "bold")
    page.say(
        "From a wish to a model that can do it, on this machine alone: nothing is downloaded, and nothing leaves it. What"
        " works here are labbot's real parts; two stand-ins are said to be such where they come in. Every figure below is"
        " measured in this run."
    )
    page.line()
    page.say(f"Files: {folder}" + (f", seed {seed}" if seed else ""))


def base(page: Page, card: Card, *, cached: bool) -> None:
    page.say(
        f"The first stand-in: a practice model of {card.weights:,} weights that was trained here from nothing, on dialogues"
        f" that a program wrote. {'It lay here already: made' if cached else 'Made'} in {card.seconds:.0f} s. A real model"
        " has a thousand times as many weights; everything else below would be the same. This one can do small things."
        " Measured when it was made, on questions that were held out (* these it knows by heart):"
    )
    tasks = [f"{name}{'*' if name in CLOSED else ''} {share(right)}" for name, right in card.scores.items()]
    page.say(", ".join(tasks) + ".", indent="  ")


def drafting(page: Page) -> None:
    page.say(
        "Mia wants the model to turn an order into a ticket. She says so to the bot, which asks for what upstream wants of a"
        " skill, one thing at a time, and writes the file. It is the same conversation in Discord, in Slack and at the"
        " terminal (`make run`). At the end she has the model asked what it makes of her five examples today. Whether an"
        " answer will do is for a judge to say, by rights a large model; the second stand-in is a rule that reads orders."
    )


def drafted(page: Page, found: Mapping[str, Any], run: Path) -> None:
    counts, count = found["counts"], len(found["questions"])
    page.line()
    page.say(
        f"So the model fails {counts['gap']} of her {count} examples: there is something to teach. What she would propose:"
        f" {run.name}/entry/qna.yaml."
    )


def teaching(page: Page) -> None:
    page.say(
        "Five examples are too few to learn from. A teacher writes more: questions like the examples, then answers; a judge"
        " sifts them. Here the rule is the teacher too, in a process of its own behind OpenAI's protocol, and is asked just"
        " what a model would be asked. So this shows how samples are made and sifted, not how well a model makes them. One"
        f" question and one answer in {1 / teacher.MISTAKES:.0f} it gets wrong on purpose, for the judge to find."
    )
    page.say(
        "One example is held out, and with it a test: orders whose name, kind and thing were never together in anything that"
        " the base read or the adapter will read. That is decided by a hash before they are written, not by looking afterwards."
    )


def taught(page: Page, run: Path, seeds: int, facts: Mapping[str, str]) -> None:
    found = json.loads((run / "samples" / "yield.json").read_bytes())
    page.say(f"The rule was first tried on Mia's {seeds} examples and gave her answers to all of them.")
    page.facts(
        [
            ("samples made", str(found["made"])),
            *((f"  dropped by {step}", str(gone)) for step, _, gone in found["steps"] if gone),
            ("  kept, to train on", str(found["kept"])),
            ("questions held out for the test", str(found["unseen"]["kept"])),
            ("  of the training orders, put in other words", str(found["reworded"]["kept"])),
        ]
    )
    kept = [row for row in rows.read(run / rows.SAMPLES) if row.kept]
    for row in kept[:: max(1, len(kept) // SHOWN)][:SHOWN]:
        page.line(f"  {row.question}")
        page.line(f"      → {row.answer}", "green")


def controlled(page: Page, found: Controls) -> None:
    page.say(
        f"Before anything is trained, what the figures will be held against. Of the {found.asked} test answers {found.leaked}"
        f" stand in the training data, and {found.crossed} orders lie on the wrong side of the split. Somebody who knows the"
        f" form and draws the fields gets {100 * found.chance:.2g}% right, somebody who gives the answer to the most similar"
        f" of the {found.trained} training questions {share(found.copied)}."
    )


def training(page: Page) -> None:
    page.say(
        "Mia's skill becomes a LoRA: small matrices beside every linear layer of the model, whose own weights stay as they"
        " are. The loss is on the answers only. A fifth of what is read is replay, dialogues that the base was taught with,"
        " so that it keeps what it can. Every checkpoint is scored on held-out questions (others than the test's), and the"
        " best is kept."
    )


def trained(page: Page, facts: Mapping[str, str], plan: Mapping[str, Any]) -> None:
    samples, config = plan["samples"], plan["config"]
    page.facts(
        [
            ("device", f"{plan['device']}, {plan['precision']}"),
            ("samples", f"{samples['samples'] - samples['replay']} and {samples['replay']} of replay"),
            ("adapter", f"rank {config['rank']}, alpha {config['alpha']:g}, rate {config['rate']:g}"),
            ("steps", f"{facts['steps']}, the best after {facts['best']}"),
            ("loss on held-out answers", f"{facts.get('held_before', '?')} → {facts.get('held_loss', '?')} nats a token"),
        ]
    )


def compared(page: Page, scores: Mapping[str, Any]) -> None:
    page.say(
        "Base and adapter get the same questions and always take the likeliest token. An answer is right when it is the"
        " wanted one letter by letter."
    )
    for name in ("unseen", "reworded", "forgetting"):
        if scores.get(name):
            page.say(str(scores[name]["sentence"]), indent="  ")
    page.say("(In other words: in wordings that no training sample has.)")
    page.say("Mia's own five:")
    for one in scores["seeds"]:
        page.line(f"  {one['question']}")
        page.line(f"      before: {one['before']}", "dim")
        page.line(f"      after:  {one['after']}", "green" if one["after"] == one["wanted"] else "red")


def without_replay(page: Page, tuned: Scored, plain: Scored) -> None:
    page.say(
        f"Without replay the skill is learned as well ({share(plain.after)}, with replay {share(tuned.after)}), but the base's"
        f" own tasks go: {share(plain.kept_before)} before, {share(plain.kept_after)} after, and"
        f" {share(tuned.kept_after)} where a fifth of the data was replay."
    )
    head = ("own task", "before", "with replay", "without")
    page.table(
        head,
        [
            (name, share(before / asked), share(after / asked), share(plain.families[name][2] / asked))
            for name, (asked, before, after) in tuned.families.items()
        ],
    )


def on_shuffled(page: Page, found: Scored) -> None:
    page.say(
        f"Every sample got the answer of another one, and all else was the same. {share(found.after)} of the test are right"
        " then: it is the samples that teach, not the questions."
    )


def served(page: Page, facts: Mapping[str, str], asked: Sequence[tuple[str, str, str, str]]) -> None:
    files = [f"{name} ({size / KIB:,.0f} KiB)" for name, size in json.loads(facts["files"])]
    right = sum(tuned == wanted for _, wanted, _, tuned in asked)
    page.say(
        f"Written and checked: {', '.join(files)}. The engine that has served the base all along loads the GGUF"
        f" beside it and is asked the whole test by OpenAI's protocol: {right} of {len(asked)} right. A few of the answers,"
        " the base's and the adapter's:"
    )
    for question, _, before, after in asked[:: max(1, len(asked) // SHOWN)][:SHOWN]:
        page.line(f"  {question}")
        page.line(f"      tiny:    {before}", "dim")
        page.line(f"      tickets: {after}", "green")


def proposed(page: Page, upstream: Checkout, branch: str) -> None:
    page.line()
    page.say(f"A bare repository stands for upstream; the branch was pushed to it by git. What a reviewer gets, {branch}:")
    for line in upstream.git("log", "-1", "--stat=76", "--format=%B", branch).splitlines():
        if line.strip():
            page.line(f"  {line}", "dim")


def ended(page: Page, found: Figures, missed: Sequence[str], folder: Path, run: Path) -> None:
    page.line()
    page.line("What was measured", "bold cyan")
    page.line("─" * page.console.width, "cyan")
    page.facts(summary(found))
    page.line()
    page.facts([*((title, f"{seconds:.0f} s") for title, seconds in page.spent.items()), _whole(page)])
    page.line()
    page.facts(
        [
            ("picture", str(run / "train" / "curves.png")),
            ("report", str(run / "report.html")),
            ("adapter", str(run / "export" / "adapter.gguf")),
            ("figures", str(folder / "tour.json")),
        ]
    )
    page.line()
    if missed:
        page.line("This tour missed its goals:", "bold red")
        for one in missed:
            page.say(one, indent="  ")
        return
    page.say("All goals are met. Your turn: `make run`, and tell the bot what you want to teach.")


def _whole(page: Page) -> tuple[str, str]:
    return "in all", f"{sum(page.spent.values()):.0f} s"


def under_way(facts: Mapping[str, str]) -> str:
    """A stage's facts in a few words, for the line that is written over."""
    stage = facts.get("stage", "")
    if "step" in facts:
        return f"{stage}: step {facts['step']} of {facts['steps']}, loss {facts['loss']}, {facts['speed']} tokens/s"
    if "kept" in facts and "wanted" in facts:
        return f"samples: {facts['kept']} of {facts['wanted']} kept, {facts.get('held', '0')} held out"
    return f"{stage} {float(facts.get('fraction', '0')):.0%}"
