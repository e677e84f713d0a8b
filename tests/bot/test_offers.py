"""What the bot knows of models that can be set up, and of those that are here."""

import json

from bot.house import offers
from bot.settings import Settings
from pipeline.models.catalog import version


def test_every_model_that_has_a_name_is_offered_in_the_persons_language_with_what_it_needs(settings: Settings) -> None:
    english, german, other = (offers(settings, locale) for locale in ("en", "de-AT", "fi"))

    assert [one.name for one in english] == [one.name for one in german] and english[0].name == "tiny"
    assert [one.about for one in other] == [one.about for one in english] != [one.about for one in german]
    assert all(one.title and one.licence and one.size and one.memory and one.runs for one in german)
    assert [one.name for one in english if one.made_here] == ["tiny"]
    assert not any(one.here or one.chosen for one in english)


def test_a_models_version_is_what_its_weights_are(settings: Settings) -> None:
    folder = settings.data / "models"
    (folder / "mine").mkdir(parents=True)
    (folder / "mine" / "model.gguf").write_bytes(b"GGUF")
    card = {"name": "mine", "source": "", "licence": "MIT", "size": 4, "sha256": "ab" * 32}
    (folder / "mine" / "card.json").write_text(json.dumps(card), encoding="utf-8")

    assert [version(folder, name) for name in ("mine", "other", "../mine", "org/model:7b", "")] == ["ab" * 6, "", "", "", ""]
    assert [(one.name, one.here) for one in offers(settings, "en") if one.here] == [("mine", True)]
