"""The vocabulary: every message that crosses a process boundary, as a frozen model.

This package imports nothing else of the project. Read it in the order of one task's journey:

``parts``       what a task is made of (text, image, audio, file; inline or by reference)
``task``        what a client submits, what is remembered of it, and the events of its life
``control``     cancel, approve, pause
``percept``     what the tensor layer saw
``card``        what an agent claims to do
``candidate``   who could do the task, with scores and reasons
``network``     the collaboration graph and its execution plan
``invocation``  the wire protocol between a worker and an agent
``experience``  what happened, once
``pattern``     what keeps happening
``policy``      what routing has learned, as one small file
``policy_state`` which of a tenant's policies is in force
``tensor``      tensors on the bus: frames or references, never JSON numbers
``problem``     RFC 9457 errors; ``field_problems`` tells pydantic's in their words
``json_bodies``  what is looked at before a request is read
``subjects``    the one map of the bus: subject -> model -> producer -> consumers; ``checkpoint_subjects`` beside it
"""
