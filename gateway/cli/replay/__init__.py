"""`aos replay`: what happened, step by step, and how another policy would have done. Reads; changes nothing.

``command``   the group, with what shows past tasks
``evaluate``  what another policy would have earned on decisions that were logged
``report``    one HTML page about a window of experience
``run``       tasks of a window done again under another policy
``sources``   the experience and the policies that these read
``views``     past tasks for people
"""
