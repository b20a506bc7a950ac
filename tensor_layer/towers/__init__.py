"""Small image and audio towers, trained offline into the text encoder's space; their weights ship with the project.

Serving: ``wiring`` → ``serving`` (models behind ``ports.Model``) → ``image_model``, ``audio_model``, ``weights``.
Training: ``aos train towers`` → ``course`` → ``image_training``, ``audio_training`` → ``training`` (the loop) over
``image_corpus``, ``audio_corpus`` (rendered once, memory-mapped), made of ``pictures``, ``sentences``, ``voices`` and
``sounds``. The weights of ``fusion`` are learned beside them: ``fusion_training`` over ``fusion_practice``.

They know what they were taught and nothing else: docs/towers.md says what that is.
"""
