"""Every finding of the checker in words that a newcomer understands: what is wrong, an example of it, and the way out.

`README.md` shows this table; a test makes it from here. {braces} are filled in with what was found.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """`meaning` is the sentence that is shown, `example` a piece of a file that has it, `fix` what to do."""

    meaning: str
    example: str
    fix: str


CODES = {
    # the file
    "file.missing": Code("There is no file {name}.", "", "Check the path."),
    "file.name": Code("The file is called {name}, and must be called qna.yaml.", "qna.yml", "Rename it to qna.yaml."),
    "file.encoding": Code("The file is not UTF-8 text.", "caf\\xe9", "Save it as UTF-8."),
    "file.empty": Code("The file is empty.", "", "Write the entry into it, or take the file out."),
    "file.large": Code("The file has {size} bytes; an entry is far smaller.", "a 12 MB file", "Keep it under {limit} bytes."),
    # YAML
    "yaml.syntax": Code(
        "This is no YAML: {reason}.", "answer: a: b", "Mend this line: indent with spaces, put text with ': ' into quotes."
    ),
    "yaml.nested": Code("Brackets or lists lie too deep in each other.", "[[[[[[ ...", "An entry needs at most 6 levels."),
    "yaml.aliases": Code("The file repeats itself by aliases (*name) too often.", "*a *a *a ...", "Write the texts out."),
    "yaml.top": Code("The file does not begin with keys and values.", "- question: ...", "Begin with a line like version: 3."),
    # the schema
    "version.missing": Code("The entry does not say its version.", "no line version:", "Begin with a line version: 3."),
    "version.unknown": Code("There is no version {version} of entries.", "version: 24", "Write version: 3."),
    "version.old": Code("The version must be {wanted}, and it says {version}.", "version: 2", "Write version: {wanted}."),
    "knowledge.old": Code(
        "Knowledge has no version {version} any more.",
        "version: 1",
        "Bring it to version 3: contexts with three questions each.",
    ),
    "key.missing": Code("{where} lacks {key}.", "an example without answer:", "Add a line {key}: with its text."),
    "key.unknown": Code("{where} has {key}, which nothing reads.", "attribution: ...", "Take it out, or mend its spelling."),
    "value.empty": Code("{where} is empty.", 'answer: ""', "Write a text."),
    "value.type": Code(
        "{where} is {found} and must be {wanted}.", "answer: yes", "Put a text into quotes, indent a list below its key."
    ),
    "list.short": Code("{where} has {count} entries, and needs at least {least}.", "four examples", "Add {missing} more."),
    "list.twice": Code("Two entries of {where} are the same.", "the same example twice", "Change one of them, or take it out."),
    "schema.other": Code("{where} is not as the schema wants it: {reason}.", "", "Compare it with an entry that is there."),
    # yamllint's rules
    "lint.anchors": Code(
        "An anchor (&name) or alias (*name) is unknown, unused or there twice.", "*nobody", "Write the text out."
    ),
    "lint.braces": Code("There are too many spaces inside {{ }}.", "{  a: b  }", "Leave one at most."),
    "lint.brackets": Code("There are too many spaces inside [ ].", "[  a  ]", "Leave one at most."),
    "lint.colons": Code("There are spaces before a colon, or too many after it.", "answer :  b", "Write it as answer: b."),
    "lint.commas": Code("There are spaces before a comma, or none or too many after it.", "[a ,b]", "Write it as [a, b]."),
    "lint.empty-lines": Code(
        "There are too many empty lines, or some at the beginning or the end.",
        "three empty lines",
        "Leave two at most, none at the ends.",
    ),
    "lint.hyphens": Code("There are too many spaces after a hyphen.", "-   question:", "Leave one."),
    "lint.indentation": Code(
        "This line is not indented like the others.", "   answer: b", "Indent every level by the same number of spaces."
    ),
    "lint.key-duplicates": Code("A key is there twice, and only one of them counts.", "answer: a, answer: b", "Take one out."),
    "lint.new-line-at-end-of-file": Code("The last line has no end.", "answer: b (end)", "Press Enter after the last line."),
    "lint.new-lines": Code("The lines end as on Windows.", "\\r\\n", "Save the file with Unix line ends."),
    "lint.trailing-spaces": Code("There are spaces at the end of a line.", "answer: b   ", "Take them out."),
    "lint.other": Code("yamllint finds: {reason}.", "", "Mend the line."),
    # a tree of entries
    "tree.attribution": Code(
        "attribution.txt is missing beside qna.yaml.", "", "Write it: title, link, license and creators of the work."
    ),
    "tree.attribution-empty": Code("attribution.txt is empty.", "", "Write title, link, license and creators of the work."),
    "tree.name": Code(
        "{name} looks like an entry, and nothing reads a file of that name.", "qna.txt", "Rename it to qna.yaml."
    ),
    "tree.mixed": Code(
        "Some examples have a context and others have none.",
        "",
        "Give all of them a context, or none: they are two kinds of skill.",
    ),
    "tree.closed": Code(
        "foundational_skills takes no contributions, and no check looks at it.", "", "Move the entry to compositional_skills."
    ),
}


def table() -> str:
    """The codes as a markdown table, as it stands in the README."""
    rows = ["| code | what it says | for example | what to do |", "|---|---|---|---|"]
    for name, code in CODES.items():
        cells = (f"`{name}`", _plain(code.meaning), f"`{code.example}`" if code.example else "", _plain(code.fix))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def _plain(template: str) -> str:
    """A template as markdown shows it: placeholders in italics, single braces for double ones."""
    return re.sub(r"\{(\w+)\}", r"*\1*", template.replace("*", "\\*")).replace("{{", "{").replace("}}", "}")
