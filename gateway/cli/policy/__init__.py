"""`aos policy` and `aos experiment`: which learned policy routes, and changing it. They talk straight to the bus.

``command``     the group `aos policy`
``experiment``  the group `aos experiment`: two policies share traffic
``listing``     `aos policy list`
``prune``       `aos policy prune`
``options``     the options that both groups share, and how a changed state is said
``source``      the registry of policies for one command
``views``       policies as rows and lines for people, and as JSON
"""
