"""`aos mine` and `aos rules`: what keeps happening, and the routing rules made of it.

``mine``   find patterns, activate them
``rules``  the rules in force, and taking them back
"""
