"""Which tokens a model reads and which it learns, on the chat templates of real families, token by token."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import Invalid
from pipeline.training.chat import Chat
from pipeline.training.encode import Encoder, Tally
from pipeline.training.learner import IGNORED, Encoded
from pipeline.training.rows import Message, Sample
from tests.pipeline.models.tiny_model import small_model
from tests.pipeline.training.families import (
    FAMILIES,
    GRANITE,
    LLAMA2,
    LLAMA3,
    MISTRAL,
    QWEN,
    TINY,
    Family,
    Messages,
    Oracle,
    folder_of,
)

Coders = dict[str, tuple[Encoder, Oracle]]
ASKED = [
    ("system", "Be brief."),
    ("user", "Wer wärtet die Lampe?"),
    ("assistant", "灯台守 🙂 does."),
    ("user", "Really? a < b"),
    ("assistant", "Yes."),
]


@pytest.fixture(scope="session")
def coders(tmp_path_factory: pytest.TempPathFactory) -> Coders:
    home = tmp_path_factory.mktemp("families")
    return {one.name: (Encoder.of(folder_of(one, home / one.name), 4096), Oracle(one)) for one in FAMILIES}


def coder(family: Family, folder: Path, context: int = 4096, **more: Any) -> Encoder:
    return Encoder.of(folder_of(family, folder / "model", **more), context)


def said(messages: Messages) -> tuple[Message, ...]:
    return tuple(Message(role, content) for role, content in messages)  # type: ignore[arg-type] # roles of the tests are right


def sample(messages: Messages, *, unmask: bool = False) -> Sample:
    return Sample("a row", said(messages), unmask, "rows.jsonl, line 7")


def learned(one: Encoded) -> list[tuple[int, list[int]]]:
    """The runs of tokens that are learned, each with the number of tokens before it."""
    assert len(one.tokens) == len(one.targets)
    runs: list[tuple[int, list[int]]] = []
    for at, (token, target) in enumerate(zip(one.tokens, one.targets, strict=True)):
        if target != IGNORED:
            assert target == token
            if not runs or runs[-1][0] + len(runs[-1][1]) != at:
                runs.append((at, []))
            runs[-1][1].append(token)
    return runs


def check(encoder: Encoder, oracle: Oracle, messages: Messages) -> list[Encoded]:
    """Each answer is learned once, all of it with its end and nothing else, behind the very tokens of its prompt."""
    found = encoder.encode(sample(messages))
    answers = [at for at, (role, content) in enumerate(messages) if role == "assistant" and content.strip()]
    runs = [(one.tokens[:start], run) for one in found for start, run in learned(one)]
    assert [run for _, run in runs] == [oracle.answer(messages[at][1]) for at in answers]
    for at, (before, _) in zip(answers, runs, strict=True):
        assert list(before) == oracle.prompt(messages[:at])
        assert encoder.prompt(said(messages[:at])) == before
    return found


# --- templates


@pytest.mark.parametrize("name", [one.name for one in FAMILIES])
def test_the_assistants_words_and_the_end_of_its_turn_are_learned_and_nothing_else(coders: Coders, name: str) -> None:
    for messages in (ASKED, ASKED[1:], ASKED[:3], ASKED[1:3]):
        check(*coders[name], messages)


@pytest.mark.parametrize("name", [one.name for one in FAMILIES if one is not MISTRAL])
def test_a_conversation_is_one_sample(coders: Coders, name: str) -> None:
    assert len(check(*coders[name], ASKED)) == 1


def test_a_mask_is_right_letter_by_letter(coders: Coders) -> None:
    encoder, _ = coders["llama 2"]
    [found] = encoder.encode(sample([("user", "Is it?"), ("assistant", "No.")]))
    names = [encoder.chat._words.id_to_token(one) for one in found.tokens]
    told = [name if target != IGNORED else f"-{name}" for name, target in zip(names, found.targets, strict=True)]
    assert " ".join(told) == ("-<s> -▁ -<0x5B> -I -N -S -T -] -▁Is -▁it -? -▁ -<0x5B> -<0x2F> -I -N -S -T -] ▁ N o . ▁ </s>")


WORDS = [*{name for one in FAMILIES for name in one.specials}, "<|", "|>", "<<SYS>>", "[INST]", "</think>", "\ue000", "\ue001"]
WORDS += [
    "{{",
    "{% raw %}",
    "\n",
    "\n\n",
    " ",
    "  ",
    "\t",
    "\r\n",
    "\u2028",
    "\u0301",
    "ä",
    "a\u0308",
    "灯台",
    "🙂",
    "👩‍🚀",
    "No",
    "a",
]
content = st.one_of(st.lists(st.sampled_from(WORDS), max_size=6).map("".join), st.text(max_size=12))
words = content.filter(str.strip)


@pytest.mark.parametrize("name", [one.name for one in FAMILIES])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(system=st.none() | content, turns=st.lists(st.tuples(content, content), min_size=1, max_size=3))
def test_whatever_people_write_stays_text(coders: Coders, name: str, system: str | None, turns: list[tuple[str, str]]) -> None:
    messages = [("system", system)] if system is not None else []
    for question, answer in turns:
        messages += [("user", question), ("assistant", answer)]
    check(*coders[name], messages)


def test_a_tokeniser_of_half_a_surrogate_pair_goes_on(coders: Coders) -> None:
    encoder, oracle = coders["qwen"]
    [found] = encoder.encode(sample([("user", "\ud83d"), ("assistant", "\udc00 so")]))
    assert learned(found)[0][1] == oracle.answer("\ufffd so")


def test_transformers_reads_the_same_tokens(coders: Coders, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    for family in (LLAMA3, GRANITE, QWEN, LLAMA2, TINY):
        folder = folder_of(family, tmp_path / family.name)
        theirs = AutoTokenizer.from_pretrained(folder)
        told = [{"role": role, "content": text} for role, text in ASKED]
        asked = theirs.apply_chat_template(told[:-1], add_generation_prompt=True, return_dict=False)
        assert list(coders[family.name][0].prompt(said(ASKED[:-1]))) == asked


def test_the_engine_asks_with_the_tokens_that_were_trained() -> None:
    pytest.importorskip("llama_cpp")
    from pipeline.models.llama import Model
    from pipeline.models.template import Template

    messages = [*ASKED[:-1], ("user", "What is an <|end|> or a <| of <|user|>?")]
    model = Model(small_model() / "model.gguf")
    words = model.vocabulary
    ends = [words.name(token) for token in (words.bos, words.eos)]
    template = Template(model.template(), lambda text, special: words.tokens(text, special=special), words.specials, *ends)
    asked, _ = template.tokens([{"role": role, "content": text} for role, text in messages])

    encoder = Encoder.of(small_model() / "hf", 1024)
    assert encoder.prompt(said(messages)) == asked
    assert encoder.ends == words.ends


def test_an_answer_that_runs_into_the_question_is_read_on_its_own(tmp_path: Path) -> None:
    """As it is generated: the tokens of the prompt stand before the first one is chosen."""
    joining = replace(
        LLAMA2,
        name="joining",
        kind="first",
        template="{% for m in messages %}{% if m.role == 'user' %}{{ bos_token + '[INST]' + m.content + '[/INST]' }}"
        "{% else %}{{ m.content + eos_token }}{% endif %}{% endfor %}",
        asked=lambda messages: [*LLAMA2.asked(messages)][:1] + [f"[INST]{messages[0][1]}[/INST]"],
        said=str,
    )
    encoder, oracle = coder(joining, tmp_path), Oracle(joining)
    whole = encoder.chat._words.encode("<s>[INST]Is it?[/INST]No", add_special_tokens=False).tokens
    assert whole[-1] == "]No"  # at once, the last letter of the question and the answer are one token

    check(encoder, oracle, [("user", "Is it?"), ("assistant", "No")])


def test_a_line_that_begins_with_an_empty_one_is_learned_with_it(coders: Coders) -> None:
    encoder, oracle = coders["qwen"]
    check(encoder, oracle, [("user", "Is it?"), ("assistant", "\n\nNo.\n"), ("user", "Why?"), ("assistant", "\nSo.")])


def test_bos_stands_once(coders: Coders, tmp_path: Path) -> None:
    encoder, oracle = coders["llama 3"]
    bos = oracle.number("<|begin_of_text|>")
    assert encoder.prompt(said(ASKED[:2])).count(bos) == 1

    silent = replace(LLAMA3, template=LLAMA3.template.replace("{% set content = bos_token + content %}", ""))
    told = coder(silent, tmp_path).prompt(said(ASKED[:2]))
    assert told == encoder.prompt(said(ASKED[:2]))  # a server adds it where the template does not


def test_old_thoughts_that_a_template_drops_make_each_answer_a_sample(tmp_path: Path) -> None:
    """As Qwen 3: an empty thought before the last answer, none before older ones."""
    thinking = (
        "{%- for m in messages %}{{- '<|im_start|>' + m.role + '\\n' }}"
        "{%- if m.role == 'assistant' and loop.last %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}"
        "{{- m.content + '<|im_end|>\\n' }}{%- endfor %}"
        "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
    )

    def asked(messages: Messages) -> list[str]:
        return QWEN.asked([("system", ""), *messages])[4:]  # without the system message that qwen adds

    family = replace(QWEN, template=thinking, asked=asked, said=lambda text: f"<think>\n\n</think>\n\n{text}")
    assert len(check(coder(family, tmp_path), Oracle(family), ASKED[1:])) == 2


def test_where_the_system_prompt_wanders_to_the_last_question_each_answer_is_a_sample(coders: Coders) -> None:
    assert len(check(*coders["mistral"], ASKED)) == 2
    assert len(check(*coders["mistral"], ASKED[1:])) == 1


def test_a_template_that_asks_for_thoughts_is_refused(tmp_path: Path) -> None:
    forced = QWEN.template.replace("assistant\\n", "assistant\\n<think>\\n")
    with pytest.raises(Invalid, match="puts before an answer is not what it asks with") as caught:
        coder(replace(QWEN, template=forced), tmp_path).encode(sample(ASKED))
    assert (caught.value.problems[0].code, caught.value.problems[0].where) == ("train.template", "rows.jsonl, line 7")


@pytest.mark.parametrize(
    ("template", "why"),
    [
        (None, "no chat template"),
        ("{% for m in messages %}{{ m.role + ': ' + m.content + '\\n' }}{% endfor %}", "no turn with a special token"),
        ("{% for m in messages %}{{ m.content }}<|im_end|", "does not take this conversation"),
        ("{{ messages.__class__.__mro__ }}<|im_end|>", "does not take this conversation"),
    ],
)
def test_a_template_that_cannot_be_used_is_a_sentence(tmp_path: Path, template: str | None, why: str) -> None:
    with pytest.raises(Invalid, match=why) as caught:
        coder(replace(QWEN, template=template), tmp_path)  # type: ignore[arg-type] # none is what is tried
    assert caught.value.problems[0].code == "train.template"


def test_a_conversation_that_the_template_refuses_names_its_row(coders: Coders) -> None:
    twice = [("user", "Is it?"), ("user", "Is it?"), ("assistant", "No.")]
    with pytest.raises(Invalid, match="Roles must alternate") as caught:
        coders["llama 2"][0].encode(sample(twice))
    assert caught.value.problems[0].where == "rows.jsonl, line 7"


def test_a_folder_without_a_tokeniser_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="tokeniser cannot be read"):
        Chat.of(tmp_path)


def test_an_answer_is_over_at_what_the_models_authors_say(tmp_path: Path) -> None:
    folder = folder_of(LLAMA3, tmp_path / "model", eos_token="<|end_of_text|>")
    (folder / "generation_config.json").write_text('{"eos_token_id": [1, 4, 250]}', encoding="utf-8")
    oracle = Oracle(LLAMA3)

    encoder = Encoder.of(folder, 4096)

    assert encoder.ends == {oracle.number("<|eot_id|>"), oracle.number("<|end_of_text|>"), 1, 4, 250}


def test_what_a_model_said_is_text_again(coders: Coders) -> None:
    for encoder, oracle in coders.values():
        assert encoder.text(oracle.answer("灯台守 🙂 does.")) == "灯台守 🙂 does."


def test_rows_come_in_order_and_are_counted(coders: Coders) -> None:
    encoder, _ = coders["granite"]
    rows = [sample([("user", f"{at}?"), ("assistant", "No." if at % 3 else " ")]) for at in range(1300)]
    tally = Tally()

    found = list(encoder.many(rows, tally))

    assert [len(one) for one in found] == [1 if at % 3 else 0 for at in range(1300)]
    assert found[1299 - 1] == encoder.encode(rows[1299 - 1])
    samples = [one for several in found for one in several]
    assert tally == Tally(1300, 0, 434, 866, sum(len(one.tokens) for one in samples), sum(one.learned for one in samples))


# --- all of it


def test_unmasked_all_but_system_messages_and_marks_is_learned(coders: Coders) -> None:
    messages = [("system", "Be brief."), ("user", " A document.\n\nIs it? "), ("assistant", "No.")]
    for name in ("llama 3", "granite", "qwen", "tiny"):
        encoder, oracle = coders[name]
        [found] = encoder.encode(sample(messages, unmask=True))
        [masked] = encoder.encode(sample(messages))
        [asked, answered] = learned(found)
        assert found.tokens == masked.tokens
        assert answered[1] == oracle.answer("No.")
        assert encoder.text(asked[1]) == "A document.\n\nIs it?"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=st.lists(st.tuples(words, content), min_size=1, max_size=3), left=words)
def test_unmasked_every_word_is_learned_once(coders: Coders, turns: list[tuple[str, str]], left: str) -> None:
    encoder, oracle = coders["granite"]  # whose template changes no text and sets a mark around each
    messages = [(role, text) for turn in turns for role, text in zip(("user", "assistant"), turn, strict=True)]
    messages.append(("user", left))

    found = encoder.encode(sample([("system", "Be brief."), *messages], unmask=True))

    wanted = [oracle.answer(text)[: -1 if role == "user" else None] for role, text in messages if text.strip()]
    assert [run for one in found for _, run in learned(one)] == wanted


# --- what is longer than the context


def put_together(found: Sequence[Encoded]) -> list[int]:
    return [target for one in found for target in one.targets if target != IGNORED]


@pytest.mark.parametrize("name", ["llama 3", "qwen", "llama 2"])
@pytest.mark.parametrize(("asks", "answers"), [(5, 400), (400, 5), (400, 400), (60, 62)])
def test_a_long_row_is_taken_apart_and_each_token_learned_once(
    coders: Coders, tmp_path: Path, name: str, asks: int, answers: int
) -> None:
    whole, oracle = coders[name]
    encoder = Encoder(whole.chat, 96)
    question, answer = " ".join(f"w{at}" for at in range(asks)), " ".join(f"a{at}" for at in range(answers))
    tally = Tally()

    found = encoder.encode(sample([("user", question), ("assistant", answer)]), tally)

    prompt, learns = oracle.prompt([("user", question)]), oracle.answer(answer)
    assert put_together(found) == learns
    assert max(len(one.tokens) for one in found) == 96
    assert (tally.split, tally.samples) == (1, len(found))
    room = max(96 - len(learns), 48)  # a question gives way to its answer up to the half
    begin = prompt[: int(encoder.chat.begin is not None)]
    kept = prompt if len(prompt) <= room else begin + prompt[len(begin) - room :]
    assert all(list(one.tokens[: len(kept)]) == kept for one in found)
    for before, one in pairwise(found):
        assert learned(one)[0][0] == len(kept) + 12
        assert one.tokens[len(kept) : len(kept) + 12] == before.tokens[-12:]  # how the part before ended


def test_a_long_conversation_becomes_its_turns(coders: Coders) -> None:
    whole, oracle = coders["granite"]
    encoder = Encoder(whole.chat, 96)
    messages = [("user", "Is it a zebra? " * 3), ("assistant", "It is a horse. " * 3)] * 3

    found = encoder.encode(sample(messages))

    assert max(len(one.tokens) for one in found) <= 96
    assert put_together(found) == 3 * oracle.answer("It is a horse. " * 3)


def test_a_long_document_is_learned_part_by_part(coders: Coders) -> None:
    whole, oracle = coders["llama 3"]
    encoder = Encoder(whole.chat, 64)
    document = " ".join(f"w{at}" for at in range(200))
    messages = [("system", "Be brief."), ("user", document), ("assistant", "No.")]

    found = encoder.encode(sample(messages, unmask=True))

    assert max(len(one.tokens) for one in found) <= 64
    [wanted] = whole.encode(sample(messages, unmask=True))
    assert put_together(found) == put_together([wanted])
    assert {one.tokens[0] for one in found} == {oracle.number("<|begin_of_text|>")}


def test_a_long_row_is_refused_where_that_is_asked(coders: Coders) -> None:
    encoder = Encoder(coders["qwen"][0].chat, 32, "refuse")
    with pytest.raises(Invalid) as caught:
        encoder.encode(sample([("user", "Is it?"), ("assistant", "No. " * 40)]))
    problem = caught.value.problems[0]
    tokens = len(coders["qwen"][0].encode(sample([("user", "Is it?"), ("assistant", "No. " * 40)]))[0].tokens)
    assert (problem.code, problem.where) == ("train.long", "rows.jsonl, line 7")
    assert problem.facts == {"row": "a row", "tokens": f"{tokens}", "context": "32"}


def test_a_truncation_in_the_tokenisers_file_is_not_followed(coders: Coders) -> None:
    encoder, oracle = coders["llama 3"]
    assert json.loads(encoder.chat._words.to_str())["truncation"] is None
    answer = " ".join(f"a{at}" for at in range(500))
    check(encoder, oracle, [("user", "Is it?"), ("assistant", answer)])
