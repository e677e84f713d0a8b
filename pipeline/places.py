"""Where an installation lies.

LABBOT_HOME  the checkout that holds configs/ (default: where this package lies)
LABBOT_DATA  what labbot keeps: redis/ runs/ models/ log/ taxonomy/ (default: .data/ in the checkout)
"""

from collections.abc import Mapping
from pathlib import Path


def home(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("LABBOT_HOME") or Path(__file__).resolve().parent.parent)


def data(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("LABBOT_DATA") or home(environment) / ".data").absolute()
