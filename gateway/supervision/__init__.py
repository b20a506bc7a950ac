"""Looks after processes: starts them on a ``leash``, restarts what crashes, drains them in order. Used by ``aos up``.

``restarts``        the decision after an exit: restart when, or give up
``logs``            one bounded log file for each process
``child``           one process
``supervisor``      all of them
``agent_commands``  agent cards whose endpoint says how to start the agent
``agent_ports``     where these agents listen
``agent_folder``    a followed folder of cards: registered, and their commands kept running
``data_folder``     one deployment for each data folder
``looking``         is the port free, the door open, the agent alive?
``deployment``      bus, roles and agents of this machine, put together
"""
