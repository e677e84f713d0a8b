"""`labbot discord` as a process of its own, told where a fake Discord is: the first two words are its addresses.

What follows them is the command line.
"""

import sys

import yarl
from discord.asset import Asset
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.__main__ import main

if __name__ == "__main__":
    Route.BASE, gateway = sys.argv[1:3]
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway)
    Asset.BASE = Route.BASE.replace("/api/v10", "/cdn")
    sys.exit(main(sys.argv[3:]))
