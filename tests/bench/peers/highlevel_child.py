"""llama-cpp-python's high-level API at its own defaults, but for the context: {"model", "context", "prompts", "tokens"} in.

One request after the other, which is all it can do: it holds one sequence, and threads that share it end the process. Out come
the tokens it made and the seconds it took. It runs in our own environment: it is the same library that our engine is built on.
"""

import json
import sys
import time

import llama_cpp

given = json.load(sys.stdin)
model = llama_cpp.Llama(given["model"], n_ctx=given["context"], verbose=False)
model.create_completion("warm", max_tokens=8)
made = 0
begun = time.perf_counter()
for prompt in given["prompts"]:
    answer = model.create_completion(prompt, max_tokens=given["tokens"])
    made += answer["usage"]["completion_tokens"]
seconds = time.perf_counter() - begun
print(json.dumps({"made": made, "seconds": seconds}))
