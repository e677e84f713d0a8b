"""`labbot slack` as a process of its own, told where a fake Slack is: the first word is the address of its Web API.

What follows it is the command line.
"""

import sys
from functools import partial

from bot.__main__ import main
from bot.platforms.slack import run
from bot.platforms.slack.front import Front

if __name__ == "__main__":
    run.Front = partial(Front, base=sys.argv[1])  # type: ignore[misc,assignment]  # the same, elsewhere
    sys.exit(main(sys.argv[2:]))
