"""The HTTP door, as commands use it.

``client``        one call for each thing that the door does
``event_stream``  server-sent events out of lines
``views``         the door's JSON as lines and rows for people
"""
