"""How good matching is, on anybody's files: what ``aos bench match``, ``learn`` and ``route`` do and print.

``rows`` reads JSON lines and names the line that is wrong, ``vector_cache`` keeps the texts' vectors between runs,
``scores`` computes the figures. Each command is one module.
"""
