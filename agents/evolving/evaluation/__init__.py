"""How good the searches are: synthetic fleets with a known objective, and what ``aos bench network`` prints."""
