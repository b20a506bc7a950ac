"""Where bytes live: content-addressed blobs over one object-store client.

Before it: doors that accept attachments. After it: inspection, agents and doors that read them by reference.
"""
