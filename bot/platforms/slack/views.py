"""What stands where a dialog cannot open by itself."""

from collections.abc import Mapping

from bot.core.talk import Answer, Button, Dialog
from bot.platforms.slack import render
from bot.platforms.slack.render import Payload


def refused(dialog: Dialog, errors: Mapping[str, str], *, fix: Button) -> Payload:
    """What is wrong with a dialog that was sent, for its sender alone, above the button that opens it again."""
    labels = {field.name: field.label for field in dialog.fields}
    lines = [f"**{dialog.title}**"]
    for name, error in errors.items():
        lines += [labels[name], f"✘ {error}"] if name in labels else [f"✘ {error}"]
    return render.answer(Answer("\n".join(lines), buttons=(fix,)))[0]
