"""Prints lines and formats durations for the terminal."""

import lightning


def say(trainer: lightning.Trainer, line: str) -> None:
    """Prints a line, above the progress bar if there is one."""
    bar = trainer.progress_bar_callback
    bar.print(line) if bar else print(line, flush=True)


def duration(seconds: float) -> str:
    """Formats a duration for people: ``8.2 s``, ``3 min 05 s``, ``2 h 07 min``."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
