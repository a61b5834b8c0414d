"""The files that training runs and saliency exports leave behind: format numbers, checksums, one way to read them."""

from cv_attention.rundir.formats import Damaged, NewerFormat, NotRead, check_format
from cv_attention.rundir.reading import read_json, read_yaml
from cv_attention.rundir.sealing import read_sealed, sealed

__all__ = ["Damaged", "NewerFormat", "NotRead", "check_format", "read_json", "read_sealed", "read_yaml", "sealed"]
