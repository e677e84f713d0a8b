"""The files of each leaf, and the legacy files, written in one pass over the samples; knowledge needs a second.

Rows go by one at a time. What stays in memory of a sample is, for knowledge, where its line begins and which document it
was made from; documents wait in a file, since a question is shown with others that come later.
"""

import json
import random
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from pipeline.errors import Failed
from pipeline.generating import rows
from pipeline.generating.rows import Row
from pipeline.mixing import forms
from pipeline.mixing.shelf import Shelf
from pipeline.mixing.sizes import MixConfig

FOLDER = "node_datasets"
HEARD = 200  # samples whose words tell the language of all


@dataclass(slots=True)
class Leaf:
    """What is kept of a leaf. `phases`: rows in its files, by the end of their names ("", or "_p07" and "_p10")."""

    name: str
    knowledge: bool
    phases: dict[str, int] = field(default_factory=dict)
    starts: "array[int]" = field(default_factory=lambda: array("Q"))
    documents: "array[int]" = field(default_factory=lambda: array("Q"))
    shelf: Shelf | None = None

    def file(self, phase: str) -> str:
        """From the folder of the mix."""
        return f"{FOLDER}/{forms.node(self.name)}{phase}.jsonl"


@dataclass(slots=True)
class Nodes:
    """The leaves in the order of their first samples. `blank` rows had no question, answer or document, and were left out."""

    leaves: dict[str, Leaf] = field(default_factory=dict)
    kept: int = 0
    blank: int = 0
    words: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Writer:
    """The files below `folder`. Only one leaf's file is open at a time: there can be more leaves than files may be open."""

    folder: Path
    config: MixConfig
    domain: str
    tested: frozenset[str]
    beat: Callable[[], None]
    nodes: Nodes = field(default_factory=Nodes)

    def write(self, samples: Path) -> Nodes:
        """Raises Failed, naming it, for a sample that stands in the unseen set too: it must not be trained on."""
        (self.folder / FOLDER).mkdir(parents=True)
        leaves = self.nodes.leaves
        try:
            with (self.folder / "train.jsonl").open("wb") as train, (self.folder / "messages.jsonl").open("wb") as messages:
                self._first(samples, train, messages)
            for leaf in leaves.values():
                if leaf.shelf is not None:
                    self._second(samples, leaf, leaf.shelf)
        finally:
            for leaf in leaves.values():
                if leaf.shelf is not None:
                    leaf.shelf.close()
        return self.nodes

    def _first(self, samples: Path, train: IO[bytes], messages: IO[bytes]) -> None:
        """Everything but the rows of phase 10."""
        with ExitStack() as last:
            leaf: Leaf | None = None
            file: IO[bytes] | None = None
            for start, row in kept(samples):
                if key(row.asks) in self.tested:
                    raise Failed(f"sample {row.number} stands in the unseen set, too, and would be trained on")
                if not forms.whole(row):
                    self.nodes.blank += 1
                    continue
                if not (leaf and file and leaf.name == row.leaf):
                    last.close()
                    leaf = self._leaf(row)
                    file = last.enter_context((self.folder / leaf.file(phase(leaf))).open("ab"))
                self._put(file, leaf, row, start)
                for target, content in zip((train, messages), forms.legacy(row, self.config.system), strict=True):
                    target.write(content)
                self.beat()

    def _leaf(self, row: Row) -> Leaf:
        name = forms.node(row.leaf)
        found = self.nodes.leaves.setdefault(name, Leaf(row.leaf, row.kind == "knowledge"))
        if found.name != row.leaf:
            raise Failed(f"the leaves {found.name} and {row.leaf} have the same name for their files, {name}")
        if found.knowledge and found.shelf is None:
            found.shelf = Shelf()
        return found

    def _put(self, file: IO[bytes], leaf: Leaf, row: Row, start: int) -> None:
        if leaf.shelf is not None:
            leaf.starts.append(start)
            leaf.documents.append(leaf.shelf.put(forms.clean(row.document)))
            file.write(forms.knowledge(row, self.domain, "document", []))
        else:
            file.write(forms.skill(row, self.config.system))
        leaf.phases[phase(leaf)] = leaf.phases.get(phase(leaf), 0) + 1
        self.nodes.kept += 1
        if len(self.nodes.words) < HEARD:
            self.nodes.words.append(f"{row.question} {row.answer}")

    def _second(self, samples: Path, leaf: Leaf, shelf: Shelf) -> None:
        """The rows of phase 10: each sample in every form, those of phase 7 among them, which it replays."""
        draw = random.Random(self.config.seed)
        golden, most = self.config.golden, self.config.documents
        count = 0
        with samples.open("rb") as source, (self.folder / leaf.file("_p10")).open("wb") as file:
            for start, own in zip(leaf.starts, leaf.documents, strict=True):
                source.seek(start)
                row = rows.parsed(json.loads(source.readline()))
                around = shelf.around(own, draw, golden, most)
                made = [forms.knowledge(row, self.domain, "raft", around, golden)]
                made.append(forms.knowledge(row, self.domain, "document", []))
                if self.config.closed_book:
                    made.append(forms.knowledge(row, self.domain, "closed", []))
                file.writelines(made)
                count += len(made)
                self.beat()
        leaf.phases["_p10"] = count


def phase(leaf: Leaf) -> str:
    """The end of the name of what the first pass writes."""
    return "_p07" if leaf.knowledge else ""


def key(asks: str) -> str:
    """What makes two questions the same, whatever blanks and capitals they have."""
    return " ".join(asks.casefold().split())


def kept(samples: Path) -> Iterator[tuple[int, Row]]:
    """The rows to train on, each with where its line begins. Raises Failed, naming the line, for damage."""
    start = 0
    with samples.open("rb") as file:
        for number, text in enumerate(file, 1):
            try:
                found: Mapping[str, Any] = json.loads(text)
                if found["kept"] and found["set"] == "train":
                    yield start, rows.parsed(found)
            except (ValueError, TypeError, KeyError) as error:
                raise Failed(f"{samples}, line {number}, is no row: {error}") from None
            start += len(text)
