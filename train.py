"""Trains and tests a classifier: the same as ``cv-attention fit``."""

import sys

from cv_attention.cli.entry import run_process

if __name__ == "__main__":
    sys.exit(run_process(["fit", *sys.argv[1:]]))
