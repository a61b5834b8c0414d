"""``python -m cv_attention.cli``, for places where the console script is not on the path."""

import sys

from cv_attention.cli.main import main

sys.exit(main())
