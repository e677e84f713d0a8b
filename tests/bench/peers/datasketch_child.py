"""datasketch's MinHashLSH over word pairs: {"texts", "threshold", "permutations"} in; out: seconds of the processor, and
which texts are near an earlier one.

Every candidate counts as near, as in the library's own examples; each is added.
"""

import json
import re
import sys
import time
from itertools import pairwise

from datasketch import MinHash, MinHashLSH

given = json.load(sys.stdin)
begun = time.process_time()
words = [re.findall(r"\w+", text.casefold()) for text in given["texts"]]
pairs = [{f"{one} {two}".encode() for one, two in pairwise(found)} for found in words]
index = MinHashLSH(threshold=given["threshold"], num_perm=given["permutations"])
near = []
with index.insertion_session() as session:
    for number, made in enumerate(MinHash.bulk(pairs, num_perm=given["permutations"])):
        if index.query(made):
            near.append(number)
        session.insert(str(number), made)
json.dump({"seconds": time.process_time() - begun, "near": near}, sys.stdout)
