"""An entry as the two files of a leaf: `qna.yaml` (always version 3) and `attribution.txt`.

What is written passes the taxonomy's CI and ilab's strict mode, in which every yamllint warning refuses
(instructlab-schema 0.4.2: rules "relaxed" without line-length). PyYAML chooses quotes by meaning ("yes", "3" and
"null" stay text) and falls back from block scalars where they cannot hold a text; only the style is chosen here.
"""

import re
from dataclasses import fields

import yaml

from pipeline.errors import Invalid
from pipeline.taxonomy import Entry, SeedExample, Work, unwritable

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
    """Write the entry of a skill as the text of a qna.yaml.

    Raises Invalid, naming the field and the character, where a text holds what YAML cannot carry.
    """
    document = {
        "version": VERSION,
        "task_description": entry.description,
        "created_by": entry.created_by,
        "seed_examples": [_seed(example) for example in entry.examples],
    }
    if problems := [problem for where, text in _texts(entry) if (problem := unwritable(text, where))]:
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


def _texts(entry: Entry) -> list[tuple[str, str]]:
    texts = [("task_description", entry.description), ("created_by", entry.created_by)]
    for number, example in enumerate(entry.examples, 1):
        for name, text in _seed(example).items():
            texts.append((f"seed_examples[{number}].{name}", text))
    return texts
