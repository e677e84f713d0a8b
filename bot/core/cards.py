"""The card of a draft and every dialog, made from words and records; nothing here decides anything."""

import re
from typing import Literal, cast

from bot.core import form
from bot.core.contribute import EXAMPLE, FORMS, KNOWLEDGE_FORM, MOST_PAIRS
from bot.core.form import Item, Page
from bot.core.known import Finding, Known
from bot.core.records import Draft
from bot.core.talk import (
    DIALOG_FIELDS,
    DIALOG_TITLE,
    FIELD_LABEL,
    FIELD_TEXT,
    LABEL,
    OPTIONS,
    TITLE,
    TOKEN,
    Block,
    Button,
    Card,
    Choice,
    Code,
    Dialog,
    Field,
    Steps,
    Style,
    Text,
)
from bot.core.words import Words
from pipeline.errors import Problem

StepState = Literal["done", "now", "open", "wrong"]

LISTED = 12  # examples that a card lists; Discord's 4,000 characters a message hold that many lines
LINE = 100  # characters of a quoted line
ADVISED = 3  # pieces of advice that a card gives at a time


def clip(text: str, length: int = LINE) -> str:
    """One visible line of a text that a person typed: characters that cannot be shown are, what is cut ends in "…"."""
    line = " ".join(shown(text).split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def quoted(text: str, length: int = LINE) -> str:
    """`clip` for a place where our markdown is read: what a person typed is never markup."""
    return re.sub(r"([\\*`\[\]])", r"\\\1", clip(text, length))


def prose(text: str) -> str:
    """`quoted` for several lines: what a person wrote, as they wrote it, never as markup."""
    return "\n".join(quoted(line, 1000) if line.strip() else "" for line in text.split("\n")).strip() or "…"


def shown(text: str) -> str:
    """The text with what a screen cannot show, or would obey, made visible: NUL, controls, halves of a pair, overrides."""
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    code = ord(character)
    if character in "\n\t":
        return character
    if code < 0x20:
        return chr(0x2400 + code)  # Unicode's pictures of control characters
    if 0x7F <= code < 0xA0 or 0xD800 <= code <= 0xDFFF or 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069:
        return "\N{REPLACEMENT CHARACTER}"
    return character


def button(words: Words, name: str, token: str, style: Style = "plain", /, **facts: object) -> Button:
    return Button(clip(words(f"button.{name}", **facts), LABEL), token, style)


def name_of(draft: Draft, words: Words) -> str:
    """What people call a draft: its description, or its kind as long as it has none."""
    return clip(draft.answers.get(FORMS[draft.form].title, ""), 60) or words(f"{draft.form}.untitled")


def page_name(draft: Draft, page: str, words: Words) -> str:
    """What people call a page of that form; a context of knowledge is no example to them."""
    return words(_name_in(draft, f"page.{page}", words))


def part_name(draft: Draft, page: Page, part: int, words: Words) -> str:
    """What people call a part of a page, by its place: "Example 2"."""
    return words(_name_in(draft, f"part.{page.name}", words), number=form.place_of(page, draft.answers, part))


def _name_in(draft: Draft, name: str, words: Words) -> str:
    """The name of words that hold in the draft's form, where there are any, else in all."""
    own = f"{draft.form}.{name}"
    return own if words.has(own) else name


# --- the draft -------------------------------------------------------------------------------------------------------


def draft(record: Draft, known: Known, finding: Finding) -> Card:
    """The one card of a draft: what is done, what is missing and why, and the buttons."""
    words = known.words
    the_form = FORMS[record.form]
    complete = form.whole(the_form, record.answers)
    blocks: list[Block] = [_steps(record, words)]
    # What is wrong, or that nothing is, comes first: of a long card a small screen shows the beginning.
    if wrong := _wrongs(record, words) + [say_problem(words, problem) for problem in finding.problems if complete]:
        blocks.append(Text("\n".join(wrong)))
    elif complete:
        state = (
            "submitted"
            if record.state == "submitted"
            else "taken"
            if finding.taken
            else "changed"
            if record.pull
            else "complete"
        )
        blocks.append(Text(words(f"draft.{state}")))
    kinds = {one.code: one for one in reversed(finding.advice)}  # the first of each kind: one mended shows the next
    if hints := [words("draft.advice", why=say_problem(words, one)) for one in reversed(kinds.values())][:ADVISED]:
        blocks.append(Text("\n".join(hints)))
    if listed := _examples(record, words):
        blocks.append(Text("\n".join(listed)))
    if facts := _facts(record, words):
        blocks.append(Text("\n".join(facts)))
    title = clip(words("draft.title", name=name_of(record, words), id=record.id), TITLE)
    return Card(title, tuple(blocks), _buttons(record, known, complete), _changes(record, words))


def _buttons(record: Draft, known: Known, complete: bool) -> tuple[Button, ...]:
    words, to = known.words, record.id
    asks = complete and known.chat.state != "absent"  # there is a model whose answers can be looked at
    makes = complete and known.chat.teacher
    send = "pull.update" if record.pull and record.state == "open" else "submit"
    first = button(words, send, f"draft.submit|{to}", "good") if complete else button(words, "form", f"draft.form|{to}")
    undo = (button(words, "undo", f"draft.undo|{to}"),) if record.undo else ()
    return (
        *((button(words, "precheck", f"draft.precheck|{to}"),) if asks else ()),
        *((button(words, "generate", f"draft.generate|{to}"),) if makes else ()),
        first,
        button(words, "preview", f"draft.preview|{to}"),
        *undo,
        button(words, "later", f"draft.later|{to}"),
        button(words, "discard", f"draft.discard|{to}", "danger"),
    )


def _steps(record: Draft, words: Words) -> Steps:
    rows: list[tuple[str, StepState]] = []
    for page in FORMS[record.form].asked(record.answers):
        count = ""
        if page.least:
            whole = sum(_whole(record, page, part) for part in form.parts(page, record.answers))
            count = f" {whole}/{max(page.least, len(form.parts(page, record.answers)))}"
        state = form.page_state(FORMS[record.form], page, record.answers, record.asked)
        rows.append((page_name(record, page.name, words) + count, cast(StepState, state)))
    return Steps(tuple(rows))


def _whole(record: Draft, page: Page, part: int) -> bool:
    return not any(form.problem(item, record.answers) for item in form.part_items(page, part, record.answers))


def _examples(record: Draft, words: Words) -> list[str]:
    order = form.parts(FORMS[record.form].page(EXAMPLE), record.answers)
    lines = [_example(record, number, part, words) for number, part in enumerate(order[:LISTED], 1)]
    return [*lines, words("draft.more", count=len(order) - LISTED)] if len(order) > LISTED else lines


def _example(record: Draft, number: int, part: int, words: Words) -> str:
    """A line of the card: question and answer, or for knowledge the passage and how many pairs it has."""

    def text(name: str) -> str:
        return quoted(record.answers.get(f"{EXAMPLE}.{part}.{name}", ""), 60) or "…"

    if record.form == KNOWLEDGE_FORM.name:
        pairs = sum(text(f"question{one}") != "…" and text(f"answer{one}") != "…" for one in range(1, MOST_PAIRS + 1))
        return words("draft.passage", number=number, context=text("context"), pairs=pairs)
    return words("draft.example", number=number, question=text("question"), answer=text("answer"))


def _facts(record: Draft, words: Words) -> list[str]:
    """Where the entry goes and, for knowledge, what was read."""
    answers = record.answers
    lines = []
    if answers.get("document.commit"):
        read = quoted(answers.get("document.read", ""), 200)
        lines.append(words("draft.document", commit=answers["document.commit"][:12], files=read))
    if path := answers.get("place.path"):
        lines.append(words("draft.place", path=quoted(path)))
    return lines


def _wrongs(record: Draft, words: Words) -> list[str]:
    found = []
    for item in form.items(FORMS[record.form], record.answers):
        problem = form.problem(item, record.answers)
        if problem and problem.code != "missing":
            found.append(words("draft.wrong", where=where(item, record, words), why=say_problem(words, problem)))
    return found[:6]


def _changes(record: Draft, words: Words) -> Choice:
    """Everything of the draft that can be changed, as one select."""
    to = record.id
    options = []
    for page in FORMS[record.form].asked(record.answers):
        if page.least:
            for part in form.parts(page, record.answers)[:LISTED]:
                options.append(Button(part_name(record, page, part, words), f"draft.edit|{to}.{page.name}.{part}"))
            new = words(_name_in(record, f"new.{page.name}", words))
            options.append(Button(new, f"draft.edit|{to}.{page.name}.{form.next_part(page, record.answers)}"))
        else:
            options.append(Button(page_name(record, page.name, words), f"draft.edit|{to}.{page.name}"))
    for other in ("skill", "grounded"):
        if record.form in ("skill", "grounded") and record.form != other:
            options.append(Button(words(f"button.as.{other}"), f"draft.as|{to}.{other}"))
    return Choice(words("draft.change"), tuple(options[:OPTIONS]))


def where(item: Item, record: Draft, words: Words) -> str:
    if item.part:
        return part_name(record, item.page, item.part, words)
    return page_name(record, item.page.name, words)


def question(item: Item, record: Draft, known: Known, finding: Finding) -> tuple[str, tuple[Button, ...]]:
    """The question that stands, as a person is asked it, with its problem if the last answer was no good."""
    words = known.words
    problem = form.problem(item, record.answers)
    buttons = _ways(item, record, words, finding, problem)
    if problem and problem.code != "missing":
        return say_problem(words, problem), buttons
    number = form.place_of(item.page, record.answers, item.part) if item.part else 0
    name = _name_in(record, f"ask.{item.page.name}.{item.question.name}", words)
    if number and words.has(f"{name}.{number}"):
        name = f"{name}.{number}"
    return words(name, number=number, least=item.page.least), buttons


def _ways(item: Item, record: Draft, words: Words, finding: Finding, problem: Problem | None) -> tuple[Button, ...]:
    """The ways out of a question that are a press away."""
    to = record.id
    part = f"{item.page.name}.{item.part}"
    if problem and problem.code == "example.same":
        return button(words, "replace", f"draft.drop|{to}.{part}"), button(words, "keep", f"draft.keep|{to}.{part}")
    if problem and problem.code == "example.twice":
        return (button(words, "replace", f"draft.drop|{to}.{part}"),)
    if problem and problem.code == "document.trouble":
        return (button(words, "again", f"draft.reread|{to}"),)
    if problem and problem.code in ("text.unwritable", "text.bidi"):
        return (button(words, "clean", f"draft.clean|{to}.{item.key}"),)
    if item.question.name == "context" and record.answers.get("document.commit"):
        return (button(words, "find", f"draft.find|{to}"),)
    if item.question.name == "path":
        offers = [(place.partition("/")[2], place) for place in finding.places]
    elif item.question.name == "patterns":
        offers = [(pattern, pattern) for pattern in ("*.md", "docs/*.md", "*.pdf")]
    else:
        offers = [(words(f"option.{option}"), option) for option in item.question.options]
    tokens = [(label, f"draft.choose|{to}.{item.key}={value}") for label, value in offers]
    return tuple(Button(clip(label, LABEL), token) for label, token in tokens if len(token) <= TOKEN)


def say_problem(words: Words, problem: Problem) -> str:
    """A problem in the person's language; in the checker's own English where the words do not say it."""
    name = f"problem.{problem.code}"
    facts = {key: quoted(value, 80) for key, value in problem.facts.items()}
    if problem.code.startswith("screen."):
        kind = problem.where.partition(" ")[0]  # description, example or context
        facts["where"] = words(f"where.{kind}", number=facts.get("number", "")) if words.has(f"where.{kind}") else problem.where
    if problem.code == "option.unknown":
        facts["options"] = ", ".join(words(f"option.{one}") for one in problem.facts["options"].split(", "))
    try:
        return words(name, **facts)
    except KeyError:  # there are no words for it, or they say more than is known here
        return quoted(str(problem), 300)


def preview(record: Draft, words: Words, finding: Finding) -> Card:
    blocks: list[Block] = [Code(finding.yaml, "yaml", "qna.yaml")] if finding.yaml else []
    blocks += [Text(say_problem(words, problem)) for problem in finding.problems[:3]]
    return Card(
        clip(words("preview.title", name=name_of(record, words)), TITLE), tuple(blocks) or (Text(words("preview.empty")),)
    )


def dialog(page: str, part: int, record: Draft, words: Words) -> Dialog | None:
    """The dialog of a page or a part, filled in; None if every text in it is too long for one."""
    the_page = FORMS[record.form].page(page)
    fields = []
    for item in _fitting(form.part_items(the_page, part, record.answers), record):
        value = shown(record.answers.get(item.key, ""))
        if len(value) <= FIELD_TEXT:
            fields.append(_field(item, value, words))
    title = part_name(record, the_page, part, words) if part else page_name(record, page, words)
    token = f"draft.fill|{record.id}.{page}" + (f".{part}" if part else "")
    return Dialog(clip(title, DIALOG_TITLE), token, tuple(fields), words("button.save")) if fields else None


def _fitting(items: list[Item], record: Draft) -> list[Item]:
    """As many items as a dialog holds, in their order: of too many, those that are answered well stay out first."""
    items = [item for item in items if not item.question.given]
    well = [item for item in items if not form.problem(item, record.answers)]
    out = {item.key for item in well[: max(0, len(items) - DIALOG_FIELDS)]}
    return [item for item in items if item.key not in out][:DIALOG_FIELDS]


def _field(item: Item, value: str, words: Words) -> Field:
    name = f"{item.page.name}.{item.question.name}"
    hint = words(f"hint.{name}") if words.has(f"hint.{name}") else ""
    options = tuple((option, words(f"option.{option}")) for option in item.question.options)
    label = clip(words(f"field.{name}"), FIELD_LABEL)
    return Field(item.question.name, label, value, hint, lines=item.question.lines, required=False, options=options)


# --- submitting ------------------------------------------------------------------------------------------------------


def before_submit(record: Draft, known: Known, finding: Finding) -> Card:
    """What goes out, checked, and what the person signs with."""
    words = known.words
    to = record.id
    lines = [
        words("submit.files", path=record.answers["place.path"]),
        words("submit.personal"),
        *([_to(record, known)] if known.hub.repo else []),
        words("submit.dco"),
        words("submit.as", name=quoted(known.person.full_name)) if known.person.mail else words("submit.ask"),
    ]
    buttons = [button(words, "preview", f"draft.preview|{to}"), button(words, "dco", f"draft.dco|{to}")]
    if finding.taken and not record.replaces:
        lines.append(words("submit.taken"))
        buttons += [
            button(words, "elsewhere", f"draft.edit|{to}.place"),
            button(words, "overwrite", f"draft.overwrite|{to}", "danger"),
        ]
    elif known.hub.repo and record.looked != record.revision:
        buttons.append(button(words, "looked", f"draft.looked|{to}", "good"))
    else:
        buttons += [button(words, "signer", f"draft.signer|{to}"), button(words, "sign", f"draft.sign|{to}", "good")]
    count = len(form.parts(FORMS[record.form].page(EXAMPLE), record.answers))
    steps = Steps(
        (
            (words(_name_in(record, "submit.examples", words), count=count), "done"),
            (words("submit.checks"), "done"),  # a draft that a check refuses does not come this far
            (words("submit.attribution"), "done"),
            (words("submit.place"), "wrong" if finding.taken and not record.replaces else "done"),
            *(_for_triage(record, known) if known.hub.repo else ()),
        )
    )
    title = clip(words("submit.title", name=name_of(record, words)), TITLE)
    return Card(title, (steps, Text("\n".join(lines))), tuple(buttons))


def _to(record: Draft, known: Known) -> str:
    """Which pull request it becomes, or becomes a part of, and who opens it."""
    if record.pull:
        return known.words("submit.further", pull=record.pull)
    return known.words("submit.to", repo=known.hub.repo, by=known.hub.login or known.words("submit.app"))


def _for_triage(record: Draft, known: Known) -> tuple[tuple[str, StepState], ...]:
    """What else a pull request says: the model's answers, and that its contributor looked for personal data."""
    checked, scores = known.checked(), known.scores()
    has = "none" if not (checked and checked.rows) else "both" if scores and scores.seeds else "before"
    looked: StepState = "done" if record.looked == record.revision else "open"
    answers: StepState = "open" if has == "none" else "done"
    return (known.words(f"submit.answers.{has}"), answers), (known.words("submit.looked"), looked)


def signer(record: Draft, known: Known) -> Dialog:
    """Name and mail of the sign-off; a dialog is private, a message in a thread is not."""
    words = known.words
    return Dialog(
        words("signer.title"),
        f"draft.signed|{record.id}",
        (
            Field("name", words("field.signer.name"), known.person.full_name, words("hint.signer.name"), limit=100),
            Field("mail", words("field.signer.mail"), known.person.mail, words("hint.signer.mail"), limit=200),
            Field(
                "keep",
                words("field.signer.keep"),
                "yes",
                words("hint.signer.keep"),
                required=False,
                options=tuple((one, words(f"option.{one}")) for one in ("yes", "no")),
                kind="check",
            ),
        ),
        words("button.sign"),
    )
