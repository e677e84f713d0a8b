"""Chat templates: what a person writes stays text, and a template that came with a download may do little."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Invalid
from pipeline.models.template import Template

SPECIALS = ("<|user|>", "<|assistant|>", "</s>", "<s>")
SOURCE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content | trim }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def tokens(text: str, special: bool) -> tuple[int, ...]:
    """A letter is a token; a special token's name is -1 where it may be one."""
    found: list[int] = []
    while text:
        name = next((one for one in SPECIALS if special and text.startswith(one)), "")
        found.append(-1 - SPECIALS.index(name) if name else ord(text[0]))
        text = text[len(name) or 1 :]
    return tuple(found)


def template(source: str = SOURCE) -> Template:
    return Template(source, tokens, SPECIALS, "<s>", "</s>")


@given(st.lists(st.sampled_from([*SPECIALS, "a", "|>", "<|", "\ue000", " b"])))
def test_names_of_special_tokens_in_a_message_are_letters(parts: list[str]) -> None:
    content = "".join(parts)
    found, begins = template().tokens([{"role": "user", "content": content}])
    assert not begins
    assert [one for one in found if one < 0] == [-1, -3, -2]  # those of the template itself
    assert "".join(chr(one) for one in found if one >= 0) == content.strip()


def test_a_template_that_begins_with_bos_says_so() -> None:
    found, begins = template("{{ bos_token }}{{ messages[0].content }}").tokens([{"role": "user", "content": "hi"}])
    assert begins
    assert found[0] == -1 - SPECIALS.index("<s>")


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.popen('true') }}",
        "{% do messages.append(1) %}",
        "{{ raise_exception('no system messages here') }}",
        "{{ messages[0].content.no.such }}",
    ],
)
def test_a_template_that_reaches_out_or_refuses_is_a_sentence(source: str) -> None:
    with pytest.raises(Invalid, match="chat template"):
        template(source).tokens([{"role": "user", "content": "hi"}])


def test_a_broken_template_is_a_sentence() -> None:
    with pytest.raises(Invalid, match="chat template is broken"):
        template("{% for %}")
