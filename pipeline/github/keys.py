"""Every key of GitHub's in Redis: what it holds, and when it goes if it does by itself."""

KEYS = {
    "github:account:{person}": "somebody's GitHub account: login, id, and its tokens, sealed by the vault",
    "github:fresh:{person}": "who renews that account's token just now; a minute",
    "github:pull:{draft}": "a pull request that is followed: whom it is told to, how it stands, what is to be told",
    "github:followed": "whose each draft with such a row is",
    "github:of:{pull}": "the drafts that a pull request came from",
    "github:head:{repo}": "which of a repository's pull requests has which newest commit",
    "github:count:{draft}": "how often a draft's pull request was told; 90 days",
    "github:commit:{sha}": "that something was heard of a commit which is no followed pull request's yet; an hour",
    "github:due:{platform}": "drafts whose pull requests are to be looked at, by when",
    "github:delivery:{id}": "that GitHub told this already; 3 days",
}
