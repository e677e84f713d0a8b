"""The model card says what the model is; the hub's own reader takes it, and what people wrote in it is text."""

from dataclasses import replace

import pytest
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from pipeline.exporting.card import Facts, card
from pipeline.taxonomy import Work

PLAN = {
    "version": 1,
    "base": {"name": "tiny", "version": "abc123", "licence": "Apache-2.0"},
    "config": {"method": "rslora", "rank": 16, "alpha": 32.0, "ranks": {"q_proj": 64}, "batch_tokens": 640, "rate": 0.003},
    "samples": {"train": 400, "replay": 80},
    "steps": 300,
    "best": {"step": 240, "loss": 0.1},
    "device": "cpu",
    "precision": "fp32",
}
CHECK = {"what": "logits", "file": "adapter.gguf", "note": "", "found": {"logit": 0.0004, "likeliest": 1.0, "places": 112.0}}
FACTS = Facts(
    leaf="dog_speak",
    plan=PLAN,
    base_licence="Apache-2.0",
    base_source="me/Tiny-1@c0ffee",
    works=(Work("A book", "https://example.org/a", "CC-BY-SA-4.0", "Ann", ""),),
    files=(("adapter/adapter_model.safetensors", 42_400, "ab" * 32), ("adapter.gguf", 41_088, "cd" * 32)),
    checks=(CHECK,),
    head={"language": ["en"]},
    scores="# Scores\n\n* **Unseen:** Of 24 questions 22 are right. Better.\n\n## Some of the answers\n\n| Question |\n",
)


def test_the_hubs_reader_finds_base_licences_library_tags_and_language():
    data = ModelCard(card(FACTS)).data.to_dict()

    assert data == {
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "base_model": "me/Tiny-1",
        "base_model_relation": "adapter",
        "license": ["apache-2.0", "cc-by-sa-4.0"],
        "language": ["en"],
        "tags": ["labbot", "instructlab", "lab", "synthetic", "lora", "gguf"],
    }


def test_a_merged_model_of_a_base_that_is_from_nowhere_is_told_so():
    files = (("merged/model.safetensors", 10, "ab" * 32), ("model-Q4_K_M.gguf", 5, "cd" * 32))
    text = card(replace(FACTS, base_source="made on this machine", base_licence="Llama 3.2", works=(), files=files, scores=""))
    data = ModelCard(text).data.to_dict()

    assert (data["library_name"], data["license"], data.get("base_model")) == ("transformers", "other", None)
    assert data["license_name"] == "Llama 3.2"
    assert ("peft" in text.split("---")[2], "vllm" in text, "model-Q4_K_M.gguf" in text) == (False, False, True)
    assert "It was not compared with its base yet." in text


def test_it_says_how_it_is_used_what_it_was_made_from_and_how_well_it_does():
    text = card(FACTS)

    for part in (
        'AutoModelForCausalLM.from_pretrained("me/Tiny-1")',
        "vllm serve me/Tiny-1 --enable-lora --max-lora-rank 64 --lora-modules tiny=adapter",
        "llama-server --model base.gguf --lora adapter.gguf",
        "labpipe serve tiny --adapters .",
        "| method | rslora, rank 16, alpha 32.0 |",
        "| A book | <https://example.org/a> | CC-BY-SA-4.0 | Ann |",
        "* **Unseen:** Of 24 questions 22 are right. Better.",
        "### Some of the answers",
        "* `adapter.gguf` gives the likeliest token of transformers in 100.0% of 112 places, the greatest difference of a logit"
        " is 0.0004.",
        "* the base, `tiny`: Apache-2.0",
    ):
        assert part in text
    assert text == card(FACTS)


@pytest.mark.parametrize(
    "text", ["<script>x</script>", "[a](https://evil.example)", "a | b\n# c", "---\nlicense: mit\n---", "`x` **y**"]
)
def test_what_people_wrote_is_no_markup(text):
    made = card(replace(FACTS, leaf=text, works=(Work(text, text, text, text, ""),), base_licence=text, scores=""))
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(made.split("---\n", 2)[2])

    assert ("<script" in html, 'evil.example"' in html, html.count("<h1>"), "<strong>" in html) == (False, False, 1, False)
    assert yaml.safe_load(made.split("---\n")[1])["library_name"] == "peft"
