"""The checker's verdicts are the package's, and everything it says can be read by a newcomer."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.check import MODES, Finding, Mode, check_file, check_text, refused
from pipeline.checking import as_annotations, as_json, check_paths
from pipeline.codes import CODES, table
from tests.conftest import HOME
from tests.pipeline import oracle

VERDICTS = json.loads(oracle.KEPT.read_text(encoding="utf-8"))
GOOD = (
    HOME / "configs" / "demo" / "compositional_skills" / "linguistics" / "rewriting" / "plain_words" / "qna.yaml"
).read_text()
PLACE = Path("compositional_skills/linguistics/x/qna.yaml")


def counted(findings: list[Finding]) -> list[int]:
    return [sum(one.level == level for one in findings) for level in ("error", "warning")]


@pytest.mark.skipif(not oracle.SHARED.is_dir(), reason="the reference files lie in ../shared, which is not here")
@pytest.mark.parametrize("mode", oracle.MODES)
def test_every_reference_file_and_mutation_is_judged_as_the_package_judges_it(mode: str, tmp_path: Path) -> None:
    """Errors and warnings are as many; where the parser only raises, the file is refused with at least one error."""
    corpus = oracle.corpus()
    assert len(corpus) >= 163 + 300
    different = []
    for number, (path, text) in enumerate(corpus):
        verdict = VERDICTS[oracle.digest(path, text)][mode]  # KeyError: run python -m tests.pipeline.oracle
        found = counted(check_file(oracle.laid(tmp_path / str(number), path, text), mode))  # type: ignore[arg-type]
        if found != verdict and not (verdict == "raises" and found[0]):
            different.append((number, path, found, verdict))

    assert different == []


KEYS = st.sampled_from(
    ["version", "created_by", "task_description", "seed_examples", "domain", "document", "question", "x", "1"]
)
LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=True) | st.text(max_size=12) | st.just(3)
DOCUMENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=25
)


@settings(deadline=None, max_examples=8)  # the package judges five a second
@given(st.dictionaries(KEYS, DOCUMENTS, max_size=6))
def test_a_made_up_document_is_judged_as_the_package_judges_it(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, object]
) -> None:
    path = oracle.laid(tmp_path_factory.mktemp("made"), str(PLACE), json.dumps(document) + "\n")
    verdicts = oracle.ask(path)

    for mode, verdict in verdicts.items():
        found = counted(check_file(path, mode))  # type: ignore[arg-type]
        assert found == verdict or (verdict == "raises" and found[0])


WILD = st.sampled_from(
    [
        "- ",
        "  ",
        "    ",
        "\n",
        "\n\n\n\n",
        "\r\n",
        "\r",
        "\t",
        " ",
        ":",
        ": ",
        ",",
        "{",
        "}",
        "[",
        "]",
        "? ",
        "| ",
        "|2-\n",
        ">+\n",
    ]
    + [
        "'",
        '"',
        "\\x",
        "#",
        "# yamllint disable\n",
        "# yamllint disable-line rule:colons\n",
        "# yamllint disable-file\n",
        "%YAML 1.1\n",
    ]
    + [
        "---\n",
        "...\n",
        "&a ",
        "&b ",
        "*a",
        "*b",
        "<<: ",
        "<<: *a\n",
        "!",
        "!!",
        "!!set ",
        "!!omap ",
        "!!pairs ",
        "!!binary ",
        "!!str ",
    ]
    + [
        "!!int ",
        "!!float ",
        "!!bool ",
        "!!null ",
        "!!timestamp ",
        "!!python/object:os.system ",
        "!<tag:yaml.org,2002:map> ",
        "!!seq ",
    ]
    + [
        "~",
        "null",
        "yes",
        "No",
        "0",
        "-1",
        "0x1F",
        "0o17",
        "1_000",
        "1:60",
        ".nan",
        "-.inf",
        "1e999",
        "9" * 400,
        "9" * 5000,
        f"0x{'F' * 5000}",
        "=",
        "@",
        "`",
    ]
    + [
        "2024-13-45",
        "2024-01-31",
        "2024-01-31T25:61:00Z",
        "\x00",
        "\x85",
        "\u2028",
        "\ufeff",
        "\ud800",
        "\U0001f600",
        "é",
        "x" * 300,
    ]
    + [
        "version: 3\n",
        "version: 2\n",
        "version: ",
        "created_by: ",
        "task_description: ",
        "seed_examples:\n",
        "  - question: ",
        "document:\n",
    ]
    + [
        "    answer: ",
        "    context: ",
        "domain: ",
        "questions_and_answers:\n",
        "document_outline: ",
        "patterns: ",
        "attribution: x\n",
    ]
)
NESTED = st.builds(
    lambda opening, depth, inner, closing: opening * depth + inner + closing * depth,
    st.sampled_from(["[", "{a: ", "- ", "? ", "[&a ", "{? ", "[*a, ", "!!set {", "- - &b "]),
    st.integers(1, 3000) | st.integers(1, 40),
    st.sampled_from(["", "x", "*a", "a: b", "\n"]),
    st.sampled_from(["", "]", "}"]),
)


@st.composite
def _mangled(draw: st.DrawFn) -> str:
    """A good entry in which some stretches are something else."""
    text = GOOD
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        text = text[:start] + draw(WILD | st.text(max_size=6)) + text[start + draw(st.integers(0, 40)) :]
    return text


TEXTS = st.lists(WILD, max_size=30).map("".join) | _mangled() | NESTED | st.text(st.characters(), max_size=300)
CONTENTS = st.binary(max_size=300) | TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass"))
PLACES = st.sampled_from([PLACE, Path("knowledge/x/qna.yaml"), Path("qna.yaml")])


def _judged_sanely(folder: Path, content: bytes, place: Path, mode: Mode) -> None:
    """What a file and its text are said to have is a known code, of a known level, at a line that is there."""
    path = folder / "any" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    found = check_file(path, mode)
    text = content.decode("utf-8", "surrogateescape")

    for findings in (found, check_text(text, path, mode)):
        lines = len(text.splitlines()) + 1
        assert {one.level for one in findings} <= {"error", "warning"} and {one.code for one in findings} <= {*CODES}
        assert [one for one in findings if not (1 <= one.line <= lines and 1 <= one.column <= len(text) + 2)] == []
        assert [one.line for one in findings] == sorted(one.line for one in findings)
        assert all(one.path == str(path) and one.message and one.fix for one in findings)


@settings(deadline=None, max_examples=300)
@given(CONTENTS, PLACES, st.sampled_from(MODES))
def test_no_file_of_any_content_crashes_the_checker(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, place: Path, mode: Mode
) -> None:
    _judged_sanely(tmp_path_factory.getbasetemp(), content, place, mode)


@pytest.mark.faults
@settings(deadline=None, max_examples=10_000, suppress_health_check=list(HealthCheck))
@given(CONTENTS, PLACES, st.sampled_from(MODES))
def test_ten_thousand_files_of_any_content_do_not_crash_the_checker(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, place: Path, mode: Mode
) -> None:
    _judged_sanely(tmp_path_factory.getbasetemp(), content, place, mode)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[" * 50_000 + "]" * 50_000, "yaml.nested"),
        ("a: " + "{b: " * 30_000, "yaml.nested"),
        ("- " * 3_000 + "x", "yaml.nested"),
        (BOMB, "yaml.aliases"),
        ("a: &a\n  b: *a\n", "version.missing"),
        ("when: 2024-13-45\n", "yaml.syntax"),
        ("a: b: c\n", "yaml.syntax"),
        ("a: !!bool maybe\n", "yaml.syntax"),
        ("a: !!int\n", "yaml.syntax"),
        ("a: !!timestamp soon\n", "yaml.syntax"),
        (f"version: 0x{'F' * 5000}\n", "yaml.syntax"),
        ("seed_examples: [&a {x: *a}, &b {x: *b}]\n", "yaml.nested"),
        (f"seed_examples: [{'[' * 390}{']' * 390}, {'[' * 390}{']' * 390}]\n", "yaml.nested"),
        ("a: !!python/object:os.system x\n", "yaml.syntax"),
        ("", "file.empty"),
        ("- a\n", "yaml.top"),
    ],
)
def test_what_could_harm_or_confuse_is_judged_in_a_sentence(text: str, code: str) -> None:
    assert code in {one.code for one in check_text(text, PLACE, "ci")}


def test_files_that_are_none_are_told(tmp_path: Path) -> None:
    (tmp_path / "qna.yml").write_text(GOOD)
    large = tmp_path / "a" / "qna.yaml"
    large.parent.mkdir()
    large.write_text(GOOD + "#" * 2**20)
    latin = tmp_path / "b" / "qna.yaml"
    latin.parent.mkdir()
    latin.write_bytes(b"caf\xe9: 1\n")
    codes = [check_file(path, "ci")[0].code for path in (tmp_path / "none.yaml", tmp_path / "qna.yml", large, latin)]

    assert codes == ["file.missing", "file.name", "file.large", "file.encoding"]


def test_findings_stand_at_their_line_with_the_place_in_words() -> None:
    text = GOOD.replace("    answer: Please do not eat here.\n", "    answer: yes\n")
    (found,) = check_text(text, PLACE, "ci")

    line = text.split("\n").index("    answer: yes") + 1
    assert found == Finding(
        str(PLACE),
        line,
        13,
        "error",
        "value.type",
        "example 2, answer is a yes or no (true) and must be a text.",
        "Put a text into quotes, indent a list below its key.",
    )


def test_every_problem_is_told_at_once() -> None:
    text = "version: 2\ncreated_by: ''\nseed_examples:\n  - question: a \n    answer: 3\n    note: x\n"

    assert {one.code for one in check_text(text, PLACE, "ci")} == {
        "version.old",
        "value.empty",
        "key.missing",
        "list.short",
        "lint.trailing-spaces",
        "value.type",
        "key.unknown",
    }


def test_a_lint_warning_passes_ci_and_not_ilab() -> None:
    text = GOOD.replace("created_by: ", "created_by:  ")

    assert [refused(check_text(text, PLACE, mode)) for mode in ("ci", "ilab")] == [False, True]  # type: ignore[arg-type]


# --- trees


def test_a_tree_is_judged_with_what_lies_beside_its_entries(tmp_path: Path) -> None:
    def entry(leaf: str, text: str = GOOD, attribution: str | None = "Title of work: x\n", name: str = "qna.yaml") -> None:
        folder = tmp_path / leaf
        folder.mkdir(parents=True)
        (folder / name).write_text(text)
        if attribution is not None:
            (folder / "attribution.txt").write_text(attribution)

    entry("compositional_skills/a/good")
    entry("compositional_skills/b/bare", attribution=None)
    entry("compositional_skills/c/hollow", attribution="")
    entry("compositional_skills/d/named", name="qna.yml")
    entry("compositional_skills/e/mixed", GOOD.replace("  - question:", "  - context: c\n    question:", 1))
    entry("foundational_skills/f/closed", "old: 1\n")
    found = {mode: [(one.code, one.level) for one in check_paths([tmp_path], mode)] for mode in ("ci", "ilab")}  # type: ignore[arg-type]

    codes = ["tree.attribution", "tree.attribution-empty", "tree.name", "tree.mixed", "tree.closed"]
    assert found["ci"] == list(zip(codes, ["error", "error", "error", "warning", "warning"], strict=True))
    assert found["ilab"] == list(zip(codes, ["warning", "warning", "error", "error", "warning"], strict=True))


def test_many_files_are_judged_in_order_by_several_processes_as_by_one(tmp_path: Path) -> None:
    for number in range(40):
        folder = tmp_path / "compositional_skills" / f"n{number:02}"
        folder.mkdir(parents=True)
        (folder / "qna.yaml").write_text(GOOD.replace("created_by:", f"by_{number}:"))
        (folder / "attribution.txt").write_text("Title of work: x\n")
    one_by_one = [found for path in sorted(tmp_path.rglob("qna.yaml")) for found in check_file(path, "ci")]

    assert list(check_paths([tmp_path], "ci", cores=2)) == one_by_one
    assert len(one_by_one) == 80


# --- saying it


def test_json_is_one_array_of_findings_with_seven_keys() -> None:
    found = check_text("version: 2\n", PLACE, "ci")

    rows = json.loads("\n".join(as_json(found)))
    assert [list(row) for row in rows] == [["path", "line", "column", "level", "code", "message", "fix"]] * len(found)
    assert json.loads("\n".join(as_json([]))) == []


def test_an_annotation_cannot_be_broken_out_of() -> None:
    hostile = Finding("a,b:c\n::error::x", 1, 2, "error", "key.unknown", "50% of it\n::stop-commands::x", "Fix\r\nit.")

    assert list(as_annotations([hostile])) == [
        "::error file=a%2Cb%3Ac%0A%3A%3Aerror%3A%3Ax,line=1,col=2,title=key.unknown::"
        "50%25 of it%0A::stop-commands::x Fix%0D%0Ait."
    ]


def test_no_sentence_of_the_checker_uses_a_word_of_the_schemas() -> None:
    jargon = re.compile(
        r"minItems|minLength|uniqueItems|unevaluated|required property|instance|validator|scalar|token|const\b", re.I
    )

    assert [name for name, code in CODES.items() if jargon.search(f"{code.meaning} {code.fix}")] == []
    assert all(code.meaning.endswith(".") and code.fix.endswith(".") for code in CODES.values())


def test_the_readme_has_the_table_of_codes_as_the_code_has_it() -> None:
    """To renew it: python -c "from pipeline.codes import table; print(table())" """
    assert table() in (HOME / "README.md").read_text(encoding="utf-8")


def test_the_command_says_one_by_its_status_when_a_file_is_refused(tmp_path: Path) -> None:
    good, bad = tmp_path / "a" / "qna.yaml", tmp_path / "b" / "qna.yaml"
    for path, text in ((good, GOOD), (bad, "version: 2\n")):
        path.parent.mkdir()
        path.write_text(text)
    statuses = [labpipe("check", str(path)).returncode for path in (good, bad)]

    assert (statuses, labpipe("check", "--mode", "both", str(good)).returncode) == ([0, 1], 2)


def labpipe(*words: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([sys.executable, "-m", "pipeline", *words], capture_output=True, cwd=HOME, check=False)


def test_a_run_does_not_load_what_only_the_checker_needs() -> None:
    code = "import sys; import pipeline.__main__; print([one for one in ('yamllint', 'jsonschema') if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=HOME, check=True)

    assert done.stdout.strip() == "[]"
