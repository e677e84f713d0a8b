"""The rules of the house: who imports whom, what importing does, and that README and code tell the same story."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parent.parent.parent
MODULES = sorted([*HOME.glob("bot/**/*.py"), *HOME.glob("pipeline/**/*.py")])
HEAVY = ("torch", "transformers", "peft", "llama_cpp", "vllm")
CORE_MAY = {"bot.core", "pipeline.taxonomy", "pipeline.errors", "pipeline.licences", "pipeline.pulls"}
DOORS = {
    "pipeline.errors",
    "pipeline.taxonomy",
    "pipeline.qna",
    "pipeline.attribution",
    "pipeline.check",
    "pipeline.intake",
    "pipeline.licences",
    "pipeline.passages",
    "pipeline.sources",
    "pipeline.screen",
    "pipeline.runs",
    "pipeline.config",
    "pipeline.http",
    "pipeline.metrics",
    "pipeline.vault",
    "pipeline.pulls",
    "pipeline.github",
    "pipeline.github.accounts",
    "pipeline.github.client",
    "pipeline.github.device",
    "pipeline.github.following",
    "pipeline.github.hooks",
    "pipeline.github.identity",
    "pipeline.github.reading",
    "pipeline.github.rows",
    "pipeline.models.client",
    "pipeline.models.catalog",
    "pipeline.models.host",
    "pipeline.models.machine",
    "pipeline.models.shelf",
    "pipeline.memory",
    "pipeline.pool.terms",
    "pipeline.checkup",
    "pipeline.installation",
    "pipeline.judging.weighing",
    "pipeline.logs",
    "pipeline.places",
    "pipeline.secret",
    "pipeline.embedded",
    "pipeline.demo",
}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(HOME).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """The modules that a file imports, wherever in it; `from a import b` is a.b where that is a module, else a."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if (HOME / name.replace(".", "/")).with_suffix(".py").exists() else node.module for name in names}
    return found


def test_the_core_imports_the_standard_library_and_the_pure_rules_of_the_pipeline_only() -> None:
    foreign = {
        f"{name_of(path)} imports {one}"
        for path in HOME.glob("bot/core/*.py")
        for one in imports(path)
        if one.partition(".")[0] not in sys.stdlib_module_names and not any(one.startswith(name) for name in CORE_MAY)
    }

    assert foreign == set()


def test_the_bot_reaches_the_pipeline_by_its_doors_only() -> None:
    behind = {
        f"{name_of(path)} imports {one}"
        for path in HOME.glob("bot/**/*.py")
        for one in imports(path)
        if one.startswith("pipeline.") and one not in DOORS
    }

    assert behind == set()


def test_no_platform_imports_another_and_the_pipeline_never_the_bot() -> None:
    crossed = set()
    for path in MODULES:
        place = re.match(r"bot\.platforms\.(\w+)", name_of(path))
        for one in imports(path):
            other = re.match(r"bot\.platforms\.(\w+)", one)
            if place and other and place[1] != other[1]:
                crossed.add(f"{name_of(path)} imports {one}")
            if name_of(path).startswith("pipeline") and one.startswith("bot"):
                crossed.add(f"{name_of(path)} imports {one}")

    assert crossed == set()


def test_every_platform_has_the_same_four_files() -> None:
    folders = [path for path in (HOME / "bot" / "platforms").iterdir() if path.is_dir() and path.name != "__pycache__"]
    lacking = {f"{folder.name}/{name}.py" for folder in folders for name in ("hear", "render", "say", "run")}

    assert {name for name in lacking if not (HOME / "bot" / "platforms" / name).exists()} == set()


def test_front_ends_never_load_what_trains_or_serves_models() -> None:
    names = [name_of(path) for path in MODULES if name_of(path).startswith("bot") and not name_of(path).endswith("__main__")]
    poison = "; ".join(f"sys.modules[{name!r}] = None" for name in HEAVY)

    assert run(f"import sys; {poison}; import {', '.join(names)}") == ""


def test_importing_does_nothing(tmp_path: Path) -> None:
    """No file is opened for writing, no socket made, no process started, no environment read, no logging set up."""
    names = [name_of(path) for path in MODULES if not name_of(path).endswith("__main__")]
    watch = f"""
import sys, logging, os
import {", ".join(_foreign())}
from transformers import LlamaForCausalLM  # which it loads only when it is asked for
seen = []
def hook(event, args):
    if event in ("socket.connect", "socket.bind", "subprocess.Popen", "os.system", "os.mkdir", "os.rename", "os.remove"):
        seen.append((event, str(args)[:200]))
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+") and "__pycache__" not in str(args[0]):
        seen.append((event, str(args)[:200]))
class Environment(dict):
    def __getitem__(self, name):
        if name.startswith("LABBOT"): seen.append(("environment", name))
        return super().__getitem__(name)
    def get(self, name, default=None):
        if name.startswith("LABBOT"): seen.append(("environment", name))
        return super().get(name, default)
os.environ = Environment(os.environ)
sys.addaudithook(hook)
import {", ".join(names)}
handlers = logging.getLogger().handlers
print(*seen, *handlers, sep="\\n", end="")
"""

    assert run(watch) == ""


def _foreign() -> list[str]:
    """The packages of others that ours import: what these do when they are imported is theirs."""
    ours = {"bot", "pipeline"}
    found = {one for path in MODULES for one in imports(path) if one.partition(".")[0] not in ours}
    return sorted(found - {"__future__"})


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=HOME, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_dangerous_is_called(path: Path) -> None:
    """No shell, no loader of YAML but the safe one, no pickle, no eval: outside text never runs."""
    text = path.read_text(encoding="utf-8")
    bad = [
        r"shell=True",
        r"os\.system\(",
        r"yaml\.(load|unsafe_load|full_load)\(",
        r"\bpickle\b",
        r"(?<!\.)\beval\(",  # a network's .eval() is its mode
        r"\bexec\(",
        r"except[^:]*: *pass",
    ]

    assert [rule for rule in bad if re.search(rule, text)] == []


def test_the_environment_is_read_where_a_process_begins_and_handed_on_to_its_children_only() -> None:
    readers = {name_of(path) for path in MODULES if re.search(r"os\.(environ|getenv)", path.read_text(encoding="utf-8"))}
    begins = {
        "bot.__main__",
        "bot.touring",
        "pipeline.__main__",
        "pipeline.stages.act",
        "pipeline.stages.comment",
        "pipeline.stages.examine",
        "pipeline.stages.publish",
        "pipeline.stages.evaluate",
        "pipeline.stages.export",
        "pipeline.stages.generate",
        "pipeline.stages.model",
        "pipeline.stages.precheck",
        "pipeline.stages.propose",
        "pipeline.touring.__main__",
        "pipeline.training.shard",
    }
    hands_on = {
        "pipeline.proposing.checkout",
        "pipeline.models.install",
        "pipeline.models.running",
        "pipeline.pool.carrying",
        "pipeline.touring.children",
        "pipeline.training.sharded",
    }  # git, pip, vLLM, torchrun

    assert readers == begins | hands_on


def test_a_module_over_400_lines_says_why_in_its_docstring() -> None:
    long = [path for path in MODULES if len(path.read_text(encoding="utf-8").splitlines()) > 400]

    assert [
        name_of(path) for path in long if "lines" not in (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")
    ] == []


# --- the README


README = (HOME / "README.md").read_text(encoding="utf-8")


def test_the_readme_shows_every_module_with_a_caption() -> None:
    tree = README.partition("## The house")[2].partition("```")[2].partition("```")[0]
    folder: list[str] = []
    shown = set()
    for line in tree.splitlines():
        found = re.match(r"(?P<indent> *)(?P<names>[\w./ ]+?)  +(?P<caption>\S.*)$", line)
        if not found:
            continue
        folder = folder[: len(found["indent"]) // 2]
        names = found["names"].split()
        shown |= {"/".join([*folder, name.rstrip("/")]) for name in names}
        if names[0].endswith("/"):
            folder.append(names[0].rstrip("/"))
    there = {str(path.relative_to(HOME)) for path in MODULES if path.name != "__init__.py"}

    assert {path for path in shown if path.endswith(".py")} == there
    assert {path for path in shown if not (HOME / path).exists()} == set()


def test_the_readme_names_the_test_command_that_ci_runs() -> None:
    script = (HOME / ".ci" / "run").read_text(encoding="utf-8")

    assert "make test" in README and "make test" in script


def test_every_library_that_is_installed_is_named_in_the_readme_with_its_reason() -> None:
    import tomllib

    project = tomllib.loads((HOME / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needs = [*project["dependencies"], *(need for extra in project["optional-dependencies"].values() for need in extra)]
    wanted = {re.split(r"[\[<>;= ]", need)[0] for need in needs}

    assert {name for name in wanted if f"| {name} |" not in README} == set()


def test_every_library_is_pinned() -> None:
    import tomllib

    project = tomllib.loads((HOME / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needs = [*project["dependencies"], *(need for extra in project["optional-dependencies"].values() for need in extra)]
    wanted = {re.split(r"[\[<>;= ]", need)[0].lower() for need in needs}
    pinned = {line.partition("==")[0].lower() for line in (HOME / "constraints.txt").read_text(encoding="utf-8").splitlines()}

    assert wanted - pinned == set()
    assert "torch==2.13.0" in (HOME / "constraints.txt").read_text(encoding="utf-8")


def test_nothing_that_is_committed_names_a_machine_or_an_index() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=HOME, capture_output=True, text=True, check=True).stdout.split("\0")
    rule = re.compile(
        r"https?://(?:files\.)?py" + r"thonhosted|https?://py" + r"pi\.org|registry\.np" + r"mjs|^(?:/ro" + r"ot|/wo" + r"rk)/",
        re.M,
    )
    found = [
        name
        for name in listed
        if name and (HOME / name).is_file() and rule.search((HOME / name).read_text(encoding="utf-8", errors="replace"))
    ]

    assert found == []
