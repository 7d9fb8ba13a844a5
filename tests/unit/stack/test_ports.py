import socket

from cli.stack.ports import free_port, is_free


def taken() -> socket.socket:
    """Listen somewhere."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def test_a_free_port_is_given_as_wanted() -> None:
    with taken() as listener:
        port = listener.getsockname()[1]

    assert free_port(port) == port


def test_a_taken_port_is_replaced_by_the_next_free_one() -> None:
    with taken() as listener:
        port = listener.getsockname()[1]

        given = free_port(port)

        assert given != port
        assert is_free(given)


def test_two_parts_do_not_get_the_same_port() -> None:
    with taken() as listener:
        port = listener.getsockname()[1]

    assert free_port(port, frozenset({port})) != port
