"""The roles a process can play; scaling is starting more of them. Each module wires one role from settings:

``gateway``     the HTTP door
``agents``      a worker: perceive, match, plan, run, settle
``evolution``   records what happened
``perception``  encodes for others, over the bus

Every module has ``async def run(settings: Settings, stop: asyncio.Event) -> None``: it works until ``stop`` is set,
then drains and returns. ``running`` calls it. ``yielding`` lets the evolution role give way to the others.
"""
