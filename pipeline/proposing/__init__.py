"""How a draft becomes a proposal: one signed-off commit on a branch, and on GitHub the pull request of it."""
