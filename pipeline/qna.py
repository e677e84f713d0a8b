"""An entry as the two files of a leaf: `qna.yaml` (always version 3) and `attribution.txt`.

What is written passes the taxonomy's CI and ilab's strict mode, in which every yamllint warning refuses
(instructlab-schema 0.4.2: rules "relaxed" without line-length). PyYAML chooses quotes by meaning ("yes", "3" and
"null" stay text) and falls back from block scalars where they cannot hold a text; only the style is chosen here.
"""

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import yaml

from pipeline.errors import Invalid
from pipeline.taxonomy import Entry, Knowledge, SeedExample, Skill, Work, unwritable

VERSION = 3  # CI judges every changed file as version 3, whatever it says
FOLD_AT = 96  # columns; older guides demand 120, so stay below that where a text can be folded

# yamllint's empty-lines allows two in a row, wherever they stand; a block scalar would show three as three.
_MANY_BLANK = re.compile(r"\n\s*\n\s*\n\s*\n")
# Line breaks and controls that YAML or an editor may read in another way: only an escape keeps them.
_ESCAPED = re.compile("[\x01-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


class _Dumper(yaml.SafeDumper):
    """SafeDumper with our choice of scalar styles, and sequences indented below their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:
        return True  # equal strings must not become an anchor and an alias


def _style(text: str) -> str | None:
    if _ESCAPED.search(text) or _MANY_BLANK.search(text) or text.endswith("\n\n") or text.startswith((" ", "\n", "\t")):
        return '"'
    if "\n" in text:
        return "|"
    if len(text) > FOLD_AT:
        return ">" if "  " not in text and "\t" not in text else '"'
    return None


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=_style(text))


_Dumper.add_representer(str, _represent)


def write(entry: Entry) -> str:
    """Write an entry as the text of a qna.yaml.

    Raises Invalid, naming the field and the character, where a text holds what YAML cannot carry.
    """
    document = _knowledge(entry) if isinstance(entry, Knowledge) else _skill(entry)
    if problems := [problem for where, text in _texts(document, "") if (problem := unwritable(text, where))]:
        raise Invalid(*problems)
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=FOLD_AT, indent=2)


def attribution(works: tuple[Work, ...]) -> str:
    """Write attribution.txt in the form that most merged contributions have: a block a work, blank lines between.

    Raises Invalid as `write` does.
    """
    texts = [
        (f"works[{number}].{one.name}", getattr(work, one.name)) for number, work in enumerate(works, 1) for one in fields(work)
    ]
    if problems := [problem for where, text in texts if (problem := unwritable(text, where))]:
        raise Invalid(*problems)
    return "\n".join(_block(work) for work in works)


def _skill(entry: Skill) -> dict[str, Any]:
    return {
        "version": VERSION,
        "task_description": entry.description,
        "created_by": entry.created_by,
        "seed_examples": [_seed(example) for example in entry.examples],
    }


def _knowledge(entry: Knowledge) -> dict[str, Any]:
    source = entry.document
    return {
        "version": VERSION,
        "domain": entry.domain,
        "created_by": entry.created_by,
        "document_outline": entry.outline,
        "seed_examples": [
            {"context": passage.context, "questions_and_answers": [_seed(pair) for pair in passage.pairs]}
            for passage in entry.passages
        ],
        "document": {"repo": source.repo, "commit": source.commit, "patterns": list(source.patterns)},
    }


def _seed(example: SeedExample) -> dict[str, str]:
    context = {"context": example.context} if example.context else {}
    return context | {"question": example.question, "answer": example.answer}


def _block(work: Work) -> str:
    rows = {
        "Title of work": work.title,
        "Link to work": work.link,
        "Revision": work.revision,
        "License of the work": work.licence,
        "Creator names": work.creators,
    }
    return "".join(f"{key}: {' '.join(value.split())}\n" for key, value in rows.items() if value)


def _texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """Every text of a document with its place, lists counted from 1: `seed_examples[2].answer`."""
    match value:
        case dict():
            for key, one in value.items():
                yield from _texts(one, f"{where}.{key}" if where else key)
        case list():
            for number, one in enumerate(value, 1):
                yield from _texts(one, f"{where}[{number}]")
        case str():
            yield where, value
