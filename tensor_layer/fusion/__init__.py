"""One task vector out of the vectors of a task's parts. ``attention`` with learned weights, ``mean`` without any.

Before it: perception, which makes a token of each text, picture and sound. After it: matching. The weights are learned
and read in ``towers``; here is numpy alone.
"""
