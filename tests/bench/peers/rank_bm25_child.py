"""rank-bm25 at its own defaults: {"documents", "questions"} in, each question's scores and the seconds it took out."""

import json
import sys
import time

from rank_bm25 import BM25Okapi

given = json.load(sys.stdin)
index = BM25Okapi([text.lower().split() for text in given["documents"]])
told = []
for question in given["questions"]:
    begun = time.perf_counter()
    scores = index.get_scores(question.lower().split())
    told.append({"scores": [float(score) for score in scores], "seconds": time.perf_counter() - begun})
json.dump(told, sys.stdout)
