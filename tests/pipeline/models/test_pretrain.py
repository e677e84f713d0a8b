"""The parts of the training that can be wrong on their own."""

from dataclasses import replace
from itertools import islice
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Failed
from pipeline.models import dialogues, pretrain
from pipeline.models.muon import Muon, orthogonal
from pipeline.models.tiny import SMALL

MINI = replace(SMALL, width=32, layers=1, heads=1, inner=32, vocabulary=512)
HEARD = list(islice(dialogues.training(0), 40))


@pytest.fixture(scope="module")
def words():
    return pretrain.tokeniser(HEARD, MINI.vocabulary)


def learned(words, recipe=MINI):
    told = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = pretrain.network(recipe, words)
        heard = [pretrain.encode(words, one.messages) for one in HEARD]
        pretrain.learn(network, words, heard, recipe, lambda *facts: told.append(facts))
    return network, told


@pytest.mark.parametrize("shape", [(3, 24, 24), (2, 16, 40)])
def test_orthogonal_brings_every_singular_value_near_one(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = torch.linalg.svdvals(orthogonal(matrices, rounds=8))

    assert ((found > 0.6) & (found < 1.3)).all()


def test_muon_steps_as_torch_s_does():
    dice = torch.Generator().manual_seed(0)
    shapes = [(16, 16), (16, 16), (40, 16), (16, 40)]
    ours = [torch.randn(shape, generator=dice) for shape in shapes]
    theirs = [torch.nn.Parameter(one.clone()) for one in ours]
    muon = Muon(ours, 0.02)
    torch_s = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.0, momentum=0.95, nesterov=True, ns_steps=4)
    for _ in range(3):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape, generator=dice)
            other.grad = one.grad.clone()
        muon.step()
        torch_s.step()

    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=0.002)  # theirs is in bfloat16, ours where the processor has it


@given(st.lists(st.integers(1, 60), min_size=1, max_size=200), st.integers(60, 300))
def test_batches_hold_every_dialogue_once_and_no_more_than_there_is_room_for(lengths, room):
    made = pretrain.batches(lengths, room, Random(0))

    assert sorted(at for batch in made for at in batch) == list(range(len(lengths)))
    assert all(len(batch) * max(lengths[at] for at in batch) <= room for batch in made)


def test_a_word_at_the_start_of_a_text_and_within_differ_by_what_all_words_share(words):
    network, _ = learned(words)
    vectors = network.model.embed_tokens.weight
    known = words.get_vocab()
    pairs = [(known[token[1:]], within) for token, within in known.items() if token.startswith("Ġ") and token[1:] in known]
    differences = [vectors[first] - vectors[within] for first, within in pairs]

    assert len(differences) > 10
    assert all(torch.allclose(one, differences[0], atol=1e-6) for one in differences)
    assert differences[0].abs().max() > 0


def test_the_head_is_the_embeddings(words):
    network, _ = learned(words)

    assert network.lm_head.weight is network.model.embed_tokens.weight


def test_the_loss_falls_and_every_step_is_told(words):
    _, told = learned(words)
    steps = [step for step, *_ in told]

    assert steps == list(range(1, told[0][1] + 1))
    assert told[-1][2] < told[0][2]


def test_a_loss_that_is_no_number_ends_the_training_with_a_way_on(words):
    with pytest.raises(Failed, match=r"the loss became nan at step .* another seed, or a lower rate"):
        learned(words, replace(MINI, adam_rate=float("inf")))


def test_nothing_is_learned_from_what_people_type(words):
    one = pretrain.encode(words, (("system", "Be kind."), ("user", "say: my dog"), ("assistant", "my dog")))
    answer = [*words.encode("my dog").ids, pretrain.END_ID]

    assert [target for target in one.targets if target != pretrain.IGNORED] == answer
    assert one.targets[-len(answer) :] == answer == one.tokens[-len(answer) :]


def test_answers_come_in_the_order_of_the_questions(words):
    network, _ = learned(words)
    asked = [[("user", text)] for text in ("hello", "what can you do?", "hi", "the first word of: my dog sees a cat")]

    assert pretrain.answers(network, words, asked) == [pretrain.answers(network, words, [one])[0] for one in asked]
