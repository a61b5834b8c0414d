"""Controls: blocks that keep a part of another block's mechanism, to find out which part it is that helps.

A control takes the place of the block in a configuration, as a class path:
``{class_path: cv_attention.blocks.controls.ShuffledGate, init_args: {block: se}}``.
"""

from cv_attention.blocks.controls.at_test import gate_means, gates_averaged, gates_replaced, has_gates
from cv_attention.blocks.controls.channel_scale import ChannelScale
from cv_attention.blocks.controls.constant_gate import ConstantGate
from cv_attention.blocks.controls.frozen_random import FrozenRandom
from cv_attention.blocks.controls.identity import Identity
from cv_attention.blocks.controls.shuffled_gate import ShuffledGate
from cv_attention.blocks.controls.uniform_spatial import UniformSpatial

__all__ = [
    "ChannelScale", "ConstantGate", "FrozenRandom", "Identity", "ShuffledGate", "UniformSpatial", "gate_means",
    "gates_averaged", "gates_replaced", "has_gates",
]  # fmt: skip
