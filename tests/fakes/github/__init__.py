"""GitHub, faked where it cannot run: held against GitHub's own description by tests/pipeline/github/test_traffic.py."""

from tests.fakes.github.server import Exchange, FakeGitHub, Fault

__all__ = ["Exchange", "FakeGitHub", "Fault"]
