"""Records what a classifier attends to while it is trained, as a run directory that the report shows: `Recorder`.

It needs no Lightning: the callbacks of `cv_attention.training` use it, and so can any other training loop.
"""

from cv_attention.recording.recorder import Recorder

__all__ = ["Recorder"]
