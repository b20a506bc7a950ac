"""The HTTP door: a thin skin over the use cases of `gateway`.

``server``        serves until told to stop, then drains
``app``           puts the door together
``doors``         the use cases that the routes call
``tasks``, ``agents``, ``dead``, ``blobs``, ``service``   the routes, by noun
``bodies``, ``multipart``   read requests; ``problems`` answers what went wrong; ``event_stream`` streams
``metrics``       counts; ``openapi`` describes
"""
