"""Creates optimizers, parameter groups and learning-rate schedules."""
