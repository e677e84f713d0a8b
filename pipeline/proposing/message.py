"""What a proposal is called: its branch, its title, its commit with the sign-off."""

from pipeline.proposing.muting import muted
from pipeline.stage import Job
from pipeline.taxonomy import KNOWLEDGE

SUBJECT = 72  # characters of a commit's first line


def draft(job: Job) -> str:
    """The draft that a run is of; its revisions go to the same branch."""
    return job.folder.name.partition(".")[0]


def branch(leaf: str, of: str) -> str:
    """The branch of a draft: named by the place where it was first proposed, found by the draft."""
    return f"labbot/{leaf.rpartition('/')[2]}-{of}"


def title(job: Job) -> str:
    """One line that says what is added: upstream asks for a title "as explicit as possible"."""
    leaf = str(job.inputs["leaf"])
    kind = "knowledge" if job.inputs["root"] == KNOWLEDGE else "skill"
    whole = f"Add {kind} {leaf.partition('/')[2]}"
    return whole if len(whole) <= SUBJECT else f"Add {kind} {leaf.rpartition('/')[2]}"[:SUBJECT]


def commit(job: Job, *, helped: bool = False) -> str:
    """The commit's message. `helped`: an App commits it, and names the person as co-author besides."""
    description = muted(" ".join(str(job.inputs["description"]).split()))
    who = f"{job.inputs['name']} <{job.inputs['mail']}>"
    trailers = [*([f"Co-authored-by: {who}"] if helped else []), f"Signed-off-by: {who}"]
    return f"{title(job)}\n\n{description}\n\n" + "".join(f"{one}\n" for one in trailers)
