"""What has a name is told whole, what is here is here whole, and one of it is served."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import Invalid
from pipeline.licences import normal
from pipeline.models import catalog, tiny
from pipeline.models.catalog import Card, amount
from tests.conftest import HOME

NAMED = HOME / "configs" / "models" / "named.yaml"
ONE = """
a-model:
  title: A
  about: {en: One., de: Eins.}
  repo: lab/a
  file: a.gguf
  licence: Apache-2.0
  licence_url: https://lab.example
  parameters: 1
  context: 1
  size_bytes: 1
  kv_bytes: 1
"""


def card(name: str = "a-model", size: int = 4) -> Card:
    return Card(name, "lab/a@1", "Apache-2.0", size, "0" * 64, "One.")


def put(folder: Path, name: str = "a-model", weights: bytes = b"GGUF") -> Card:
    place = catalog.weights(folder, name)
    place.parent.mkdir(parents=True)
    place.write_bytes(weights)
    catalog.keep(folder, card(name, len(weights)))
    return card(name, len(weights))


# --- what has a name


def test_the_named_models_are_those_that_people_ask_for() -> None:
    named = catalog.load(NAMED)

    assert {"tiny", "granite-7b-lab", "merlinite-7b-lab", "granite-4.1-3b"} <= named.keys()
    assert [name for name, one in named.items() if one.made_here] == [catalog.TINY]


def test_every_named_model_is_told_in_both_languages_with_a_licence_that_has_a_name() -> None:
    for name, one in catalog.load(NAMED).items():
        assert {"en", "de"} == one.about.keys(), name
        assert normal(one.licence) == one.licence, name


def test_every_download_names_what_must_come() -> None:
    for name, one in catalog.load(NAMED).items():
        assert one.made_here or re.fullmatch(r"[0-9a-f]{64}", one.sha256), name


def test_the_memory_for_a_token_is_what_its_comment_reckons() -> None:
    found = re.findall(r"kv_bytes: ([\d_]+) # ([\d x]+)", NAMED.read_text(encoding="utf-8"))

    assert len(found) == len(catalog.load(NAMED))
    for told, factors in found:
        reckoned = 1
        for factor in factors.split(" x "):
            reckoned *= int(factor)
        assert int(told.replace("_", "")) == reckoned


def test_what_is_said_of_the_practice_model_is_what_its_recipe_makes() -> None:
    named, recipe = catalog.load(NAMED)[catalog.TINY], tiny.FULL
    inside = recipe.layers * (4 * recipe.width**2 + 3 * recipe.width * recipe.inner)

    assert named.kv_bytes == 2 * recipe.layers * recipe.width * 2
    assert named.context == recipe.context
    assert named.parameters == pytest.approx(recipe.vocabulary * recipe.width + inside, rel=0.01)
    assert named.size_bytes == pytest.approx(4 * named.parameters, rel=0.05)  # in 32 bits, and a tokeniser


@pytest.mark.parametrize(
    ("was", "becomes", "where"),
    [
        ("size_bytes: 1", "size_bytes: -1", "named.yaml: a-model.size_bytes"),
        ("size_bytes: 1", "size: 1", "named.yaml: a-model.size_bytes\nnamed.yaml: a-model.size"),
        ("repo: lab/a", "repo: https://lab.example/a", "named.yaml: a-model.repo"),
        ("file: a.gguf", "file: ../a.gguf", "named.yaml: a-model.file"),
        ("file: a.gguf", "", "named.yaml: a-model.file"),
        ("repo: lab/a", "", "named.yaml: a-model.repo"),
        ("a-model:", "A Model:", "named.yaml: A Model"),
        ("a-model:", "../a:", "named.yaml: ../a"),
        ("https://lab.example", "javascript:x", "named.yaml: a-model.licence_url"),
        (ONE, "- a\n- b\n", "named.yaml: "),
        (ONE, "a: [", "named.yaml"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_its_place(tmp_path: Path, was: str, becomes: str, where: str) -> None:
    (tmp_path / "named.yaml").write_text(ONE.replace(was, becomes), encoding="utf-8")
    with pytest.raises(Invalid) as caught:
        catalog.load(tmp_path / "named.yaml")

    assert [problem.where for problem in caught.value.problems] == where.split("\n")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="there is no such file Take the one of the repository"):
        catalog.load(tmp_path / "named.yaml")


def test_a_name_that_there_is_not_is_told_with_those_that_there_are() -> None:
    with pytest.raises(Invalid, match=r"there is no model 'nope'\. There is: tiny, granite-4\.0-1b,"):
        catalog.one_of(catalog.load(NAMED), "nope")


def test_reading_the_catalogue_brings_in_no_engine_and_no_network() -> None:
    heavy = "huggingface_hub gguf torch transformers llama_cpp httpx httpx2 numpy".split()
    code = f"import sys, pipeline.models.catalog; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=HOME, capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


# --- what is here


def test_a_model_that_was_put_here_is_here(tmp_path: Path) -> None:
    made = put(tmp_path)

    assert (catalog.here(tmp_path), catalog.card(tmp_path, "a-model")) == ({"a-model": made}, made)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"name": "a-model"}', '{"name": "a-model", "source": 3}'])
def test_a_folder_whose_card_says_nothing_is_no_model(tmp_path: Path, content: str) -> None:
    put(tmp_path)
    (tmp_path / "a-model" / "card.json").write_text(content, encoding="utf-8")

    assert catalog.here(tmp_path) == {}


def test_weights_of_another_size_than_the_card_says_are_no_model(tmp_path: Path) -> None:
    put(tmp_path)
    catalog.weights(tmp_path, "a-model").write_bytes(b"GG")

    assert catalog.here(tmp_path) == {}


def test_files_and_folders_that_are_none_of_ours_are_passed_over(tmp_path: Path) -> None:
    made = put(tmp_path)
    (tmp_path / "serve.json").write_text("{}", encoding="utf-8")
    (tmp_path / ".a-model.lock").touch()
    (tmp_path / "Downloads (2)").mkdir()

    assert catalog.here(tmp_path) == {"a-model": made}
    assert catalog.here(tmp_path / "none") == {}


@pytest.mark.parametrize("name", ["", "..", "../a-model", "a/b", "A", "a b", "-a", ".a", "a" * 65, "a\n"])
def test_what_is_no_name_reaches_no_path(tmp_path: Path, name: str) -> None:
    put(tmp_path)
    for act in (catalog.card, catalog.choose, catalog.remove):
        with pytest.raises(Invalid, match="is no name of a model"):
            act(tmp_path / "a-model", name)

    assert "a-model" in catalog.here(tmp_path)


def test_a_card_may_say_more_than_is_read_here(tmp_path: Path) -> None:
    put(tmp_path)
    path = tmp_path / "a-model" / "card.json"
    path.write_text(json.dumps({"seed": 3, **json.loads(path.read_bytes())}), encoding="utf-8")

    assert catalog.card(tmp_path, "a-model") == card()


# --- what is served


def test_what_is_chosen_is_served_until_it_is_gone(tmp_path: Path) -> None:
    put(tmp_path)
    before = catalog.chosen(tmp_path)
    catalog.choose(tmp_path, "a-model")
    chosen, text = catalog.chosen(tmp_path), (tmp_path / "chosen").read_text(encoding="utf-8")
    size = catalog.remove(tmp_path, "a-model")

    assert (before, chosen, text, catalog.chosen(tmp_path)) == ("", "a-model", "a-model\n", "")
    assert size > 4
    assert list(tmp_path.iterdir()) == []


def test_a_choice_of_a_model_that_is_not_whole_is_none(tmp_path: Path) -> None:
    put(tmp_path)
    catalog.choose(tmp_path, "a-model")
    (tmp_path / "a-model" / "model.gguf").unlink()

    assert catalog.chosen(tmp_path) == ""


@pytest.mark.parametrize("content", [b"", b"../a-model\n", b"\xff", b"nope\n"])
def test_a_choice_that_names_nothing_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "chosen").write_bytes(content)

    assert catalog.chosen(tmp_path) == ""


@pytest.mark.parametrize(("name", "command"), [("a-model", "download a-model"), ("tiny", "make-tiny")])
def test_choosing_what_is_not_here_says_what_to_type(tmp_path: Path, name: str, command: str) -> None:
    with pytest.raises(Invalid, match=f"{name} is not on this machine. Type `labpipe model {command}`"):
        catalog.choose(tmp_path, name)


def test_removing_takes_away_what_a_cut_download_left(tmp_path: Path) -> None:
    (tmp_path / "a-model").mkdir()
    (tmp_path / "a-model" / ".0123.part").write_bytes(b"12345")

    assert catalog.remove(tmp_path, "a-model") == 5
    with pytest.raises(Invalid, match="a-model is not on this machine"):
        catalog.remove(tmp_path, "a-model")


def test_removing_one_leaves_the_choice_of_another(tmp_path: Path) -> None:
    put(tmp_path)
    put(tmp_path, "b-model")
    catalog.choose(tmp_path, "b-model")
    catalog.remove(tmp_path, "a-model")

    assert (catalog.chosen(tmp_path), list(catalog.here(tmp_path))) == ("b-model", ["b-model"])


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 kB"), (999_999, "1000 kB"), (1e6, "1.0 MB"), (236_985_760, "237 MB"), (2_099_501_664, "2.1 GB"), (13e9, "13 GB")],
)
def test_a_size_is_told_in_the_unit_that_disks_are_sold_in(size: float, text: str) -> None:
    assert amount(size) == text
