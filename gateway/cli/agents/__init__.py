"""`aos agents`: register, list, search and remove agents.

``command``    the group
``auditions``  what newcomers answered when they were asked past tasks
"""
