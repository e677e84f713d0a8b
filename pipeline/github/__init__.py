"""labbot on GitHub: its API, whose name it acts in, the pull requests that it follows, what GitHub tells it."""
