"""The evolution layer: keeps what happened, so that the next task goes better.

Before it: `agents` publishes an `ExperienceRecord` for every task that ends. After it: learned routing policies.
Imports `tensor_layer` and `schemas`; it never imports `agents`.
"""
