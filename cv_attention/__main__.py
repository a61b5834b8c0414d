"""Runs ``python -m cv_attention``, the same as ``cv-attention``."""

import sys

from cv_attention.cli.entry import main

sys.exit(main())
