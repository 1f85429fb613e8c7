"""What the server's listening socket lacks."""

import gc
import socket


def answer_at_once() -> int:
    """Send every answer when it is there; returns the number of listening sockets that were told to.

    Streamlit makes its listening socket without naming the protocol, and asyncio turns Nagle's algorithm off only
    where it is named. Headers and body of an answer leave in two writes: on a kept connection the second one waited
    for the acknowledgement of the first, which systems delay by 40 ms. Connections inherit what is set here.
    """
    found = 0
    for each in gc.get_objects():
        if type(each) is not socket.socket or each.fileno() < 0 or each.family not in (socket.AF_INET, socket.AF_INET6):
            continue
        if each.type == socket.SOCK_STREAM and each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            found += 1
    return found
