"""Personal data in experience: what is never stored, and what is stored only under a tenant's key.

``redaction``  patterns of what must not be kept, cut out of task text and feedback
``keys``       a tenant's keys in a file, newest first; sealing, opening, rotating
``words``      where a task's words lie in its record
``guard``      all together, as the stores use them
"""
