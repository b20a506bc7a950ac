"""What a part really is, found in its bytes. Before it: perception. After it: facts and plain words.

The order in which a part is judged, never by its name alone:

1. ``sniffing``  what the first bytes are: signatures that cannot be text, then text, then weaker signatures
2. ``claims``    what the sender says: media type, then the name's extension, then the modality. A claim chooses
                 between kinds of text (CSV, JSON, prose); a claim that the bytes contradict is refused
3. decoders      ``text``, ``image``, ``audio``, ``pdf``, ``table``, ``document``: decode for real, measure, and
                 refuse what is damaged

``inspector`` runs the three for one part.
"""
