"""How good matching is, on anybody's files: what ``aos bench match``, ``learn`` and ``route`` do and print.

``json_lines`` reads files and names the line that is wrong, ``rows`` says what rows mean, ``vector_cache`` keeps the
texts' vectors between runs, ``scores`` computes the figures. Each command is one module.
"""
