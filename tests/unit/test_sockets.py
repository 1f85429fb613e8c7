"""The server's connections send at once."""

import socket

from explorer.web.sockets import answer_at_once


def test_connections_of_a_socket_without_a_protocol_send_at_once():
    with socket.socket(socket.AF_INET) as listening, socket.socket(socket.AF_INET) as idle:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        with socket.create_connection(listening.getsockname()) as _:
            before, _ = listening.accept()
            with before:
                assert not before.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert answer_at_once() >= 1
        with socket.create_connection(listening.getsockname()) as _:
            after, _ = listening.accept()
            with after:
                assert after.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert not idle.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)  # only those that listen
