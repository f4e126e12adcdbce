"""Makes a TCP connection to itself, and one to where nobody listens, for tcp.d."""

import socket
import threading

listener = socket.create_server(("127.0.0.1", 0))
address = listener.getsockname()


def serve():
    connection, _ = listener.accept()
    connection.recv(100)
    connection.close()


server = threading.Thread(target=serve)
server.start()
with socket.create_connection(address) as client:
    client.sendall(b"hello")
server.join()
listener.close()
try:
    socket.create_connection(address)
except ConnectionRefusedError:
    print("nobody listens any more")
