"""The lossy channel: JPEG as a differentiable simulation, as real files, and the capsule in them.

Import from the modules: only the simulation needs torch.
"""
