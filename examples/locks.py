"""Two threads that want the same lock, for locks.d: one holds it while it sleeps."""

import threading
import time

lock = threading.Lock()


def hold():
    with lock:
        time.sleep(0.1)


def want():
    with lock:
        pass


def main():
    holder = threading.Thread(target=hold)
    holder.start()
    time.sleep(0.02)
    want()
    holder.join()


main()
