"""`labpipe model` shows, brings, makes, chooses and takes away; what goes wrong is a sentence and a status."""

import hashlib
import io
import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.models import catalog, machine, shape, shop, tiny
from pipeline.models.catalog import Card, amount
from pipeline.models.machine import Machine
from pipeline.models.progress import Line
from pipeline.stages import model as stages
from tests.conftest import HOME
from tests.fakes.hub import COMMIT, HubHost
from tests.pipeline.models import random_gguf

NAME = "small-lab"
CONTENT = b"GGUF" + bytes(1000)
KNOWN = {
    "about": {"en": "A small one.", "de": "Ein kleines."},
    "licence": "Apache-2.0",
    "licence_url": "https://lab.example/licence",
    "parameters": 1_000_000,
    "context": 4096,
    "size_bytes": len(CONTENT),
    "kv_bytes": 1000,
}
NAMED = {
    "tiny": KNOWN | {"title": "Practice model"},
    NAME: KNOWN | {"title": "Small Lab", "repo": "lab/small", "file": "small.gguf"},
    "huge-lab": KNOWN | {"title": "Huge Lab", "repo": "lab/huge", "file": "huge.gguf", "size_bytes": 10**13},
}
HAS = Machine(8 * 10**9, 8 * 10**9, 2)


@dataclass
class Till:
    """A shop in a folder of its own: `ask(words)` does a command and returns its status and what it said."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    capsys: Any = None
    answers: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.home / ".data" / "models"

    def __call__(self, *words: str, terminal: bool = False) -> tuple[int, str, str]:
        out = io.StringIO()
        status = shop.main(words, {"LABBOT_HOME": str(self.home), **self.environment}, out, self.answer if terminal else None)
        return status, out.getvalue(), self.capsys.readouterr().err

    def answer(self, question: str) -> str:
        self.asked.append(question)
        return self.answers.pop(0)

    def put(self, source: Path, name: str = NAME) -> Card:
        """Have a model here, with the weights of a file."""
        place = catalog.weights(self.folder, name)
        place.parent.mkdir(parents=True)
        shutil.copyfile(source, place)
        made = Card(name, "lab/small@1", "Apache-2.0", source.stat().st_size, "0" * 64, "A small one.")
        catalog.keep(self.folder, made)
        return made


@pytest.fixture
def till(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Till:
    (tmp_path / "configs" / "models").mkdir(parents=True)
    (tmp_path / "configs" / "models" / "named.yaml").write_text(yaml.safe_dump(NAMED, sort_keys=False), encoding="utf-8")
    monkeypatch.setattr(machine, "look", lambda: HAS)
    return Till(tmp_path, capsys=capsys)


@pytest.fixture
def host(till: Till) -> Iterator[HubHost]:
    made = HubHost({"lab/small/small.gguf": CONTENT})
    with made.up() as url:
        till.environment["HF_ENDPOINT"] = url
        yield made


@pytest.fixture(scope="session")
def plain_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in 32 bits that can be quantised: its widths are multiples of 256."""
    return random_gguf.make(tmp_path_factory.mktemp("plain") / "plain.gguf", width=256, ffn=256, layers=1)


# --- list


def test_a_list_says_of_every_model_what_it_takes_and_whether_it_is_here(till: Till, gguf_file: Path) -> None:
    size = amount(till.put(gguf_file).size)
    till.put(gguf_file, "mine")
    catalog.choose(till.folder, "mine")
    status, said, _ = till("list")

    assert (status, said) == (
        0,
        "   name       here  size      memory    licence     runs here\n"
        "   tiny       no    1 kB      260 MB    Apache-2.0  yes\n"
        f"   small-lab  yes   {size}    257 MB    Apache-2.0  yes\n"
        "   huge-lab   no    10000 GB  10000 GB  Apache-2.0  no, too little memory\n"
        f"*  mine       yes   {size}    257 MB    Apache-2.0  yes\n"
        "\n"
        "* is served; memory: as `labpipe serve` runs it, with room for one conversation of up to 8,192 tokens at least\n"
        "this machine: 2 cores, 8 GB of memory\n",
    )


def test_a_list_as_json_is_a_line_a_model(till: Till, gguf_file: Path) -> None:
    till.put(gguf_file)
    rows = [json.loads(line) for line in till("list", "--json")[1].splitlines()]

    assert [(row["name"], row["here"], row["runs"]) for row in rows] == [
        ("tiny", False, "yes"),
        (NAME, True, "yes"),
        ("huge-lab", False, "no"),
    ]
    assert rows[1]["path"] == str(catalog.weights(till.folder, NAME))
    assert (rows[1]["architecture"], rows[1]["template"], rows[2]["template"]) == ("llama", True, None)


def test_a_model_whose_file_is_damaged_is_told_in_the_list(till: Till, tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(CONTENT)
    till.put(tmp_path / "bad.gguf")

    assert "no: its file is damaged" in till("list")[1]


def test_without_the_extra_a_list_tells_what_is_known(till: Till, gguf_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = till.put(gguf_file).size
    till.put(gguf_file, "mine")
    monkeypatch.setitem(sys.modules, "pipeline.models.shape", None)  # as if gguf were not installed
    monkeypatch.delattr("pipeline.models.shape")
    rows = [json.loads(line) for line in till("list", "--json")[1].splitlines()]

    assert [(row["name"], row["memory_bytes"]) for row in rows if row["here"]] == [
        (NAME, size + 4096 * 1000 + machine.OVERHEAD_BYTES),
        ("mine", 0),
    ]


# --- info


def test_info_of_a_file_says_what_it_is_and_whether_it_runs(till: Till, gguf_file: Path) -> None:
    status, said, _ = till("info", str(gguf_file))

    assert (status, [line.split(":")[0] for line in said.splitlines()]) == (
        0,
        ["model", "here", "size", "weights", "chat template", "memory", "machine", "runs here"],
    )
    assert "yes" in said.splitlines()[-1]


def test_info_of_a_model_that_is_not_here_says_what_is_known_and_how_to_get_it(till: Till) -> None:
    said = till("info", "huge-lab")[1]

    assert "Type `labpipe model download huge-lab`." in said
    assert "no, too little memory" in said
    assert "https://lab.example/licence" in said


def test_info_as_json_has_the_memory_for_two_contexts(till: Till, gguf_file: Path) -> None:
    till.put(gguf_file)
    found = json.loads(till("info", NAME, "--json")[1])
    seen = shape.read(gguf_file)

    assert found["memory_context_bytes"] == seen.size_bytes + seen.kv_bytes * seen.context + machine.OVERHEAD_BYTES
    assert (found["name"], found["title"], found["context"], found["machine"]) == (NAME, "Small Lab", 1024, str(HAS))


def test_a_model_without_a_template_is_told_that_it_cannot_be_chatted_with(till: Till, tmp_path: Path) -> None:
    bare = random_gguf.make(tmp_path / "bare.gguf", template=None)

    assert "none: it cannot be chatted with" in till("info", str(bare))[1]


@pytest.mark.parametrize("content", [b"", b"<html>", b"GGUF" + bytes(50)])
def test_info_of_a_file_that_is_no_model_is_a_sentence(till: Till, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.gguf").write_bytes(content)
    status, said, refused = till("info", str(tmp_path / "x.gguf"))

    assert (status, said, refused.count("\n")) == (2, "", 1)
    assert refused.startswith(f"{tmp_path / 'x.gguf'}: it is ")


def test_info_of_a_name_that_there_is_not_names_those_that_there_are(till: Till) -> None:
    assert till("info", "nope") == (2, "", "there is no model 'nope'. There is: tiny, small-lab, huge-lab.\n")


# --- download, use, remove


def test_a_download_shows_size_and_licence_first_and_what_to_type_next(till: Till, host: HubHost) -> None:
    status, said, _ = till("download", NAME)
    lines = said.splitlines()

    assert (status, lines[0]) == (0, "Small Lab: 1 kB, Apache-2.0 (https://lab.example/licence)")
    assert lines[-1] == f"{NAME} is here: 1 kB, Apache-2.0. To serve it: `labpipe model use {NAME}`."
    assert catalog.here(till.folder)[NAME].source == f"lab/small@{COMMIT[:12]}"


def test_the_token_comes_from_the_environment_and_is_in_no_output(till: Till, host: HubHost) -> None:
    host.token = "hf_secret"
    without = till("download", NAME)
    till.environment["HF_TOKEN"] = "hf_wrong"
    wrong = till("download", NAME)
    till.environment["HF_TOKEN"] = "hf_secret"
    right = till("download", NAME)

    assert [without[0], wrong[0], right[0]] == [2, 2, 0]
    assert "hf_" not in str((without, wrong, right))


def test_a_download_without_a_network_says_what_to_type(till: Till) -> None:
    till.environment["HF_ENDPOINT"] = "http://127.0.0.1:1"
    status, _, refused = till("download", NAME)

    assert (status, refused.count("\n")) == (1, 1)
    assert f"Type `labpipe model download {NAME}`" in refused


def test_what_is_made_here_is_not_downloaded(till: Till) -> None:
    assert till("download", "tiny") == (2, "", "tiny is made here. Type `labpipe model make-tiny`.\n")


def test_a_model_is_chosen_and_taken_away_by_its_name(till: Till, gguf_file: Path) -> None:
    size = amount(till.put(gguf_file).size)
    gone = amount(sum(path.stat().st_size for path in (till.folder / NAME).iterdir()))
    said = [till("use", NAME), till("download", NAME), till("remove", NAME), till("use", NAME)]

    assert said == [
        (0, f"{NAME} is served from now on. A labbot that runs takes it up by itself.\n", ""),
        (
            0,
            f"Small Lab: 1 kB, Apache-2.0 (https://lab.example/licence)\n{NAME} is here: {size}, Apache-2.0. It is served.\n",
            "",
        ),
        (0, f"{NAME} is gone; {gone} are free. No model is served now: `labpipe model use NAME` chooses one.\n", ""),
        (2, "", f"{NAME} is not on this machine. Type `labpipe model download {NAME}`.\n"),
    ]


def test_the_data_folder_is_the_one_of_the_environment(till: Till, gguf_file: Path, tmp_path: Path) -> None:
    till.put(gguf_file)
    till.environment["LABBOT_DATA"] = str(tmp_path / "elsewhere")

    assert till("use", NAME)[0] == 2


def test_what_is_not_installed_is_told_with_the_way_to_it(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    status, _, refused = till("download", NAME)

    assert (status, refused.startswith("huggingface_hub is not installed: `make model` installs it")) == (1, True)


def test_ctrl_c_ends_it_with_a_sentence(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shop.download, "download", stopped)

    assert till("download", NAME)[::2] == (130, "\nStopped. What has come is kept.\n")


# --- make-tiny


def test_the_practice_model_is_made_by_its_seed_and_size(till: Till, monkeypatch: pytest.MonkeyPatch, gguf_file: Path) -> None:
    recipes = []

    def make(recipe: tiny.Recipe, folder: Path, progress: Callable[[float, Mapping[str, str]], None]) -> None:
        recipes.append(recipe)
        progress(0.5, {"act": "train", "step": "1", "steps": "2", "left_s": "150"})
        if not folder.exists():
            till.put(gguf_file, "tiny")

    monkeypatch.setattr(tiny, "make", make)
    said = [till("make-tiny"), till("make-tiny", "--small", "--seed", "7")]

    assert recipes == [tiny.FULL, tiny.Recipe(**{**{n: getattr(tiny.SMALL, n) for n in tiny.SMALL.__slots__}, "seed": 7})]
    assert said[0] == (
        0,
        " 50%  learning: step 1 of 2, 2 min left\n"
        f"tiny is here: {amount(gguf_file.stat().st_size)}, Apache-2.0. To serve it: `labpipe model use tiny`.\n",
        "",
    )


# --- quantize


def test_a_smaller_model_of_one_that_is_here_is_a_model_too(till: Till, plain_gguf: Path) -> None:
    till.put(plain_gguf)
    status, said, _ = till("quantize", NAME, "q4_k_m")
    made = catalog.here(till.folder)[f"{NAME}-q4_k_m"]
    weights = catalog.weights(till.folder, made.name)

    assert (status, shape.read(weights).quantisation) == (0, "Q4_K_M")
    assert made.size < plain_gguf.stat().st_size / 3
    assert made.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert (made.source, made.licence) == ("lab/small@1, as Q4_K_M", "Apache-2.0")
    assert f"labpipe model use {made.name}" in said


def test_a_smaller_file_lies_beside_the_one_it_was_made_of(till: Till, plain_gguf: Path, tmp_path: Path) -> None:
    source = Path(shutil.copy(plain_gguf, tmp_path))
    status, _, _ = till("quantize", str(source), "Q8_0")
    other = till("quantize", str(source), "F16", "--out", str(tmp_path / "half" / "x.gguf"))

    assert (status, other[0]) == (0, 0)
    assert shape.read(tmp_path / "plain-Q8_0.gguf").quantisation == "Q8_0"
    assert shape.read(tmp_path / "half" / "x.gguf").quantisation == "F16"
    assert [path.name for path in (tmp_path / "half").iterdir()] == ["x.gguf"]


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (("nope", "Q8_0"), "nope is not on this machine"),
        ((NAME, "Q99"), "there is no type Q99. There is: F32, F16,"),
        ((NAME, "IQ1_S"), "IQ1_S wants an importance matrix. Take a type that needs none"),
        ((NAME, "Q8_0", "--out", "."), "it is there already"),
        (("cut.gguf", "Q8_0"), "it is cut off"),
        (("eight.gguf", "Q4_K_M"), "it is quantised already. Begin with a file in F16, BF16 or F32"),
    ],
)
def test_what_cannot_be_made_smaller_is_a_sentence(
    till: Till, plain_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], word: str
) -> None:
    till.put(plain_gguf)
    monkeypatch.chdir(tmp_path)
    Path("cut.gguf").write_bytes(plain_gguf.read_bytes()[:-1000])
    random_gguf.make(Path("eight.gguf"), width=256, ffn=256, layers=1, quantised=True)
    before = sorted(tmp_path.rglob("*"))
    status, _, refused = till("quantize", *words)

    assert (status, word in refused, refused.count("\n")) == (2, True, 1)
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before and path.is_file()] == []


def test_a_disk_without_room_for_a_smaller_model_is_told(till: Till, plain_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    till.put(plain_gguf)
    monkeypatch.setattr("pipeline.models.quantize.free_disk", lambda folder: 1000)

    assert "of disk are needed, and 1 kB are free" in till("quantize", NAME, "Q8_0")[2]


# --- setup


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What the stages of the recipe were asked for, in their order."""
    seen: list[tuple[str, Any]] = []
    for name in ("engine", "model"):
        monkeypatch.setattr(stages, name, lambda job, name=name: seen.append((name, (job.inputs, dict(job.settings)))))
    return seen


def test_setting_up_does_what_the_recipe_does(till: Till, done: list[tuple[str, Any]]) -> None:
    status, said, _ = till("setup", NAME)
    given = ({"name": NAME}, {"home": str(till.home), "folder": str(till.folder)})

    assert (status, done) == (0, [("engine", given), ("model", given)])
    assert said.startswith("Small Lab: 1 kB, Apache-2.0 (https://lab.example/licence). A small one.\n")


def test_where_nobody_can_be_asked_the_practice_model_is_set_up(till: Till, done: list[tuple[str, Any]]) -> None:
    assert till("setup")[0] == 0
    assert done[0][1][0] == {"name": "tiny"}


@pytest.mark.parametrize(
    ("answers", "name"),
    [([""], NAME), (["1"], "tiny"), (["huge-lab"], "huge-lab"), (["9", "what?", "2"], NAME)],
)
def test_on_a_terminal_it_asks_which_one_and_offers_one_that_runs(
    till: Till, done: list[tuple[str, Any]], answers: list[str], name: str
) -> None:
    till.answers = list(answers)
    status, said, _ = till("setup", terminal=True)

    assert (status, done[0][1][0]) == (0, {"name": name})
    assert set(till.asked) == {"Which one? [2] "}
    assert "3  huge-lab" in said and "no, too little memory" in said


def test_a_name_that_there_is_not_is_not_set_up(till: Till, done: list[tuple[str, Any]]) -> None:
    assert (till("setup", "nope")[0], done) == (2, [])


# --- the line of progress


def test_where_a_line_can_be_written_over_it_is_and_is_gone_at_the_end() -> None:
    ours, theirs = pty.openpty()
    with open(theirs, "w", encoding="utf-8") as out, Line(out) as line:
        for share in (0.1, 0.11):
            line.report(share, {"act": "fetch", "name": "x", "done": "1 MB", "total": "9 MB", "rate": "", "left": ""})
    said = b""
    with suppress(OSError):  # Linux ends a terminal whose other side is closed with an error
        while part := os.read(ours, 1000):
            said += part
    os.close(ours)

    assert said == b"\r\x1b[K 10%  x: 1 MB of 9 MB\r\x1b[K 11%  x: 1 MB of 9 MB\r\x1b[K"


def test_anywhere_else_there_is_a_line_now_and_then() -> None:
    out = io.StringIO()
    with Line(out) as line:
        for part in range(100):
            line.report(
                part / 100, {"act": "check" if part == 99 else "quantize", "done": str(part), "total": "99", "name": "x"}
            )

    assert [text[:4] for text in out.getvalue().splitlines()] == [
        *(f"{ten:3}%" for ten in range(0, 100, 10)),
        " 99%",
    ]


def test_an_act_that_has_no_words_here_is_told_by_its_facts() -> None:
    out = io.StringIO()
    Line(out).report(0.5, {"act": "dance", "with": "whom"})

    assert out.getvalue() == " 50%  whom\n"


# --- as a command


def test_the_command_is_reached_through_labpipe(tmp_path: Path) -> None:
    environment = os.environ | {"LABBOT_DATA": str(tmp_path)}
    command = [sys.executable, "-m", "pipeline", "model"]
    listed = subprocess.run([*command, "list", "--json"], cwd=HOME, env=environment, capture_output=True, text=True, check=True)
    wrong = subprocess.run([*command, "fly"], cwd=HOME, env=environment, capture_output=True, text=True, check=False)

    assert "granite-7b-lab" in [json.loads(line)["name"] for line in listed.stdout.splitlines()]
    assert (wrong.returncode, wrong.stderr.splitlines()[0].startswith("usage: labpipe model")) == (2, True)
