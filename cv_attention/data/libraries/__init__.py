"""Reads data sets of other libraries: arrays of NumPy and scikit-learn, torchvision's sets, saved ``datasets``."""
