"""Auditions in the evolution role: a newcomer is asked past tasks, without effect, before its first real ones.

``choosing``  which agents are newcomers, and which past tasks each is asked: pure
``stage``     asks one agent through the shadow lane and makes records of its answers
``keeping``   the bucket of auditions: who was asked what, so that nobody is asked twice and nothing is lost
``desk``      the service: follows the registry, auditions who came, a few tasks at a time

What comes of it is learned by ``gateway.learning`` like any outcome. Only agents whose cards promise to have no effects
are asked, and only where the operator set ``learning.auditions``: answers cost what they cost.
"""
