"""Opens a trained network that somebody has shared."""

import os
import re
from collections.abc import Collection
from pathlib import Path

from cv_attention.extras import require
from cv_attention.hub.transport import transport_errors
from cv_attention.rundir.layout import PUBLISHED_WEIGHTS
from cv_attention.training.checkpoint.checkpoints import find_checkpoint
from cv_attention.training.loading import load as load_checkpoint
from cv_attention.training.tasks.task import Task

_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def load(name: str | os.PathLike[str], *, trust: Collection[str] = (), revision: str | None = None) -> Task:
    """Opens a trained network from the Hugging Face Hub, from a folder in the same layout, or from a training run.

    Only the weights are downloaded, a safetensors file, which also describes the network and its data. Nothing that it
    names is imported or executed, except for what `trust` lists.

    Args:
        name: A folder that `write_folder` wrote or that was downloaded, a run directory or a checkpoint; if there is no
            such path, the name of a model on the Hub, ``ORG/NAME``.
        trust: Modules and classes that the file may name, such as ``my_block`` or ``my_block.MyBlock``.
        revision: Branch, tag or commit on the Hub; None takes the newest.

    Returns:
        The network in eval mode, on the CPU: a `Classifier`, `Transcriber`, `BagClassifier` or `Recaller`. Called with
        uint8 images (B, 3, H, W) a classifier returns logits; `facts` holds the names of the classes and the size of
        the images, `network` the plain module.

    Raises:
        FileNotFoundError: if there is neither such a path nor such a model, or it has no weights of this package.
        ConnectionError: if the Hub cannot be reached and the model has not been downloaded before.
        ValueError: if the file is damaged, or names a class that is not in `trust`.

    Examples:
        >>> import cv_attention as cva
        >>> classifier = cva.load("somebody/digits-cbam")  # doctest: +SKIP
        >>> classifier.facts.class_names  # doctest: +SKIP
        ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9')
        >>> with cva.record(classifier.network) as maps:  # doctest: +SKIP
        ...     logits = classifier(images)
    """
    path = Path(name).expanduser()
    if not path.exists() and _NAME.fullmatch(str(name)):
        path = _downloaded(str(name), revision)
    elif revision is not None:
        raise ValueError(f"revision {revision!r} applies only to models on the Hub, but {path} is a path")
    return load_checkpoint(find_checkpoint(path), trust, task=None)


def _downloaded(name: str, revision: str | None) -> Path:
    require("hub", f"'{name}' is not a path, and a model on the Hub")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(HfApi().hf_hub_download(name, PUBLISHED_WEIGHTS, revision=revision))
    except LocalEntryNotFoundError as error:
        raise ConnectionError(f"the Hub cannot be reached, and {name} has not been downloaded before") from error
    except RepositoryNotFoundError as error:
        what = "is neither a path nor a model on the Hub; private models need a login: hf auth login"
        raise FileNotFoundError(f"{name} {what}") from error
    except RevisionNotFoundError as error:
        raise FileNotFoundError(f"{name} has no revision {revision!r}") from error
    except EntryNotFoundError as error:
        raise FileNotFoundError(f"{name} has no {PUBLISHED_WEIGHTS}, so it is not a network of cv_attention") from error
    except (HfHubHTTPError, OSError, *transport_errors()) as error:
        raise ConnectionError(f"{name} cannot be downloaded: {' '.join(str(error).split())[:300]}") from error
