"""Writes the table of saliency methods and kinds of models, `docs/saliency_matrix.md`, as the tests have it.

python docs/saliency_matrix.py
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from tests.saliency.matrix import table

    (ROOT / "docs/saliency_matrix.md").write_text(table(), encoding="utf-8")
