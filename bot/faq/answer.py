"""The FAQ as the rest of labbot knows it: files in, replies out, with how sure it is.

What is costly is made once for each state of the files and kept in the cache by their digest: ridge's memory and the
calibration. Both are a second's work for a hundred entries; the cache may be thrown away at any time.
"""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from bot.faq import calibrate
from bot.faq.akin import akin
from bot.faq.calibrate import Model
from bot.faq.index import Floats, Index, build, phrased, ridged
from bot.faq.load import Entry, files, read
from bot.faq.search import EVIDENCE, Vectors, search
from bot.faq.short import short
from bot.faq.words import clean, words
from pipeline.errors import Problem

VERSION = 2  # of what the cache holds; raise it when search or calibration change
MOST_HITS = 5
KEPT = 8  # states of FAQs whose fits stay in the cache
SURE = 0.99  # of an entry that is asked by these very words
LONGEST_QUESTION = 1000  # characters; a pasted log is no question
CONFIGS = Path(__file__).resolve().parent.parent.parent / "configs"
NOT_SAID, OFF_TOPIC = CONFIGS / "faq-not-said.txt", CONFIGS / "faq-off-topic.txt"
Lists = tuple[tuple[str, ...], tuple[str, ...]]  # what our own FAQ does not say, and what no FAQ of a project says
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry that was found. `score` is 0 to 1; `short` is one or two sentences, `rest` what the entry says besides."""

    id: str
    title: str
    answers: tuple[str, ...]
    link: str
    score: float
    short: str
    rest: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What the FAQ says. `offered`: not sure enough to answer, and near enough to show. `answer` is empty unless answered.

    `count` is how many of the first hits the answer is made of: more than one where a message asks several things.
    """

    answered: bool
    offered: bool
    score: float
    hits: tuple[Hit, ...]
    answer: str
    count: int = 0


class Faq:
    """The entries of some markdown files and folders, read again when these change.

    `cache` is a folder of our own; without one everything is made anew at each start. `embeddings` is the address of an
    OpenAI-compatible endpoint.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        base_url: str = "",
        cache: Path | None = None,
        *,
        embeddings: str = "",
        not_said: Path = NOT_SAID,
        off_topic: Path = OFF_TOPIC,
    ) -> None:
        self._paths, self._base_url, self._cache, self._embeddings = tuple(paths), base_url, cache, embeddings
        self._lists = _lines(not_said), _lines(off_topic)
        self._seen: object = None
        self.problems: tuple[Problem, ...] = ()
        self.digest = ""
        self.entries: tuple[Entry, ...] = ()
        self.refresh()

    def refresh(self) -> bool:
        """Read the files again if one came, went or changed. True: they were read."""
        listed = files(self._paths)
        seen = [(path, name, _stamp(path)) for path, name in listed]
        if seen == self._seen:
            return False
        self._seen = seen
        found = [read(path, name, self._base_url) for path, name in listed]
        self.problems = tuple(problem for _, problems in found for problem in problems)
        entries = tuple({entry.id: entry for some, _ in found for entry in some}.values())
        self.digest = _digest(entries, self._lists)
        self.entries = entries
        self._by_id = {entry.id: entry for entry in entries}
        self._index, self._model = _known(entries, self._lists, self._cache, self.digest)
        self._vectors = _vectors(self._embeddings, entries, self._cache)
        return True

    def entry(self, id: str) -> Entry | None:
        return self._by_id.get(id)

    def ask(self, question: str, history: Sequence[str] = ()) -> Reply:
        """What the FAQ says to a question. `history`: the same person's questions before, oldest first."""
        self.refresh()
        asked = question[:LONGEST_QUESTION]
        if not self.entries or not words(clean(asked)):
            return Reply(False, False, 0.0, (), "")
        found = search(self._index, asked, [one[:LONGEST_QUESTION] for one in history], self._vectors)
        chance = SURE if found.exact else self._model.probability(found.evidence)
        best = max(float(found.scores[found.order[0]]), 1e-6)
        hits = []
        for number in found.order[:MOST_HITS]:
            share = min(max(float(found.scores[number]) / best, 0.0), 1.0)
            hits.append(self._hit(self.entries[number], asked, round(chance * share, 4)))
        answered = chance >= self._model.answer
        count = len(found.firsts) if answered else 0
        answer = "\n\n".join(hit.short for hit in hits[:count])
        return Reply(answered, not answered and chance >= self._model.offer, round(chance, 4), tuple(hits), answer, count)

    def hit(self, id: str) -> Hit | None:
        """An entry as an answer, when somebody chose it themselves; its score is 1."""
        entry = self._by_id.get(id)
        return self._hit(entry, entry.title, 1.0) if entry else None

    def _hit(self, entry: Entry, question: str, score: float) -> Hit:
        told, rest = short(entry, question, self._index.content.rarity)
        return Hit(entry.id, entry.title, entry.answers, entry.link, score, told, rest)


def _lines(path: Path) -> tuple[str, ...]:
    """The questions of a list, one a line; none where there is no such list, which only makes the calibration coarser."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        _log.warning("%s cannot be read: %s", path.name, error.strerror)
        return ()
    return tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def _digest(entries: Sequence[Entry], lists: Lists) -> str:
    """Names the state of the entries: the same in every place where they say the same."""
    text = json.dumps(
        [VERSION, [asdict(entry) for entry in entries], lists, {stem: sorted(others) for stem, others in akin().items()}],
        sort_keys=True,
    )
    return sha256(text.encode()).hexdigest()[:16]


def _vectors(url: str, entries: Sequence[Entry], cache: Path | None) -> Vectors | None:
    if not url or not entries:
        return None
    from bot.faq.vectors import Vectors as Endpoint  # its HTTP client is a seventh of a second's start

    return Endpoint(url, entries, cache)


def _known(entries: Sequence[Entry], lists: Lists, cache: Path | None, digest: str) -> tuple[Index, Model]:
    """The index and the model, from the cache if it has them.

    What the FAQ does not say is taken in beside entries that say how they are asked. Without phrasings to stand against them,
    questions about another project would speak against every entry that uses their words.
    """
    ridge = ridged(entries)
    unsaid = (*lists[0], *lists[1]) if phrased(entries) else ()
    path = cache / f"fit-{digest}.npz" if cache else None
    kept = _kept(path) if path else None
    if kept:
        return build(entries, unsaid, ridge=ridge, memory=kept[0] if kept[0].size else None), kept[1]
    index, model = build(entries, unsaid, ridge=ridge), calibrate.fit(entries, unsaid, lists[1])
    if path:
        _keep(path, index, model)
    return index, model


def _keep(path: Path, index: Index, model: Model) -> None:
    """Write the fit beside the others; a folder that cannot be written is said, and nothing is lost but time."""
    memory = index.phrasings.memory
    new = path.with_name(f"{path.stem}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("wb") as file:
            np.savez(
                file, memory=np.zeros(0, np.float32) if memory is None else memory, model=np.array(json.dumps(asdict(model)))
            )
        new.replace(path)
        for old in sorted(path.parent.glob("fit-*.npz"), key=lambda one: one.stat().st_mtime_ns)[:-KEPT]:
            old.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("%s cannot be kept: %s", path.name, error.strerror)


def _kept(path: Path) -> tuple[Floats, Model] | None:
    try:
        with np.load(path, allow_pickle=False) as found:
            return np.asarray(found["memory"], dtype=np.float32), _model(json.loads(str(found["model"])))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        _log.warning("%s cannot be read and is made anew: %s", path.name, error)
        return None


def _model(found: Mapping[str, object]) -> Model:
    """A model from its record. Raises ValueError, KeyError or TypeError if it is none."""
    lists = [tuple(float(value) for value in _list(found[name])) for name in ("mean", "spread", "weights")]
    if any(len(one) != len(EVIDENCE) for one in lists):
        raise ValueError("the model weighs other evidence")
    bias, answer, offer = (float(str(found[name])) for name in ("bias", "answer", "offer"))
    mean, spread, weights = lists
    return Model(mean, spread, weights, bias, answer, offer)


def _list(value: object) -> list[float]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return value
