"""The HTTP door: a thin skin over the use cases of `gateway`.

``server``        serves until told to stop, then drains
``connections``   bound what one client can hold
``app``           puts the door together
``doors``         the use cases that the routes call
``tasks``, ``agents``, ``dead``, ``blobs``, ``embeddings``, ``service``   the routes, by noun
``task_words``    the routes by which people have a say in a task
``bodies``, ``task_forms``, ``multipart``   read requests; ``problems`` answers what went wrong
``waiting``       for a task's end, as long as its client does
``task_answers``, ``contents``, ``event_stream``   answer with records, bytes and moments
``known_parameters`` refuses query parameters that a route does not take
``methods``       HEAD, and which methods an address takes
``metrics``       counts; ``openapi`` describes
"""
