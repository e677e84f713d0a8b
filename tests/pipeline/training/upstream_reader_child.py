"""instructlab-training 0.16 at work, in an environment that has it: [[FILE, MODEL, FOLDER], ...] -> FOLDER/data.jsonl."""

import json
import sys

from instructlab.training.data_process import process_messages_into_input_ids

if __name__ == "__main__":
    for path, model, folder in json.load(sys.stdin):
        process_messages_into_input_ids(path, folder, max_seq_len=4096, model_path=model, num_cpu_procs=1)
