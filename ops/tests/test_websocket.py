import socket
import threading

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Message

from neurmatic.probes.websocket import at_instance


def ask_and_close(listener):
    """What an instance does that ends: a question is on its way, and right behind it the word that it closes."""
    connection, _ = listener.accept()
    with connection:
        server = WSConnection(ConnectionType.SERVER)
        server.receive_data(connection.recv(65536))
        assert list(server.events())
        connection.sendall(server.send(AcceptConnection()))
        connection.sendall(server.send(Message(data="2")) + server.send(CloseConnection(code=1012)))
        connection.recv(65536)


def test_an_answer_to_one_that_has_said_that_it_closes_is_not_sent_and_breaks_nothing():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        instance = threading.Thread(target=ask_and_close, args=(listener,))
        instance.start()
        with at_instance(listener.getsockname()[1], "https://x.example", "/") as one:
            assert one.listen(10) == ["2"]
            one.say("3")
            assert (one.is_open, one.code) == (False, 1012)
        instance.join()
