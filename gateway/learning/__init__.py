"""Learning in the evolution role: experience from the store, through the learner, to versions that workers follow.

``pupil``       one tenant's learner, fed with records and feedback
``publishing``  makes a version of it: large parts to the object store, the file to the bucket of policies
``promotion``   whether a new version comes into force by itself: a pure function
``desk``        puts it together for the role
``school``      the service: follows the store, learns off the event loop, publishes every so often

The evolution layer does not know rankers, and agents know neither store nor versions; here they meet.
"""
