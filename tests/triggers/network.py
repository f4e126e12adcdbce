"""Makes N connections to itself, one to where nobody listens, and sends N datagrams: TCP port 47811, UDP port 47812;
at 127.0.0.1, or the address that is given.

The server closes first, and the client when it has seen that, so that the states follow in one order.
"""

import socket
import sys
import threading
import time

PORT = 47811
COUNT = int(sys.argv[1])
HOST = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
FAMILY = socket.AF_INET6 if ":" in HOST else socket.AF_INET

listener = socket.socket(FAMILY)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind((HOST, PORT))
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
    client = socket.create_connection((HOST, PORT))
    client.sendall(b"hello")
    while client.recv(100):
        pass
    time.sleep(0.05)
    client.close()
server.join()
listener.close()
try:
    socket.create_connection((HOST, PORT))
except ConnectionRefusedError:
    pass

receiver = socket.socket(FAMILY, socket.SOCK_DGRAM)
receiver.bind((HOST, PORT + 1))
sender = socket.socket(FAMILY, socket.SOCK_DGRAM)
for _ in range(COUNT):
    sender.sendto(b"datagram", (HOST, PORT + 1))
    receiver.recv(100)
