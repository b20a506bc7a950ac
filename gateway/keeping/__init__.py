"""What is kept of tasks, for how long, and how it goes: contents by age, and whatever a forgotten task left.

``references``  which contents something on the bus still names
``contents``    contents that nothing names leave the object store; the gateway runs it
``traces``      what one task left on the bus, and what of it went
``forgetting``  forgets tasks on the bus, in the object store, in plans and policies; called by `aos experience forget`
"""
