"""Matching that learns: from cards alone, from solved queries, and from the success of whom it chose.

``lexical`` and ``cards`` say how near a query is to what agents claim; ``evidence`` says what happened before;
``towers``, ``habits``, ``boundaries`` and ``kernel_ridge`` generalise from that; ``features`` lays all side by side for
each candidate; ``ranker`` weighs them, one set of weights for all agents, so that newcomers are ranked too; ``scope``
says how likely it is that nobody fits. ``model`` is the whole, called by ``agents.matching.evaluation``; ``routing``
chooses among agents that all fit. All is numpy on arrays: no bus, no files.
"""
