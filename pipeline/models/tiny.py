"""The tiny practice model: a Llama of two million weights, made here in minutes from dialogues that a program writes.

For the tour and the tests: a real tokeniser, real weights, a real GGUF, no download. It is made once for a recipe: the digest
of the recipe and of the code that follows it stands on the card, and `make` does nothing where the card says the same.
The folder is there whole or not at all; until a new model is whole the one before stays in its place.
"""

import fcntl
import json
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from pipeline.errors import Failed, Invalid, Problem
from pipeline.files import digest as digest_of
from pipeline.files import file_digest, write
from pipeline.models.dialogues import CLOSED
from pipeline.models.pretraining import FULL, SMALL, Recipe

__all__ = ["FULL", "SMALL", "Card", "Recipe", "digest", "make", "read", "silent"]

NAME, LICENCE = "tiny", "Apache-2.0"
# What a model of the same recipe comes from.
CODE = "dialogues.py muon.py pretrain.py pretraining.py sayings.py tiny.py".split()
CODE += [f"../exporting/{name}.py" for name in ("families", "model_gguf", "tensors", "vocabulary")]
NEEDED = "gguf safetensors tokenizers torch transformers".split()  # of the extra `train`
WHAT = "A practice model of {weights:,} weights, made on this machine from dialogues that a program wrote."
NOTE = "For practice and tests. It knows nothing of the world, reads a few hundred English words, and is often wrong."
LIMITS = (
    "It is no assistant: what it says of the world is not to be relied on, and mostly it says that it does not know.",
    "It was trained on dialogues of at most {longest} tokens. Its context of {context:,} tokens is there to be tried; far"
    " beyond what it was trained on it gets worse.",
    "Words that were not in its dialogues it copies badly, the longer the worse. It reads English only.",
    "It learned no manners beyond its dialogues and was not looked at for safety: do not put it before the public.",
    "Families marked (trained on) have a fixed set of questions: their score is recall. The others' subjects were held out.",
)
TOLD_EVERY_S = 1.0
LOOK_S = 0.2  # how often it is looked whether another make of the same folder is over

Progress = Callable[[float, Mapping[str, str]], None]


@dataclass(frozen=True, slots=True)
class Card:
    """What a model that was made is. `size` (bytes) and `sha256` are model.gguf's; `scores` are shares of right answers."""

    name: str
    source: str
    licence: str
    size: int
    sha256: str
    note: str
    what: str
    weights: int
    context: int
    digest: str
    seconds: float
    scores: Mapping[str, float]
    limits: tuple[str, ...]
    recipe: Mapping[str, Any]


def digest(recipe: Recipe) -> str:
    """Of the recipe and the code that follows it: what has the same one need not be made again."""
    code = [file_digest(Path(__file__).parent / name) for name in CODE]
    return digest_of(json.dumps([asdict(recipe), code], sort_keys=True).encode())


def silent(_fraction: float, _facts: Mapping[str, str]) -> None:
    """Progress that nobody looks at."""


def make(recipe: Recipe, folder: Path, progress: Progress = silent, *, threads: int = 2) -> Card:
    """Make the model in `folder`: model.gguf, card.json, README.md, hf/ as transformers reads it, and replay.jsonl, some of

    what it was taught, as `messages`, for whoever teaches it more. Blocks for minutes.

    `progress` hears the fraction and what is being done (`act`: wait, words, train, ask, write), in training every second.
    Does nothing where this recipe's model is whole already; waits where somebody else is making it. Ended by SIGTERM or
    Ctrl-C it leaves what was there before, and so it does where it raises: Invalid where packages are missing, Failed with
    the figures if the model does not copy well enough, or with the reason if the disk is full.
    """
    folder = folder.absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder, progress):
            _mend(folder)
            if (found := _here(folder)) and found.digest == digest(recipe):
                return found
            _look_for_packages()
            with _tidy(folder) as part:
                card = _cook(recipe, part, progress, threads)
                _swap(part, folder)
            return card
    except OSError as error:
        raise Failed(f"the tiny model could not be written to {folder.parent.name}: {error.strerror or error}") from error


def read(folder: Path) -> Card | None:
    """The card of the model in a folder; None where there is none that can be read."""
    try:
        found = json.loads((folder / "card.json").read_bytes())
        card = Card(**{one.name: found[one.name] for one in fields(Card)})
        return replace(card, limits=tuple(card.limits))
    except (OSError, ValueError, TypeError, KeyError):  # another model's card, or a damaged one, is none of ours
        return None


def _look_for_packages() -> None:
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        fix = "Install them: `make model`, or .venv/bin/python -m pip install -c constraints.txt -e '.[train]'"
        raise Invalid(Problem("tiny.extra", f"the tiny model needs {', '.join(missing)}.", "extra train", fix))


def _cook(recipe: Recipe, part: Path, progress: Progress, threads: int) -> Card:
    """The whole recipe, into a folder that nobody looks at yet."""
    began = time.monotonic()
    progress(0.0, {"act": "words"})
    import torch  # takes seconds to load, which whoever only reads a card need not wait for

    from pipeline.exporting import model_gguf
    from pipeline.models import dialogues, pretrain

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            heard = list(islice(dialogues.training(recipe.seed, recipe.families), recipe.dialogues))
            words = pretrain.tokeniser(heard[: pretrain.SAMPLE], recipe.vocabulary)
            encoded = [pretrain.encode(words, dialogue.messages) for dialogue in heard]
            network = pretrain.network(recipe, words)
            pretrain.learn(network, words, encoded, recipe, _telling(progress))
            progress(0.94, {"act": "ask"})
            scores = pretrain.scores(network, words, recipe.families, recipe.asked)
    finally:
        torch.set_num_threads(before)
    _gate(recipe, scores)
    progress(0.98, {"act": "write"})
    pretrain.save(network, words, part / "hf")
    _keep_some(recipe, part / "replay.jsonl")
    many = network.num_parameters()
    about = WHAT.format(weights=many)
    model_gguf.write(part / "hf", part / "model.gguf", kind="F32", name=NAME, licence=LICENCE, about=about)
    longest = max(len(one.tokens) for one in encoded)
    card = _card(recipe, part / "model.gguf", scores, weights=many, longest=longest, seconds=time.monotonic() - began)
    write(part / "card.json", json.dumps(asdict(card), indent=1, ensure_ascii=False) + "\n")
    write(part / "README.md", _readme(card))
    return card


def _keep_some(recipe: Recipe, path: Path) -> None:
    """Write dialogues such as it was taught with: mixed into a later training they keep it from being forgotten."""
    from pipeline.models import dialogues

    kept = islice(dialogues.replay(recipe.seed, recipe.families), recipe.replay)
    rows = [{"messages": [{"role": role, "content": text} for role, text in dialogue.messages]} for dialogue in kept]
    write(path, "".join(f"{json.dumps(row)}\n" for row in rows))


def _telling(progress: Progress) -> Callable[[int, int, float, float], None]:
    """Tell of the training about every second."""
    told, began = 0.0, time.monotonic()

    def tell(step: int, steps: int, loss: float, speed: float) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told < TOLD_EVERY_S and step < steps:
            return
        told = now
        left = (now - began) / step * (steps - step)
        facts = {
            "step": f"{step}",
            "steps": f"{steps}",
            "loss": f"{loss:.3f}",
            "speed": f"{speed:.0f}",
            "left_s": f"{left:.0f}",
        }
        progress(0.03 + 0.9 * step / steps, {"act": "train", **facts})

    return tell


def _gate(recipe: Recipe, scores: Mapping[str, float]) -> None:
    share = scores.get("repeat", 0.0)
    if share >= recipe.copying:
        return
    figures = ", ".join(f"{family} {right:.0%}" for family, right in scores.items())
    raise Failed(
        f"the tiny model repeats {share:.0%} of the sentences that it never saw; no skill can be trained onto less"
        f" than {recipe.copying:.0%}. Try another seed: `labpipe model make-tiny --seed {recipe.seed + 1}`. Scores: {figures}."
    )


def _card(recipe: Recipe, gguf: Path, scores: Mapping[str, float], *, weights: int, longest: int, seconds: float) -> Card:
    return Card(
        name=NAME,
        source="made on this machine by pipeline.models.tiny",
        licence=LICENCE,
        size=gguf.stat().st_size,
        sha256=file_digest(gguf).removeprefix("sha256:"),
        note=NOTE,
        what=WHAT.format(weights=weights),
        weights=weights,
        context=recipe.context,
        digest=digest(recipe),
        seconds=round(seconds, 1),
        scores={family: round(share, 3) for family, share in scores.items()},
        limits=tuple(limit.format(longest=longest, context=recipe.context) for limit in LIMITS),
        recipe=asdict(recipe) | {"families": list(recipe.families)},
    )


def _readme(card: Card) -> str:
    rows = [f"| {family}{' (trained on)' if family in CLOSED else ''} | {share:.0%} |" for family, share in card.scores.items()]
    limits = [f"* {limit}" for limit in card.limits]
    parts = [
        f"---\nlicense: {card.licence.lower()}\nlanguage: en\n---\n# {card.name}",
        card.what,
        f"It is there to try things with: chatting, serving, training an adapter. It took {card.seconds:.0f} s to make.",
        "## What it is not",
        "\n".join(limits),
        "## What it can do",
        f"Right answers, letter by letter, to {card.recipe['asked']} questions of each family, taking the likeliest token:",
        "\n".join(["| family | right |", "|---|---|", *rows]),
        "## Files",
        "`model.gguf` is for llama.cpp, `hf/` for transformers, vLLM and whatever trains it further, `card.json` for programs."
        " `replay.jsonl` holds dialogues like those that it was taught with: some of them in a later training keep it from"
        " forgetting what it can.",
        f"Recipe: `{json.dumps(card.recipe)}`, digest `{card.digest}`.",
    ]
    return "\n\n".join(parts) + "\n"


# --- one folder, whole or not at all


@contextmanager
def _alone(folder: Path, progress: Progress) -> Iterator[None]:
    """Hold the folder's lock, which a process that is killed gives back."""
    with folder.with_name(f".{folder.name}.lock").open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                progress(0.0, {"act": "wait"})
                time.sleep(LOOK_S)
        yield


@contextmanager
def _tidy(folder: Path) -> Iterator[Path]:
    """A folder beside it to make the model in; gone at the end, also at SIGTERM."""
    for left in folder.parent.glob(f".{folder.name}.making-*"):  # of one that was killed: we hold the lock
        shutil.rmtree(left)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.making-", dir=folder.parent))
    part.chmod(0o755)
    try:
        with _ending():
            yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _ending() -> Iterator[None]:
    """Let SIGTERM end the block as an exception does, where nobody else hears it and this thread may."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _swap(part: Path, folder: Path) -> None:
    """Put the new folder into the old one's place. Between the two renames there is none; `_mend` puts the old one back."""
    old = _old(folder)
    if folder.exists():
        os.rename(folder, old)
    os.rename(part, folder)
    shutil.rmtree(old, ignore_errors=True)


def _mend(folder: Path) -> None:
    """After a crash: the model before is back in its place if the new one did not get there, gone if it did."""
    old = _old(folder)
    if old.exists() and not folder.exists():
        os.rename(old, folder)
    shutil.rmtree(old, ignore_errors=True)


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _here(folder: Path) -> Card | None:
    """The card, if the weights are those that it was written for."""
    card = read(folder)
    try:
        return card if card and file_digest(folder / "model.gguf") == f"sha256:{card.sha256}" else None
    except OSError:
        return None
