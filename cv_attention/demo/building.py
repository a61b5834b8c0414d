"""Makes the page on which a photograph is explained, by Gradio."""

import html
import re
import tempfile
from pathlib import Path
from typing import Any

from cv_attention.blocks import CATALOGUE
from cv_attention.demo.explaining import Explainer
from cv_attention.extras import require
from cv_attention.saliency import METHODS

_NONE = "none"
_FONTS = ("system-ui", "sans-serif")  # those of the machine: nothing is loaded from anywhere else
_SLOW = "On a CPU, occlusion, RISE, LIME, kernel SHAP, Score-CAM and extremal perturbation may take minutes."
_LARGEST = "50mb"  # of a photograph's file


def page(explainer: Explainer) -> Any:
    """Makes the page; ``page(explainer).launch()`` serves it.

    Args:
        explainer: The networks to choose from.

    Returns:
        Gradio's `Blocks`.

    Raises:
        MissingPackage: if Gradio is not installed.

    Examples:
        >>> from cv_attention import demo
        >>> demo.page(demo.Explainer({"mine": open_mine})).launch()  # doctest: +SKIP
    """
    require("demo", "cv-attention demo")
    import gradio  # pyright: ignore[reportMissingImports]

    def explain(photograph: Path | None, network: str, block: str, methods: list[str], target: str) -> tuple[Any, ...]:
        if photograph is None:
            raise gradio.Error("Choose a photograph first.", print_exception=False)
        wanted = None if block == _NONE else block
        try:
            shown = explainer.explain(photograph, network, block=wanted, methods=methods, target=target.strip() or None)
        except (ValueError, OSError) as error:
            said = html.escape(" ".join(str(error).split()))
            raise gradio.Error(said, duration=None, print_exception=False) from error  # shown until it is closed
        file = Path(tempfile.mkdtemp(dir=folder.name)) / "maps.png"
        shown.figure.save(file)
        return (
            shown.figure,
            shown.classes,
            gradio.update(value=str(file), interactive=True),
            "\n\n".join(map(_unformatted, shown.notes)),
        )

    folder = tempfile.TemporaryDirectory(prefix="cv-attention-demo-")
    networks = list(explainer.networks)
    with gradio.Blocks(title="cv_attention", analytics_enabled=False, delete_cache=(3600, 3600)) as made:
        vars(made)["cv_attention_folder"] = folder  # which lives as long as the page
        gradio.Markdown("## What does the network look at?")
        with gradio.Row():
            with gradio.Column(scale=1):
                photograph = gradio.Image(label="Photograph", sources=["upload", "clipboard"])
                vars(photograph)["preprocess"] = _file  # Gradio's own knows fewer files, and fails without a reason
                network = gradio.Dropdown(networks, value=networks[0], label="Network")
                block = gradio.Dropdown([_NONE, *CATALOGUE], value=_NONE, label="Block to insert, untrained")
                methods = gradio.Dropdown(
                    list(METHODS), value=["grad_cam"], multiselect=True, label="Saliency methods", info=_SLOW
                )
                target = gradio.Textbox(label="Class to explain", placeholder="the likeliest one")
                button = gradio.Button("Explain", variant="primary")
            with gradio.Column(scale=3):
                figure = gradio.Image(label="Maps", format="png", interactive=False, **_unshared(gradio))
                download = gradio.DownloadButton("Download the figure", interactive=False)
                classes = gradio.Label(label="Classes", num_top_classes=5)
                notes = gradio.Markdown()
        button.click(
            explain,
            [photograph, network, block, methods, target],
            [figure, classes, download, notes],
            api_name="explain",
        )
    return made


def serve(explainer: Explainer, port: int | None, *, wait: bool = True) -> Any:
    """Serves the page on 127.0.0.1, to this machine alone.

    Args:
        explainer: The networks to choose from.
        port: The port; None takes the first free one from 7860 on.
        wait: Whether to serve until the process is interrupted.

    Returns:
        What Gradio's `launch` returns: the app, its local address, and None.

    Raises:
        OSError: if the port is taken.
    """
    import gradio  # pyright: ignore[reportMissingImports]

    return page(explainer).launch(
        server_name="127.0.0.1",
        server_port=port,
        share=False,
        prevent_thread_lock=not wait,
        max_file_size=_LARGEST,
        quiet=True,
        **_look(gradio),
    )


def _file(uploaded: Any) -> Path | None:
    """Returns where Gradio keeps an uploaded file, under its own name."""
    return Path(uploaded.path) if uploaded is not None and uploaded.path else None


def _unformatted(text: str) -> str:
    """Escapes whatever Markdown would format, such as in the names of classes."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)


def _unshared(gradio: Any) -> dict[str, Any]:
    """Returns the arguments of an image that has no button to share it, which would send it away."""
    if int(gradio.__version__.partition(".")[0]) < 6:
        return {"show_share_button": False}
    return {"buttons": ["download", "fullscreen"]}


def _look(gradio: Any) -> dict[str, Any]:
    """Returns the theme for `launch`, which takes it from version 6 on."""
    if int(gradio.__version__.partition(".")[0]) < 6:
        return {}
    return {"theme": gradio.themes.Default(font=list(_FONTS), font_mono=["monospace"])}
