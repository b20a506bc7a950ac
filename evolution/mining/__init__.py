"""What keeps happening: regularities in experience, found on a schedule or by `aos mine`.

``kinds``         clusters of task vectors: which kinds of task there are
``transactions``  a record as a set of items: agents, kind, modalities, hours, outcome
``rules``         which items go with which outcome (FP-growth, corrected for multiple testing)
``drift``         when an agent's quality, latency or cost changed
``mine``          all of them over one window, as `SynthesizedPattern` messages
"""
