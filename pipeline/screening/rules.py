"""configs/screen.yaml: what is looked for, read once into a `Screen`.

Terms are told apart by semicolons and line breaks, in the small language of `pipeline.screening.terms`; patterns of
secrets are regular expressions. Every problem of the file is told at once, each with its place.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from pipeline.errors import Invalid, Problem
from pipeline.screening import names
from pipeline.screening.personal import Personal
from pipeline.screening.terms import Term, listed, normal, term, union
from pipeline.screening.tokens import Secrets
from pipeline.screening.topics import Topic, Topics, Wording
from pipeline.screening.whole import Whole

_T = TypeVar("_T")
_Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,30}$")]
_Share = Annotated[float, Field(gt=0, le=1)]
_Lists = dict[str, str]  # language -> terms
_UNBOUNDED = re.compile(r"(?<!\\)(?:[*+]|\{\d*,\})")  # backtracking grows with the text, and texts come from strangers


@dataclass(frozen=True, slots=True)
class Screen:
    """Everything that is looked for. Without any rules it finds nothing but personal data."""

    personal: Personal = field(default_factory=Personal)
    secrets: Secrets = field(default_factory=Secrets)
    topics: Topics = field(default_factory=Topics)
    whole: Whole = field(default_factory=Whole)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Personal(_Section):
    regions: list[Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")]] = ["US", "GB", "DE"]
    spared: str = ""
    names: bool = False


class _Secrets(_Section):
    forms: dict[str, str] = {}
    named: str = ""
    placeholders: str = ""
    length: int = Field(default=32, ge=20, le=200)
    bits: float = Field(default=4.0, gt=0, le=6)


class _Context(_Section):
    weight: float = Field(gt=0)
    terms: _Lists


class _Topic(_Section):
    wording: Wording = "question"
    threshold: float = Field(default=3, gt=0)
    span: int = Field(default=2, ge=0, le=20)
    fields: list[str] = []
    spared: list[str] = []
    terms: dict[str, dict[float, str]]
    less: dict[str, dict[float, str]] = {}
    sets: dict[str, str] = {}


class _Whole(_Section):
    words: dict[str, _Lists] = {}
    wordings: dict[str, Wording] = {}
    share: _Share = 0.8
    turns: int = Field(default=2, ge=1)
    short_words: int = Field(default=4, ge=1)
    short_share: _Share = 0.6
    duplicate: _Share = 0.8
    near: _Share = 0.8


class _File(_Section):
    languages: _Lists = {}
    personal: _Personal = _Personal()
    secrets: _Secrets = _Secrets()
    sets: dict[str, str] = {}
    contexts: dict[str, _Context] = {}
    topics: dict[_Kind, _Topic] = {}
    whole: _Whole = _Whole()


def read(path: Path) -> Screen:
    """Read the rules. Raises Invalid with every problem of the file, each with its place."""
    found = _loaded(path)
    try:
        file = _File.model_validate(found)
    except ValidationError as error:
        raise Invalid(*(_problem(path, ".".join(map(str, one["loc"])), one["msg"]) for one in error.errors())) from None
    building = _Building(path, [])
    screen = building.screen(file)
    if building.problems:
        raise Invalid(*building.problems)
    return screen


def _loaded(path: Path) -> Any:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Invalid(Problem("screen-file.missing", "there is no such file", path.name, "Take the repository's.")) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a ValueError: not UTF-8, or a date like 2024-13-45
        raise Invalid(
            Problem("screen-file.yaml", " ".join(str(error).split()), path.name, "Mend the line named here.")
        ) from None
    if not isinstance(found, dict):
        raise Invalid(Problem("screen-file.shape", "the file is no mapping of rules", path.name, "Begin with `topics:`."))
    return found


def _problem(path: Path, where: str, message: str) -> Problem:
    return Problem("screen-file.value", message, f"{path.name}: {where}")


@dataclass(frozen=True, slots=True)
class _Building:
    """Rules in the making; what cannot be made is noted with its place."""

    path: Path
    problems: list[Problem]

    def screen(self, file: _File) -> Screen:
        if file.personal.names and not names.installed():
            self.note("personal.names", f"{names.PACKAGE} is not installed; install it or say names: false")
        personal = Personal(
            tuple(file.personal.regions), tuple(map(str.lower, listed(file.personal.spared))), file.personal.names
        )
        sets = self.sets("sets", file.sets, {})
        contexts = {
            name: self.by_language(f"contexts.{name}", {lang: {one.weight: text} for lang, text in one.terms.items()}, sets)
            for name, one in file.contexts.items()
        }
        topics = tuple(self.topic(kind, one, sets, contexts) for kind, one in file.topics.items())
        languages = {name: frozenset(normal(text).split()) for name, text in file.languages.items()}
        return Screen(personal, self.secrets(file.secrets), Topics(topics, languages), self.whole(file.whole, sets))

    def note(self, where: str, message: str) -> None:
        self.problems.append(_problem(self.path, where, message))

    def sets(self, where: str, given: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
        """Each set as a rule; one may name those above it."""
        made = dict(known)
        for name, text in given.items():
            made[name] = self.made(f"{where}.{name}", text, lambda: union(listed(text), made)) or ""  # noqa: B023
        return made

    def topic(
        self, kind: str, given: _Topic, sets: Mapping[str, str], contexts: Mapping[str, Mapping[str, tuple[Term, ...]]]
    ) -> Topic:
        where = f"topics.{kind}"
        own = self.sets(f"{where}.sets", given.sets, sets)
        for name in given.spared:
            if name not in contexts:
                self.note(f"{where}.spared", f"there is no context {name!r}")
        less = [contexts[name] for name in given.spared if name in contexts]
        less.append(self.by_language(f"{where}.less", given.less, own))
        spared = {lang: tuple(one for part in less for one in part.get(lang, ())) for part in less for lang in part}
        terms = self.by_language(f"{where}.terms", given.terms, own)
        return Topic(kind, given.wording, given.threshold, given.span, tuple(given.fields), terms, spared)

    def by_language(
        self, where: str, given: Mapping[str, Mapping[float, str]], sets: Mapping[str, str]
    ) -> dict[str, tuple[Term, ...]]:
        def made(lang: str, groups: Mapping[float, str]) -> Iterator[Term]:
            for weight, text in groups.items():
                yield from self.terms(f"{where}.{lang}.{weight:g}", text, sets, weight)

        return {lang: tuple(made(lang, groups)) for lang, groups in given.items()}

    def terms(self, where: str, text: str, sets: Mapping[str, str], weight: float = 1.0) -> Iterator[Term]:
        for one in listed(text):
            if made := self.made(where, one, lambda: term(one, sets, weight)):  # noqa: B023
                yield made

    def made(self, where: str, text: str, make: Callable[[], _T]) -> _T | None:
        try:
            return make()
        except (ValueError, re.error) as error:
            self.note(where, f"{error} (it says {text!r:.100})")
            return None

    def secrets(self, given: _Secrets) -> Secrets:
        forms = []
        for name, text in given.forms.items():
            if _UNBOUNDED.search(re.sub(r"\\.|\[(?:\\.|[^\]\\])*\]", "x", text)):
                self.note(f"secrets.forms.{name}", "write {1,200} or the like instead of * and +")
            elif rule := self.made(f"secrets.forms.{name}", text, lambda: re.compile(text)):  # noqa: B023
                forms.append((name, rule))
        words = "|".join(re.escape(one).replace(r"\ ", "[ _-]?") for one in listed(given.named))
        sign = r"""["']?\s{0,3}(?P<sign>=>?|:=?|\bis\b|\bist\b|\blautet\b|\bwas\b|\bwar\b)\s{0,3}"""
        named = re.compile(rf"""(?i:(?:\b|_)(?:{words}){sign})["'`„“]?(?P<value>[^\s"'`„“,;]{{6,200}})""") if words else None
        placeholders = tuple(one.lower() for one in listed(given.placeholders))
        return Secrets(tuple(forms), named, placeholders, given.length, given.bits)

    def whole(self, given: _Whole, sets: Mapping[str, str]) -> Whole:
        words = {
            name: tuple(one for lang, text in lists.items() for one in self.terms(f"whole.words.{name}.{lang}", text, sets))
            for name, lists in given.words.items()
        }
        shares = given.model_dump(exclude={"words", "wordings"})
        return Whole(words, given.wordings, **shares)
