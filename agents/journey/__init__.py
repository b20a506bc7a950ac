"""One task's journey through a worker, in the order of its modules.

``lanes``       pulls messages off the work queue, within bounds, and keeps them from being redelivered
``dispatch``    turns a message into a task, or refuses it; acknowledges only after the effect
``submissions`` reads a message as a task, or says why it is none
``handbacks``   counts how often a task came back for no fault of its own
``claim``       decides what to do with a task that may have been here before
``records``     the task's durable record, changed by compare-and-set
``changes``     what a record becomes, as pure functions
``telling``     publishes the moments of the task's life
``travel``      perceive -> match -> plan -> run -> settle
``settlement``  stores the result, tells it, leaves the experience
``dead``        gives up on work that cannot be done, with its reason
``controls``    hears people cancel
"""
