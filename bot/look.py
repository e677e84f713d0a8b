"""What the shell looks at for the core: paths, drafts as they would stand, files, a document's passages, the FAQ."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, get_args

from bot import trained, triaged
from bot.core import publishing
from bot.core.contribute import FORMS, entry
from bot.core.form import whole
from bot.core.known import (
    Brought,
    Checked,
    CheckedRow,
    CheckedState,
    CheckedVerdict,
    Entry,
    Excerpt,
    Finding,
    Offer,
    Reply,
    Report,
    Sample,
    Sampled,
    Serving,
)
from bot.core.records import Draft
from bot.core.talk import FILE_BYTES, File, Look
from bot.core.trained import Adapter, Curve, Exported, Scores
from bot.faq import Faq
from pipeline import attribution, intake, passages, qna
from pipeline.check import MODES, SIZE_BYTES, check_text
from pipeline.errors import Invalid, Problem
from pipeline.screen import Alike, Screen, advice
from pipeline.sources import Source
from pipeline.taxonomy import Entry as Contribution
from pipeline.taxonomy import Knowledge, Tree, read_tree, suggest

log = logging.getLogger("labbot")

Fetch = Callable[[File], Awaitable[bytes]]

Mine = Callable[[str], Awaitable[str]]  # everything that is kept of a person, as JSON


async def nothing(person: str) -> str:
    return "{}"


async def here(run: str, path: str) -> None:
    """Bring a file of a run from where another host left it: not needed where all share a disk."""


async def unthumbed(run: str) -> Mapping[str, str]:
    return {}


async def nobody() -> Serving:
    return Serving()


PASSAGES, PRECHECK, REPORT = "passages.jsonl", "precheck.json", "report.html"  # what runs leave for the conversation
SAMPLES, GENERATED = "samples/samples.jsonl", "samples/generated.jsonl"  # of the whole set, or as far as a run came
REPORT_BYTES = 1_000_000  # of a page that is sent: the message that it goes with lies in Redis for a month
SCANNED = 10_000  # rows that are looked through for a page of samples; who wants to see more has the report
TRAINED: Mapping[str, tuple[Any, ...]] = {  # nothing, what reads it, and from which files: brought where hosts share no disk
    "curve": (Curve(), trained.curve, trained.PICTURE, trained.METRICS, trained.HELD),
    "scores": (Scores(), trained.scores, trained.SCORES),
    "export": (Exported(), trained.exported, trained.ADAPTER),
    "adapter": (Adapter(), trained.adapter, trained.PLAN, trained.THERE),
}
FRESH_S = 10.0  # how old a listing of the taxonomy may be: people wait for each other's branches longer than that


class Looker:
    """Looks at one taxonomy checkout, and remembers its tree for a while; `runs` is the folder of what runs made."""

    def __init__(
        self,
        checkout: Path,
        runs: Path,
        sources: tuple[Source, ...] = (),
        faq: Faq | None = None,
        mine: Mine = nothing,
        screened: tuple[Screen | None, Alike | None] = (None, None),
        serving: Callable[[], Awaitable[Serving]] = nobody,
        shelf: Callable[[str], tuple[Offer, ...]] = lambda locale: (),
        bring: Callable[[str, str], Awaitable[None]] = here,
        thumbs: Callable[[str], Awaitable[Mapping[str, str]]] = unthumbed,
    ) -> None:
        self.checkout, self.runs, self.sources, self.faq, self.mine = checkout, runs, sources, faq, mine
        self.screened, self.serving, self.shelf, self.bring, self.thumbs = screened, serving, shelf, bring, thumbs
        self._tree = Tree()
        self._read_at = -FRESH_S

    async def tree(self) -> Tree:
        """The folders and leaves there are, at most FRESH_S seconds old."""
        if time.monotonic() - self._read_at >= FRESH_S:
            self._tree = await asyncio.to_thread(read_tree, self.checkout)
            self._read_at = time.monotonic()
        return self._tree

    async def __call__(self, look: Look, fetch: Fetch) -> object:
        match look.subject:
            case Draft() as draft:
                return await self.draft(draft)
            case str() as text:
                return await self._told(look, text)
            case (str(question), tuple(history)):
                return await asyncio.to_thread(self.answer, question, history)
            case (str(run), str(query), int(most)):
                await self.bring(run, PASSAGES)
                return await asyncio.to_thread(self.passages, run, query, most)
            case (str(run), str(which), int(skip), int(most)):
                await self.bring(run, SAMPLES)
                if self._file(run, SAMPLES) is None:
                    await self.bring(run, GENERATED)
                return await asyncio.to_thread(self.samples, run, which, skip, most)
            case tuple() as files:
                return tuple([await self.file(file, fetch) for file in files])
            case _:
                raise AssertionError(look)

    async def _told(self, look: Look, text: str) -> object:
        """What is looked at by a name, or is a text itself."""
        match look.what:
            case "mine":
                return await self.mine(text)
            case "precheck":
                await self.bring(text, PRECHECK)
                return await asyncio.to_thread(self.precheck, text)
            case "triage":
                await self.bring(text, triaged.TABLE)
                return await asyncio.to_thread(triaged.read, self._file(text, triaged.TABLE))
            case "report":
                await self.bring(text, REPORT)
                return await asyncio.to_thread(self.report, text)
            case "thumbs":
                return await self.thumbs(text)
            case "curve" | "scores" | "export" | "adapter":
                return await self._trained(look.what, text)
            case "serving":
                return await self.serving()
            case "models":
                return await asyncio.to_thread(self.shelf, text)
            case "entry":
                return entry_of(self.faq, text)
            case _:
                return (await asyncio.to_thread(brought, text, "qna.yaml"),)

    async def draft(self, draft: Draft) -> Finding:
        """What would be written, what its writer refuses, where it could go and whether that place is taken."""
        made = entry(draft.form, draft.answers)
        tree = await self.tree()
        places = suggest(" ".join(_telling(made)), tree, FORMS[draft.form].root)
        taken = made.leaf in tree.leaves
        try:
            text = qna.write(made)
        except Invalid as error:
            return Finding("", error.problems, places, taken)
        complete = whole(FORMS[draft.form], draft.answers)
        problems = await asyncio.to_thread(refusals, text, made.leaf) if complete else ()
        return Finding(text, problems, places, taken, await asyncio.to_thread(advice, made, self.sources, *self.screened))

    async def file(self, file: File, fetch: Fetch) -> Brought:
        if publishing.is_document(file):
            return Brought(document=file)  # what is in it is looked at where it is published
        if file.size_bytes > SIZE_BYTES:
            facts = {"size": str(file.size_bytes), "limit": str(SIZE_BYTES)}
            return Brought(problem=Problem("file.large", f"{file.size_bytes} bytes", file.name, facts=facts))
        try:
            text = (await fetch(file)).decode("utf-8-sig")
        except Invalid as error:
            return Brought(problem=error.problems[0])
        except UnicodeDecodeError:
            return Brought(problem=Problem("file.encoding", "no UTF-8 text", file.name))
        return await asyncio.to_thread(brought, text, file.name)

    def passages(self, run: str, query: str, most: int) -> tuple[Excerpt, ...]:
        """Passages of the document that a run read, best first; none where the run's folder is gone."""
        path = self._file(run, PASSAGES)
        if path is None:
            return ()
        found = [passages.Excerpt(**json.loads(line)) for line in path.read_text(encoding="utf-8").split("\n") if line]
        named = [one for one in found if f"#{one.id}" == query]
        chosen = named if query.startswith("#") else passages.search(found, query, most)
        return tuple(Excerpt(one.id, one.file, one.heading, one.text, one.words) for one in chosen)

    def precheck(self, run: str) -> Checked:
        """What the precheck of a run found; without rows where it is gone, or was made by another version."""
        path = self._file(run, PRECHECK)
        if path is None:
            return Checked()
        try:
            return checked(json.loads(path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s cannot be read: %s", path, error)
            return Checked()

    def samples(self, run: str, which: str, skip: int, most: int) -> Sampled:
        """Samples for training that a run has kept, or dropped, from the one numbered `skip` on, among the first SCANNED.

        Of a run that stopped early they are those that it had made; nobody has looked at them as a whole.
        """
        judged = self._file(run, SAMPLES)
        path = judged or self._file(run, GENERATED)
        if path is None:
            return Sampled()
        with path.open("rb") as lines:
            ours = (one for one in read_samples(islice(lines, SCANNED), path) if one.kept == (which == "kept"))
            found = tuple(islice(ours, skip, skip + most + 1))
        return Sampled(found[:most], more=len(found) > most, judged=judged is not None)

    def report(self, run: str) -> Report:
        """The page of a run, without its text where that is too large to be sent."""
        path = self._file(run, REPORT)
        if path is None:
            return Report()
        text = path.read_text(encoding="utf-8") if path.stat().st_size <= REPORT_BYTES else ""
        return Report(text, str(path))

    async def _trained(self, what: str, run: str) -> Curve | Scores | Exported | Adapter:
        """What a training has left; nothing of it where the run's name leads elsewhere."""
        found: Curve | Scores | Exported | Adapter
        found, read, *paths = TRAINED[what]
        folder = (self.runs / run).resolve()
        if folder.parent == self.runs.resolve():
            for path in paths:
                await self.bring(run, path)
            found = await asyncio.to_thread(read, folder)
        return found

    async def content(self, run: str, path: str) -> bytes:
        """A file of a run that is to be sent; b"" where it is not there, or too large for that."""
        await self.bring(run, path)
        found = self._file(run, path)
        if found is None or found.stat().st_size > FILE_BYTES:
            return b""
        return await asyncio.to_thread(found.read_bytes)

    def _file(self, run: str, name: str) -> Path | None:
        """A file that a run left; None where it is not there, or the run's name leads elsewhere."""
        path = self.runs / run / name
        return path if path.resolve().is_relative_to(self.runs.resolve()) and path.is_file() else None

    def answer(self, question: str, history: tuple[str, ...]) -> Reply:
        """What the FAQ says; nothing where there is none."""
        if self.faq is None:
            return Reply(False, False, 0.0, (), 0, "")
        said = self.faq.ask(question, history)
        hits = tuple(Entry(hit.id, hit.title, hit.link, hit.short, hit.rest) for hit in said.hits)
        return Reply(said.answered, said.offered, said.score, hits, max(1, said.count), self.faq.digest)


def checked(found: Mapping[str, Any]) -> Checked:
    """A precheck.json as the core sees it. Raises KeyError, ValueError or TypeError for one that is none."""
    rows = tuple(
        CheckedRow(
            question=str(row["question"]),
            wanted=str(row["wanted"]),
            said=str(row["said"]),
            state=_one_of(CheckedState, row["state"]),
            why=str(row["why"]),
            quote=str(row["quote"]),
        )
        for row in found["questions"]
    )
    counts = {str(state): str(int(count)) for state, count in found["counts"].items()}
    judge = found["judge"]
    verdict = _one_of(CheckedVerdict, found["verdict"])
    names = str(found["model"]["name"]), str(judge["name"])
    return Checked(rows, verdict, float(found["confidence"]), counts, *names, bool(judge["trusted"]))


def read_samples(lines: Iterable[bytes], path: Path) -> Iterator[Sample]:
    """The samples for training in a file of rows (pipeline.generating.rows), up to the first line that is none."""
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            if row["set"] == "train":
                yield sample(row)
        except (ValueError, KeyError, TypeError) as error:
            return log.warning("%s, line %d, cannot be read: %s", path, number, error)


def sample(row: Mapping[str, Any]) -> Sample:
    """A row of samples.jsonl as the core sees it. Raises KeyError, ValueError or TypeError for one that is none."""
    scores = row.get("scores") or [{"reason": ""}]
    return Sample(
        number=int(row["number"]),
        seed=int(row["seed"]),
        question=str(row["question"]),
        answer=str(row["answer"]),
        context=str(row.get("context") or ""),
        kept=bool(row["kept"]),
        at=str(row.get("at") or ""),
        why=str(row.get("why") or ""),
        of=int(row.get("of") or 0),
        reason=str(scores[-1]["reason"]),
    )


def _one_of(allowed: Any, value: Any) -> Any:
    if value not in get_args(allowed):
        raise ValueError(f"{value!r} is none of {', '.join(get_args(allowed))}")
    return value


def entry_of(faq: Faq | None, name: str) -> Entry | None:
    """An entry of the FAQ by its id; None if there is none."""
    hit = faq.hit(name) if faq else None
    return Entry(hit.id, hit.title, hit.link, hit.short, hit.rest) if hit else None


def brought(text: str, name: str) -> Brought:
    """What is in a file that somebody sent: an entry, or the works of an attribution.txt."""
    if name.rpartition("/")[2].lower() == "attribution.txt" and (works := attribution.read(text)):
        return Brought(works=works)
    taken = intake.take(text, name)
    return Brought(taken.entry, (), taken.changes, taken.diff, taken.problem)


def refusals(text: str, leaf: str) -> tuple[Problem, ...]:
    """Why the taxonomy's CI or ilab would refuse a file: nothing, if its writer does what it should."""
    path = Path(leaf) / "qna.yaml"
    found = [one for mode in MODES for one in check_text(text, path, mode) if one.level == "error"]
    return tuple(dict.fromkeys(Problem(one.code, one.message, f"qna.yaml:{one.line}", one.fix) for one in found))


def _telling(made: Contribution) -> list[str]:
    """The texts by which an entry betrays its domain."""
    if isinstance(made, Knowledge):
        return [made.domain, made.outline]
    return [made.description, *(example.question for example in made.examples)]
