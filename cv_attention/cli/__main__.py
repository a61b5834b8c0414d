"""Runs ``python -m cv_attention.cli``, for environments without the console script."""

import sys

from cv_attention.cli.entry import main

sys.exit(main())
