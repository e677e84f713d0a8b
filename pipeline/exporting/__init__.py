"""What was taught, as files that others take: an adapter or a whole model, for transformers and for llama.cpp."""
