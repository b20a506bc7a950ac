"""Who is there: cards from files and doors, the versioned bucket that is the truth, the skill index, the live fleet.

``card_files`` reads schema files -> ``folder_watch`` registers them -> ``kv_registry`` keeps every version ->
``fleet`` follows it, gives each skill its vector in the index (``skill_index``) and knows from ``health`` who is
alive. Matching asks the fleet and the index; nobody else does.
"""
