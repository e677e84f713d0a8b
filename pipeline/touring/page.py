"""The tour's page: plain text in 80 columns, with a little colour where a terminal shows some."""

import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

WIDTH = 80


@dataclass(slots=True)
class Page:
    """`spent`: the seconds of each step that is over, by its title."""

    console: Console
    spent: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of_terminal(cls) -> "Page":
        return cls(Console(width=min(WIDTH, Console().width), highlight=False, emoji=False))

    def line(self, text: str = "", style: str = "") -> None:
        """A line as it is: nothing in it is markup, whoever wrote it."""
        self.console.print(Text(text, style=style), soft_wrap=True)

    def say(self, text: str, indent: str = "") -> None:
        """A paragraph, wrapped; `indent` stands before each line."""
        for part in textwrap.wrap(" ".join(text.split()), self.console.width, initial_indent=indent, subsequent_indent=indent):
            self.line(part)

    def facts(self, rows: Sequence[tuple[str, str]]) -> None:
        """Names and values in two columns."""
        self.table(("", ""), rows)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Columns of text; the last ones of figures stand right where they begin with a digit."""
        made = Table(box=None, show_header=any(head), header_style="bold", pad_edge=False, padding=(0, 3, 0, 0))
        for at, name in enumerate(head):
            cells = [row[at] for row in rows]
            figures = at > 0 and all(cell[:1].isdigit() or not cell for cell in cells)
            made.add_column(name, justify="right" if figures else "left", overflow="fold")
        for row in rows:
            made.add_row(*map(Text, row))
        self.console.print(made)

    @contextmanager
    def step(self, number: int, title: str) -> Iterator[Status]:
        """The heading of a step, then what is said in it, then its seconds; what is under way stands below, on a terminal."""
        began = time.monotonic()
        self.line()
        self.line(f"{number}. {title}", "bold cyan")
        self.line("─" * self.console.width, "cyan")
        with self.console.status("") as status:
            yield status
        self.spent[title] = time.monotonic() - began
        self.line(f"[{self.spent[title]:.0f} s]".rjust(self.console.width), "dim")
