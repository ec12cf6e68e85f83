"""ClickHouse's native TCP protocol over chdb: the ClickHouse engine as a library, made a server for one machine.

The protocol is the one of ClickHouse's ``src/Server/TCPHandler.cpp`` and ``src/Core/Protocol.h`` at revision 54440,
which every client of the last years still speaks: one revision more would ask for interserver secrets.
"""
