"""How far something is, for people: a line that is written over on a terminal, a line now and then anywhere else."""

import shutil
from collections.abc import Mapping
from typing import TextIO

# What each act of a long step is called here; the bot has words of its own for the same acts.
ACTS = {
    "wait": "waiting for another process that does the same, {spent}",
    "collect": "looking for packages, {package}",
    "compile": "compiling {package}, {spent}; a quarter of an hour for llama-cpp-python on two cores",
    "install": "installing packages",
    "fetch": "{name}: {done} of {total}, {rate}, {left} left",
    "check": "{name}: checking what came",
    "words": "writing dialogues to learn from",
    "train": "learning: step {step} of {steps}, {left} left",
    "ask": "asking it what it can do",
    "write": "writing it down",
    "quantize": "{done} of {total} tensors",
}
FACTS = "package spent name done total rate left step steps".split()
PARTS = 10  # of the whole: one line each where nothing can be written over


class Line:
    """The line of one long act; a `with` block around it leaves the cursor on a fresh line."""

    def __init__(self, out: TextIO) -> None:
        self.out, self.over = out, out.isatty()
        self.shown = ("", -1)

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        if self.over and self.shown[0]:
            self.out.write("\r\033[K")
            self.out.flush()

    def report(self, fraction: float, facts: Mapping[str, str]) -> None:
        act, part = facts.get("act", ""), int(PARTS * fraction + 1e-9)
        text = f"{fraction:4.0%}  {_told(act, facts)}".rstrip()
        if self.over:
            self.out.write(f"\r\033[K{text[: shutil.get_terminal_size().columns - 1]}")
        elif (act, part) != self.shown:
            self.out.write(f"{text}\n")
        else:
            return
        self.out.flush()
        self.shown = (act, part)


def _told(act: str, facts: Mapping[str, str]) -> str:
    """An act in words; facts that are not known yet leave no gap."""
    if act not in ACTS:
        return " ".join(value for key, value in facts.items() if key != "act" and value)
    missing = dict.fromkeys(FACTS, "")
    return ", ".join(part for part in ACTS[act].format(**missing | dict(facts)).split(", ") if part not in ("", " left"))
