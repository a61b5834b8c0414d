"""Trains and tests a classifier: the same as ``cv-attention fit``."""

import sys

from cv_attention.cli import main

if __name__ == "__main__":
    sys.exit(main(["fit", *sys.argv[1:]]))
