"""The tensor layer: turns inputs into percepts and vectors, and keeps bytes where they can be fetched cheaply.

Before it: a task's parts, as `schemas.parts` describes them. After it: `agents`, which asks for a `Percept` and a
task vector and never sees torch. Imports only `schemas`.
"""
