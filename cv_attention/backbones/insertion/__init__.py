"""Plans, inserts and removes blocks.

Five words, the same in names, messages and documents:

- **position**: what `at` asks for by name, such as ``residual``, ``stage`` or ``stage:1:3``; or a glob.
- **site**: where one block goes. A position has a site in every residual block or stage that offers it.
- **host**: the module of the network to which the site's block is attached as a child; sites are called by its name.
- **place**: where the block is relative to its host: ``after`` it, ``before`` it, on its ``shortcut``, or ``instead``.
- **stage**: the layers of one resolution, counted on the way down from the image; a decoder's on the way up.

A *residual block* is a module that adds a branch to a shortcut; a *block* alone is an attention block.
"""
