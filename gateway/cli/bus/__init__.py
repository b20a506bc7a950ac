"""The bus, for the commands that speak to it themselves.

``connection``  one connection for one command; no answer becomes Failed
``reach``       connecting: quick to give up, silent about what it raises
``which``       which bus it is: said after a change, compared with the gateway's
"""
