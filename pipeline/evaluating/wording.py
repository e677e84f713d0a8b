"""The comparison in English sentences, and scores.md: for the pull request and whoever reads the run's folder."""

from collections.abc import Mapping
from typing import Any

from pipeline.markdown import plain, table

VERDICTS = {
    "better": "Better.",
    "none": "No difference shown.",
    "worse": "Worse.",
    "few": "Too few questions to tell: 30 are needed.",
}
FEW_OF_MANY = "Too few independent questions to tell: 30 are needed."
NAMES = {"unseen": "Unseen", "reworded": "Reworded"}
ASKED = {"unseen": "questions it never saw", "reworded": "seed questions in other words"}
SHOWN = 5  # examples in scores.md
CELL = 300  # signs of a text in a table


def compared(found: Mapping[str, Any], name: str = "unseen") -> str:
    """A set of held-out questions, with its verdict."""
    return f"{_figures(found, ASKED[name])} {_verdict(found)}"


def kept(found: Mapping[str, Any]) -> str:
    """What the base could do."""
    before, after, difference = found["before"], found["after"], found["difference"]
    said = f"What it knew before, on {found['asked']} questions{_apart(found)}: "
    said += f"{percent(before['share'])} -> {percent(after['share'])}"
    end = {"lost": "Some of it is lost.", "kept": "No loss is shown.", "few": _few(found)}[found["verdict"]]
    end = f"Whether some of it is lost cannot be told: {_cut(found)}." if found["withheld"] else end
    return f"{said} (a difference between {points(difference['low'])} and {points(difference['high'])} points). {end}"


def percent(share: float) -> str:
    return f"{whole(share)}%"


def whole(share: float) -> str:
    """In percent, without the sign. What is not all is not said to be all, and what is not nothing not to be nothing."""
    return str(round(100 * share) if share in (0, 1) else min(99, max(1, round(100 * share))))


def points(difference: float) -> str:
    return f"{100 * difference:+.0f}"


def scores(found: Mapping[str, Any]) -> str:
    """The whole of scores.json, as markdown."""
    sets = {name: found[name] for name in NAMES if found[name]}
    lines = [
        "# Scores",
        "",
        f"Base: {_cell(found['base']['name'])}, version `{found['base']['version']}`. Adapter: `{found['adapter'][:19]}`.",
        "Both were asked the same questions, always taking the likeliest token. Intervals are 95%.",
        "",
        *(f"* **{NAMES[name]}:** {one['sentence']}" for name, one in sets.items()),
        *([f"* **Forgetting:** {found['forgetting']['sentence']}"] if found["forgetting"] else []),
        *(f"* {sentence}" for sentence in notes(found)),
        "",
        _table(sets),
        "",
    ]
    rows = found["examples"][:SHOWN]
    if rows:
        cells = [[_cell(one[name]) for name in ("question", "wanted", "before", "after")] for one in rows]
        lines += ["## Some of the answers", "", table(("Question", "Wanted", "Before", "After"), cells)]
    return "\n".join(lines).rstrip() + "\n"


def notes(found: Mapping[str, Any]) -> list[str]:
    """What has to be said beside the figures."""
    sets = {name: found[name] for name in (*NAMES, "forgetting") if found[name]}
    said = [one["why_no_pairwise"] for name, one in sets.items() if name in NAMES and one["why_no_pairwise"]]
    if any(one["independent"] < one["asked"] for one in sets.values()):
        said.append("Questions of one seed question or text are not independent: intervals and tests take them together.")
    for name, one in sets.items():
        said += [f"{NAMES.get(name, 'Forgetting')}: {sentence}" for sentence in _troubles(one)]
    if found.get("decoding", {}).get("thinking") and any(one["before"]["cut"] or one["after"]["cut"] for one in sets.values()):
        said.append(
            "The base's chat template has a switch to think before the answer (`enable_thinking`), which was left as it is: "
            "what a model thinks counts towards the tokens of its answer."
        )
    if found["choosing"].get("shared_with_test"):
        said.append("The checkpoint was chosen on these same questions, being few, so the figures after are a little too good.")
    return list(dict.fromkeys(said))


def _verdict(found: Mapping[str, Any]) -> str:
    if found["withheld"]:
        return f"No verdict: {_cut(found)}, and what they would have come to nobody knows."
    return _few(found) if found["verdict"] == "few" else VERDICTS[found["verdict"]]


def _few(found: Mapping[str, Any]) -> str:
    return FEW_OF_MANY if found["independent"] < found["asked"] else VERDICTS["few"]


def _apart(found: Mapping[str, Any]) -> str:
    return f" ({found['independent']} of them independent)" if found["independent"] < found["asked"] else ""


def _troubles(found: Mapping[str, Any]) -> list[str]:
    said = [f"{_cut(found)}, and count as they stood then."] if found["before"]["cut"] or found["after"]["cut"] else []
    if long := found["before"]["long"]:
        said.append(f"{long} of {found['asked']} questions left no room for an answer, and count as not answered.")
    return said


def _cut(found: Mapping[str, Any]) -> str:
    asked, before, after = found["asked"], found["before"]["cut"], found["after"]["cut"]
    limits = list(dict.fromkeys(found["cut_at"]))
    at = f" at {' to '.join(map(str, limits))} tokens" if limits else ""
    return f"{before} of {asked} answers before and {after} of {asked} after were cut{at}"


def _figures(found: Mapping[str, Any], what: str) -> str:
    asked, before, after, apart = found["asked"], found["before"], found["after"], _apart(found)
    if found["by"] == "judge":
        judge = found["pairwise"]
        return (
            f"On {asked} {what}{apart}, of the two answers the judge preferred {judge['after']} from after the training "
            f"({percent(judge['share'])}, between {whole(judge['low'])} and {whole(judge['high'])}), "
            f"{judge['before']} from before, and neither in {judge['same']}."
        )
    if found["by"] == "f1":
        return (
            f"On {asked} {what}{apart}: right to the letter before {before['right']}, after {after['right']}; of "
            f"words shared with the wanted answer (F1), which tell more here, before {before['f1']:.2f}, "
            f"after {after['f1']:.2f} (between {after['f1_low']:.2f} and {after['f1_high']:.2f})."
        )
    interval = f"{percent(after['share'])}, between {whole(after['low'])} and {whole(after['high'])}"
    return f"On {asked} {what}{apart}: before {before['right']}, after {after['right']} ({interval})."


def _table(sets: Mapping[str, Mapping[str, Any]]) -> str:
    rows: list[list[str]] = []
    for name, one in sets.items():
        exact, f1 = one["tests"]["exact"], one["tests"]["f1"]
        counts = [f"{side['right']} ({percent(side['share'])})" for side in (one["before"], one["after"])]
        rows.append([f"{NAMES[name]}, {one['asked']}", "right to the letter", *counts, *_differs(exact)])
        rows.append(["", "but for case and marks", *(str(side["alike"]) for side in (one["before"], one["after"])), "", ""])
        rows.append(["", "F1", *(f"{side['f1']:.2f}" for side in (one["before"], one["after"])), *_differs(f1)])
        if judge := one["pairwise"]:
            preferred = [str(judge["before"]), str(judge["after"])]
            rows.append(["", "preferred by the judge", *preferred, *_differs(one["tests"]["judge"])])
    return table(("Questions", "", "Before", "After", "Difference", "p"), rows)


def _differs(one: Mapping[str, float]) -> list[str]:
    p = "< 0.001" if one["p"] < 0.001 else f"{one['p']:.3f}"
    return [f"{points(one['share'])} ({points(one['low'])} to {points(one['high'])})", p]


def _cell(text: str) -> str:
    """A text of a person's or a model's: nothing of it is markup, a link or a mention, which GitHub reads after markdown."""
    short = text if len(text) <= CELL else f"{text[:CELL]} …"
    return plain(short).replace("@", "@\u200b") or " "
