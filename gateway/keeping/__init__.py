"""What is kept of tasks, for how long, and how it goes: contents by age, and whatever a forgotten task left.

``references``  which contents something on the bus still names
``contents``    contents that nothing names leave the object store; the gateway runs it
``traces``      what tasks left on the bus
``forgetting``  forgets tasks on the bus, in plans and in the object store; called by `aos experience forget`
"""
