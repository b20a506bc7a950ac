"""`aos bench`: how good matching, learning, routing and packing are, measured here. Nothing here talks to a gateway.

``command``   the group, with the three commands about matching, learning and routing
``index``     the agent index at a size
``network``   evolved networks, and predicted graphs
``perceive``  encoding
``tensor``    packing, caching and passing tensors
``screen``    what they share: reading files, the encoder with its cache, printing figures
"""
