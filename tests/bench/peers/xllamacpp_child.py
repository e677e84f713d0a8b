"""xllamacpp's server at its own defaults, but for slots and context: {"model", "slots", "context", "prompts", "tokens"} in.

Every prompt is asked in this process, `slots` of them at a time, without HTTP between: that is its fastest way. Out come the
tokens it made and the seconds it took; answers are told to go on after an end token, so that each is as long as wanted.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import xllamacpp

given = json.load(sys.stdin)
params = xllamacpp.CommonParams()
params.model.path = given["model"]
params.n_parallel = given["slots"]
params.n_ctx = given["slots"] * given["context"]
params.port = 0
server = xllamacpp.Server(params)


def asked(prompt: str, tokens: int) -> int:
    answer = server.handle_completions({"prompt": prompt, "max_tokens": tokens, "ignore_eos": True})
    answer = json.loads(answer) if isinstance(answer, str | bytes) else answer
    return int(answer["usage"]["completion_tokens"])


with ThreadPoolExecutor(given["slots"]) as pool:
    list(pool.map(lambda number: asked(f"{number} warm", 8), range(given["slots"])))
    begun = time.perf_counter()
    made = sum(pool.map(lambda prompt: asked(prompt, given["tokens"]), given["prompts"]))
    seconds = time.perf_counter() - begun
print(json.dumps({"made": made, "seconds": seconds}))
