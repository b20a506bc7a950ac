"""Where experience goes as it ages: whole and at hand, then in files, at last only in numbers by the hour.

``cold_rows``     rows of the embedded store as Parquet, and back
``cold_files``    those files in the object store, each checked against its digest
``cold_names``    which of those files count, and what becomes of the others
``embedded_file``  the embedded store's file, as all of these change it
``compaction``    moves old rows there, counts them by the hour, removes what is older still
``joining``       puts small files of a day together
``summary``       what happened by the day, of records that are long gone too
``tiered_store``  the store's port over both tiers
``forgetting``    removes a task's or a person's traces from both tiers
``sealing``       seals a tenant's words in both tiers by its newest key
``cold_changes``  how those two change files of the cold tier
"""
