"""Makes N connections to itself, one to where nobody listens, and sends N datagrams: TCP port 47811, UDP port 47812.

The server closes first, and the client when it has seen that, so that the states follow in one order.
"""

import socket
import sys
import threading
import time

PORT = 47811
COUNT = int(sys.argv[1])

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", PORT))
listener.listen()


def serve():
    for _ in range(COUNT):
        connection, _ = listener.accept()
        connection.recv(100)
        connection.sendall(b"fifty bytes are sent back to who has asked for it!")
        connection.close()


server = threading.Thread(target=serve)
server.start()
for _ in range(COUNT):
    client = socket.create_connection(("127.0.0.1", PORT))
    client.sendall(b"hello")
    while client.recv(100):
        pass
    time.sleep(0.05)
    client.close()
server.join()
listener.close()
try:
    socket.create_connection(("127.0.0.1", PORT))
except ConnectionRefusedError:
    pass

receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("127.0.0.1", PORT + 1))
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(COUNT):
    sender.sendto(b"datagram", ("127.0.0.1", PORT + 1))
    receiver.recv(100)
