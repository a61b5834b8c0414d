"""Uploads a trained network to the Hugging Face Hub."""

import os
import re
from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from cv_attention.extras import require
from cv_attention.hub.folder import write_folder
from cv_attention.hub.transport import transport_errors

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class Pushed(NamedTuple):
    """Holds what was uploaded.

    Attributes:
        url: Address of the model.
        files: Names of its files.

    Examples:
        >>> from cv_attention.hub import Pushed
        >>> Pushed("https://huggingface.co/somebody/digits-cbam", ("model.safetensors", "README.md")).files[0]
        'model.safetensors'
    """

    url: str
    files: tuple[str, ...]


def push(
    run: str | os.PathLike[str],
    name: str,
    *,
    license: str | None = None,
    public: bool = False,
    pictures: int = 8,
    message: str = "Upload of a network trained with cv_attention",
    trust: Collection[str] = (),
) -> Pushed:
    """Uploads the network of a finished run to the Hugging Face Hub, as `write_folder` writes it.

    The login is that of ``hf auth login`` or the variable ``HF_TOKEN``; ``HF_ENDPOINT`` names another Hub.

    Args:
        run: A finished run directory.
        name: Name on the Hub, ``ORG/NAME``; made if there is no such model yet.
        license: Identifier of the licence as the Hub writes it, such as ``apache-2.0``; None states none.
        public: Whether everybody may see the model. A public model is not updated without this.
        pictures: Number of the probe images that the card shows, which are images of the data set; 0 shows none.
        message: Message of the commit.
        trust: Modules and classes that the run may name.

    Returns:
        The address, and the names of the files.

    Raises:
        FileNotFoundError: if the run does not exist.
        ValueError: if the run is not finished or the name is not one, or if the model is public already and `public` is
            not set.
        ConnectionError: if the Hub cannot be reached, or refuses.

    Examples:
        >>> from cv_attention import hub
        >>> hub.push("runs/mine", "somebody/digits-cbam", license="apache-2.0").url  # doctest: +SKIP
        'https://huggingface.co/somebody/digits-cbam'
    """
    require("hub", "pushing a network")
    if not _NAME.fullmatch(name):
        raise ValueError(f"a model on the Hub is called ORG/NAME, in letters, digits, '-', '_' and '.', got {name!r}")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    with TemporaryDirectory() as folder:
        files = write_folder(run, folder, title=name, license=license, pictures=pictures, trust=trust)
        api = HfApi(library_name="cv_attention")
        try:
            url = api.create_repo(name, private=not public, exist_ok=True)
            if not public and not api.model_info(name).private:
                raise ValueError(f"{name} is a public model; --public true uploads there")
            api.upload_folder(repo_id=name, folder_path=Path(folder), commit_message=message)
        except (HfHubHTTPError, OSError, RuntimeError, *transport_errors()) as error:
            reason = " ".join(str(error).split())[:300]
            raise ConnectionError(f"{name} cannot be uploaded: {reason}") from error
    return Pushed(str(url), tuple(file.name for file in files))
