"""`aos dead`: work that was given up; look at it, send it round again, let it go.

``command``  the group
``letter``   one dead letter for people
"""
