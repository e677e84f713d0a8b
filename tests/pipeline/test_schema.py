"""The schema of the configuration is generated, and says what every setting means."""

import json

from pipeline.config import schema
from tests.conftest import HOME


def test_the_schema_that_lies_in_configs_is_the_one_of_the_code() -> None:
    """To make it anew: python -c "from pipeline.config import schema; print(schema(), end='')" > configs/schema/bot.json"""
    assert (HOME / "configs" / "schema" / "bot.json").read_text(encoding="utf-8") == schema()


def test_every_setting_says_what_it_means() -> None:
    made = json.loads(schema())
    sections = [section for section in made["$defs"].values()]
    mute = [name for section in sections for name, one in section["properties"].items() if "description" not in one]

    assert mute == []
