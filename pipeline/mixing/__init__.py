"""The files that models are trained on, in upstream's formats, made from the samples that were kept."""
