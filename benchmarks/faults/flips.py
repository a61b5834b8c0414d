"""Flips single bits of the three files of weights that a training run leaves, and loads them as the commands do.

    python -m benchmarks.faults.flips [--out rows.jsonl] [--flips 480] [--seed 0]

A third of the flips each goes to ``checkpoints/last.ckpt``, ``checkpoints/best.ckpt``, ``weights.safetensors``; half of
them fall anywhere, half into what describes the tensors (the zip directory, the pickle, the header). ``last.ckpt`` is
opened as ``fit --resume`` does, the others as ``test``, ``export`` and the like do. An attempt counts as

* ``refused``: one line that names the file;
* ``fell back``: ``previous.ckpt`` was taken, and that was said;
* ``same``: loaded, and every tensor and every value is the one that was written: the bit says nothing;
* ``unnoticed``: other tensors or values were loaded without a word. **Must be 0.**
* ``traceback``: another exception than the one for the user. **Must be 0.**
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.faults.small_run import Rows, train, write_images
from cv_attention import training
from cv_attention.training.checkpoint import checkpoints
from cv_attention.training.checkpoint.digest import sha256
from cv_attention.training.checkpoint.resumable import resumable

FILES = ("checkpoints/last.ckpt", "checkpoints/best.ckpt", "weights.safetensors")


def places(data: bytes, count: int, kind: str, draw: random.Random) -> list[int]:
    """Bits to flip: half of them anywhere, half in what describes the tensors."""
    if kind == ".safetensors":
        head = range(8 + int.from_bytes(data[:8], "little"))
    else:
        head = range(data.rfind(b"PK\x01\x02", 0, data.rfind(b"PK\x05\x06") - 1) - 4096, len(data))
    anywhere = [draw.randrange(8 * len(data)) for _ in range(count - count // 2)]
    return anywhere + [8 * draw.choice(head) + draw.randrange(8) for _ in range(count // 2)]


def load(path: Path, run: Path) -> tuple[str, str]:
    """Loads a file as its commands do; returns a digest of what was loaded, and what was said."""
    if path.name == checkpoints.LAST:
        used, content, notices = resumable(run, training.Classifier)
        digest = sha256({key: value for key, value in content.items() if key != "sha256"})
        return digest, "" if used == path else " ".join(notices)
    classifier = training.load(path)
    return sha256([classifier.state_dict(), classifier.experiment.to_dict(), vars(classifier.facts)]), ""


def attempt(run: Path, name: str, place: int, intact: str, previous: str) -> tuple[str, str]:
    """Flips one bit of a file, loads it and puts everything back; returns what it counts as."""
    path, last = run / name, run / "checkpoints/last.ckpt"
    kept = path.read_bytes()
    data = bytearray(kept)
    data[place // 8] ^= 1 << place % 8
    path.unlink()  # best.ckpt may be another name of last.ckpt
    path.write_bytes(data)
    try:
        found, said = load(path, run)
    except ValueError as error:
        clear = str(path) in str(error) and "\n" not in str(error)
        return ("refused" if clear else "traceback"), str(error)
    except Exception as error:
        return "traceback", f"{type(error).__name__}: {error}"
    finally:
        path.unlink(missing_ok=True)
        path.write_bytes(kept)
        last.with_name("last.ckpt.torn").unlink(missing_ok=True)
    if said:
        return ("fell back" if found == previous and "last.ckpt" in said else "unnoticed"), said
    return ("same" if found == intact else "unnoticed"), ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="File for a JSON row of each attempt.")
    parser.add_argument("--flips", type=int, default=480, help="Bits flipped in all three files together.")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = Rows(options.out)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        run = train(root, "run", write_images(root / "data", options.seed))
        previous, aside = run / "checkpoints/previous.ckpt", root / "last"
        last = run / FILES[0]
        last.rename(aside)
        shutil.copy(previous, last)
        of_previous = load(last, run)[0]
        aside.replace(last)
        for name in FILES:
            intact = load(run / name, run)[0]
            draw = random.Random(f"{options.seed} {name}")
            for place in places((run / name).read_bytes(), options.flips // len(FILES), Path(name).suffix, draw):
                outcome, said = attempt(run, name, place, intact, of_previous)
                rows.add(file=name, bit=place, outcome=outcome, said=said)
                if outcome in ("unnoticed", "traceback"):
                    print(f"{outcome}: {name}: bit {place}: {said[:300]}", flush=True)
    for name in FILES:
        counts = [row["outcome"] for row in rows.rows if row["file"] == name]
        print(
            json.dumps({"file": name, "flips": len(counts), **{one: counts.count(one) for one in sorted(set(counts))}})
        )
    counts = rows.counts()
    print(json.dumps({"flips": len(rows.rows), **counts}))
    return int(bool(counts.get("unnoticed") or counts.get("traceback")))


if __name__ == "__main__":
    sys.exit(main())
