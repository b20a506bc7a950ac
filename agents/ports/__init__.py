"""What the rooms of this layer ask of each other. Each port is tiny and says what its maker guarantees.

``registry`` (who is there) -> ``skill_index`` (who is near) -> ``matching`` (who can do a goal) ->
``planning`` (who does what) -> ``running`` (doing it) -> ``connectors`` (asking one agent).
"""
