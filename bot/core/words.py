"""Every sentence that a person can read, by name and locale; no sentence stands in code.

`configs/words/<locale>.yaml` maps names to templates with {placeholders}, or to lists of spellings that are
understood when typed. A locale falls back to its language, then to English; a name that is nowhere is our mistake.
"""

from collections.abc import Mapping
from dataclasses import dataclass

FALLBACK = "en"
GROUPED = 10_000  # shorter numbers read best as they are

Table = Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one locale: call it with a name and the facts of its placeholders."""

    locale: str
    tables: tuple[Table, ...]

    def __call__(self, name: str, /, **facts: object) -> str:
        template = self._find(name)
        assert isinstance(template, str), f"{name} is a list of spellings"
        return template.format(**{key: self._shown(value) for key, value in facts.items()})

    def _shown(self, value: object) -> object:
        """Numbers of five digits and more in groups of three, as the locale separates them."""
        grouped = isinstance(value, int) and abs(value) >= GROUPED
        return f"{value:,}".replace(",", str(self._find("number.group"))) if grouped else value

    def spellings(self, name: str) -> tuple[str, ...]:
        found = self._find(name)
        assert not isinstance(found, str), f"{name} is a sentence"
        return found

    def has(self, name: str) -> bool:
        return any(name in table for table in self.tables)

    def _find(self, name: str) -> str | tuple[str, ...]:
        for table in self.tables:
            if name in table:
                return table[name]
        raise KeyError(f"configs/words has no {name!r}")


def pick(tables: Mapping[str, Table], locale: str) -> Words:
    """The words of a locale such as "de-AT", falling back to "de" and to English name by name."""
    chain = dict.fromkeys((locale, locale.partition("-")[0], FALLBACK))
    return Words(locale, tuple(tables[name] for name in chain if name in tables))
