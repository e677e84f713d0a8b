"""No sentence for people stands in code: it has a name in configs/words, and every name that is used is there."""

import ast
import re
from pathlib import Path

import pytest

from bot.core.commands import COMMANDS
from bot.core.contribute import FORMS
from bot.core.words import pick
from pipeline import taxonomy
from pipeline.pool.ledger import STATES
from tests.bot.core.conftest import HOME, TABLES

SPOKEN = [
    *sorted((HOME / "bot" / "core").glob("*.py")),
    *sorted((HOME / "bot" / "platforms").rglob("*.py")),
    HOME / "bot" / "app.py",
]


QUIET = ("Problem", "Health", "info", "warning", "error", "exception", "_logged")  # problems have words by their code


def literals(path: Path) -> list[str]:
    """The texts in a module that are no docstring, no message of an assert or an exception, and nothing for operators."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    quiet = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert | ast.Raise) or (isinstance(node, ast.Call) and _name(node) in QUIET):
            quiet |= {id(one) for one in ast.walk(node)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in quiet
    ]


def _name(node: ast.Call) -> str:
    return getattr(node.func, "id", getattr(node.func, "attr", ""))


def used_names(path: Path) -> set[str]:
    """The names under which a module asks for words: `words("name", ...)` and `button(words, "name", ...)`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        first = [arg.value for arg in node.args[:2] if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        if _name(node) in ("words", "spellings") and first:
            found.add(first[0])
        if _name(node) == "button" and first:
            found.add(f"button.{first[0]}")
    return found


@pytest.mark.parametrize("path", SPOKEN, ids=lambda path: str(path.relative_to(HOME)))
def test_no_sentence_stands_in_the_code_that_speaks(path: Path) -> None:
    sentences = [text for text in literals(path) if re.search(r"[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}", text)]

    assert [text for text in sentences if not _is_code(text)] == []


def _is_code(text: str) -> bool:
    """Style sheets and regular expressions of the terminal are texts, but nobody reads them."""
    return "{" in text or "(?" in text


@pytest.mark.parametrize("path", SPOKEN, ids=lambda path: str(path.relative_to(HOME)))
def test_every_name_that_is_used_has_words(path: Path) -> None:
    assert sorted(name for name in used_names(path) if name not in TABLES["en"]) == []


def test_every_command_page_question_and_option_has_words() -> None:
    wanted = [f"command.{name}" for name in COMMANDS]
    for form in FORMS.values():
        wanted += [f"{form.name}.untitled", f"{form.name}.begin"]
        for page in form.pages:
            wanted.append(f"page.{page.name}")
            for question in page.questions:
                asked, own = (f"{name}ask.{page.name}.{question.name}" for name in ("", f"{form.name}."))
                wanted += [own if own in TABLES["en"] else asked, f"field.{page.name}.{question.name}"]
                wanted += [f"option.{option}" for option in question.options]

    assert [name for name in wanted if name not in TABLES["en"]] == []


def test_every_state_of_a_run_has_words() -> None:
    ends = [f"run.{state}.end" for state in ("done", "failed", "cancelled")]

    assert [name for name in [*(f"run.{state}" for state in STATES), *ends] if name not in TABLES["en"]] == []


def test_every_problem_of_a_path_has_words() -> None:
    source = Path(taxonomy.__file__).read_text(encoding="utf-8")
    codes = re.findall(r'_problem\("([\w.]+)"', source) + re.findall(r'Problem\("([\w.]+)"', source)

    assert sorted({f"problem.{code}" for code in codes} - set(TABLES["en"])) == []


def test_a_locale_falls_back_to_its_language_and_to_english() -> None:
    tables = {"en": {"a": "one", "b": "two", "c": "three"}, "de": {"a": "eins", "b": "zwei"}, "de-AT": {"a": "oans"}}
    words = pick(tables, "de-AT")

    assert [words(name) for name in "abc"] == ["oans", "zwei", "three"]


def test_words_that_are_nowhere_are_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError, match="configs/words has no 'nothing'"):
        pick(TABLES, "en")("nothing")


def test_long_numbers_are_written_as_the_locale_writes_them() -> None:
    tables = {"en": {"a": "{n} words", "number.group": ","}, "de": {"a": "{n} Wörter", "number.group": "."}}

    assert [pick(tables, name)("a", n=1234567) for name in ("en", "de", "de-AT")] == [
        "1,234,567 words",
        "1.234.567 Wörter",
        "1.234.567 Wörter",
    ]
    assert pick(tables, "en")("a", n=2300) == "2300 words"


@pytest.mark.parametrize("where", ["github/*.py", "proposing/*.py", "triaging/*.py", "publishing.py", "stages/*.py"])
def test_every_problem_around_pull_requests_has_words(where: str) -> None:
    sources = [path.read_text(encoding="utf-8") for path in (HOME / "pipeline").glob(where)]
    found = {code for text in sources for code in re.findall(r'(?:[pP]roblem|_invalid|Invalid|_row)\(\s*"([\w.]+)"', text)}

    assert found and sorted(f"problem.{code}" for code in found if f"problem.{code}" not in TABLES["en"]) == []
