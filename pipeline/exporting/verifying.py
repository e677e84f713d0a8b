"""Looks at every file after it was written: what llama.cpp and transformers compute with it is held against the reference.

The reference is the base with its adapter, computed by transformers and peft on the CPU. What a file may differ by depends on
its kind, and was set before anything was measured:

* in 32 bits: no logit by more than 0.01, and the likeliest token the same everywhere;
* in fewer bits: the logits alike (ALIKE), which finds files that are broken. Rounding moves them a little, the more the fewer
  bits, and how often another token becomes the likeliest then is told, not asked: that says more of the model than of the file;
* an adapter is computed on the base's own GGUF. Where that is rounded itself, the adapter's logits may be less like the
  reference's than the bare base's are, by at most LESS: the rounding is the base's, the rest would be the adapter's.

A file that fails is an error with its figures. What could not be looked at, for want of memory, is told as such.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import Failed
from pipeline.exporting.asking import Asked
from pipeline.exporting.llama_logits import computed
from pipeline.exporting.reference import Reference
from pipeline.exporting.tensors import Tensors
from pipeline.files import file_digest
from pipeline.models import shape

Floats = NDArray[np.float32]

EXACT_LOGIT, EXACT_LIKELIEST = 0.01, 1.0
# Measured: 0.9998, 0.998 and 0.997 for the last three on a small model that learned something, 0.999, 0.98 and 0.96 on chance.
ALIKE = {"F32": 0.999, "F16": 0.995, "BF16": 0.98, "Q8_0": 0.95, "Q5_K_M": 0.8, "Q4_K_M": 0.75}
ROUNDED = "BF16"  # as which something counts whose reference was computed in 16 bits
LESS = 0.05
TINY = 1e-30


@dataclass(frozen=True, slots=True)
class Agreement:
    """How two lists of logits agree: the greatest difference, the share of places with the same likeliest token, and how

    alike they are: the mean of their correlations, place by place.
    """

    logit: float
    likeliest: float
    alike: float
    places: int


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at of a file. `wanted` and `found` are figures by name; `note`: what else is to be known."""

    file: str
    what: Literal["read", "tokens", "logits", "loaded"]
    passed: bool
    wanted: dict[str, float] = field(default_factory=dict)
    found: dict[str, float] = field(default_factory=dict)
    note: str = ""

    def told(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Known:
    """What the reference computed: for each prompt the logits with the adapter and of the bare base; tokens of chats and texts.

    `exact`: in 32 bits.
    """

    asked: Asked
    tuned: tuple[Floats, ...]
    bare: tuple[Floats, ...]
    tokens: tuple[list[int], ...]
    exact: bool


def known(reference: Reference, asked: Asked, *, exact: bool) -> Known:
    """Ask the reference."""
    with reference.bare():
        bare = tuple(reference.logits(asked.prompts, asked.last))
    tuned = tuple(reference.logits(asked.prompts, asked.last))
    return Known(asked, tuned, bare, tuple(reference.words([*asked.chats, *asked.texts])["input_ids"]), exact)


def agreement(found: Iterable[Floats], wanted: Iterable[Floats]) -> Agreement:
    """Of logits (positions, vocabulary), prompt by prompt; one may have more rows of vocabulary. NaN agrees with nothing."""
    greatest, same, alike, places = 0.0, 0, 0.0, 0
    for ours, theirs in zip(found, wanted, strict=True):
        width = min(ours.shape[1], theirs.shape[1])
        a, b = np.array(ours[:, :width]), np.array(theirs[:, :width])
        apart = float(np.abs(a - b).max())
        greatest = apart if not apart <= greatest else greatest  # also where it is no number
        same += int((a.argmax(axis=1) == b.argmax(axis=1)).sum())
        a, b = (one - one.mean(axis=1, keepdims=True) for one in (a, b))
        lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        alike += float(((a * b).sum(axis=1) / np.maximum(lengths, TINY)).sum())
        places += len(ours)
    return Agreement(greatest, same / max(1, places), alike / max(1, places), places)


# --- GGUF


def model(path: Path, kind: str, seen: Known) -> list[Check]:
    """A whole model of that kind: read, cut texts, and its logits. Raises Failed where it is not what it should be."""
    read = shape.read(path)
    checks = [Check(path.name, "read", True, found={"weights": read.parameters, "bytes": read.size_bytes})]
    texts = (*seen.asked.chats, *seen.asked.texts)
    with computed(path, seen.asked.prompts, last=seen.asked.last, texts=texts) as made:
        differ = [text for text, a, b in zip(texts, made.tokens, seen.tokens, strict=True) if list(a) != list(b)]
        checks.append(_tokens(path.name, differ, seen.asked))
        checks.append(_logits(path.name, kind, agreement(made.logits, seen.tuned), seen))
    return _passed(checks)


def adapter(path: Path, base: Path, seen: Known) -> list[Check]:
    """An adapter on its base's own GGUF, of whatever kind. Raises Failed where it is not what it should be."""
    kind = shape.read(base).quantisation
    with computed(base, seen.asked.prompts, adapter=path, last=seen.asked.last) as made:
        found = agreement(made.logits, seen.tuned)
    if kind == "F32":
        return _passed([_logits(path.name, kind, found, seen)])
    with computed(base, seen.asked.prompts, last=seen.asked.last) as made:
        bare = agreement(made.logits, seen.bare)
    wanted = {"alike": bare.alike - LESS}
    note = (
        f"on a base in {kind}, which alone gives the likeliest token of its unrounded weights in {bare.likeliest:.1%} of places"
    )
    return _passed([_compared(path.name, found, wanted, note)])


def loaded(path: Path, asked: Asked, why: str, *, base: Path | None = None) -> list[Check]:
    """Where there is no reference: llama.cpp loads the file, computes numbers with it, and an adapter changes something."""
    with computed(base or path, asked.prompts, adapter=path if base else None, last=asked.last) as made:
        logits = [np.array(one) for one in made.logits]
    finite = all(bool(np.isfinite(one).all()) for one in logits)
    if base is None:
        return _passed([Check(path.name, "loaded", finite, note=why)])
    with computed(base, asked.prompts, last=asked.last) as made:
        moved = agreement(made.logits, logits).logit
    return _passed([Check(path.name, "loaded", finite and moved > 0, found={"moved": moved}, note=why)])


def _tokens(file: str, differ: Sequence[str], asked: Asked) -> Check:
    """Every chat has to be cut into the same tokens; of odd texts, where llama.cpp's patterns may differ, it is told."""
    wrong = [text for text in differ if text in asked.chats]
    found = {"chats": float(len(asked.chats) - len(wrong)), "texts": float(len(asked.texts) - len(differ) + len(wrong))}
    note = f"cut into other tokens: {differ[0]!r}" if differ else ""
    return Check(file, "tokens", not wrong, {"chats": float(len(asked.chats))}, found, note)


def _logits(file: str, kind: str, found: Agreement, seen: Known) -> Check:
    if kind == "F32" and seen.exact:
        return _compared(file, found, {"logit": EXACT_LOGIT, "likeliest": EXACT_LIKELIEST})
    wanted = ALIKE.get(kind, min(ALIKE.values()))
    if seen.exact:
        return _compared(file, found, {"alike": wanted})
    note = "the reference was computed in the 16 bits of the base's weights, for want of memory"
    return _compared(file, found, {"alike": min(wanted, ALIKE[ROUNDED])}, note)


def _compared(file: str, found: Agreement, wanted: dict[str, float], note: str = "") -> Check:
    """`wanted`: the most that a logit may be off, and the least of the other figures."""
    told = {name: float(value) for name, value in asdict(found).items()}
    enough = all(told[name] >= least for name, least in wanted.items() if name != "logit")
    near = found.logit <= wanted.get("logit", np.finfo(np.float32).max)
    return Check(file, "logits", bool(enough and near), wanted, told, note)


# --- safetensors


def copied(path: Path, source: Path) -> list[Check]:
    """A file that was copied has the same bytes."""
    same = file_digest(path) == file_digest(source)
    return _passed([Check(path.name, "read", same, found={"bytes": float(path.stat().st_size)})])


def merged(folder: Path, base: Path, seen: Known | None, why: str) -> list[Check]:
    """A merged model: the tensors of its base, all of them numbers; with a reference also what transformers computes."""
    import torch

    with Tensors(folder) as ours, Tensors(base) as theirs:
        same = ours.shapes == theirs.shapes and ours.numbers == theirs.numbers
        finite = all(bool(torch.isfinite(ours.tensor(name)).all()) for name in ours.shapes)
        kind = "F32" if set(ours.numbers.values()) <= {"F32", "F64"} else "BF16"
        found = {"tensors": float(len(ours.shapes)), "wanted": float(len(theirs.shapes))}
    checks = [Check(folder.name, "read", same and finite, found=found)]
    if seen is None:
        return _passed([*checks, Check(folder.name, "loaded", True, note=why)])
    reference = Reference(folder, exact=seen.exact)
    made = agreement(reference.logits(seen.asked.prompts, seen.asked.last), seen.tuned)
    return _passed([*checks, _logits(folder.name, kind, made, seen)])


def _passed(checks: list[Check]) -> list[Check]:
    """Raises Failed for the first that did not pass, with its figures."""
    for check in checks:
        if not check.passed:
            found, wanted = (
                ", ".join(f"{name} {value:g}" for name, value in one.items()) for one in (check.found, check.wanted)
            )
            about = f" ({check.note})" if check.note else ""
            raise Failed(f"{check.file} is not what was to be written ({check.what}): found {found}; wanted {wanted}{about}")
    return checks
