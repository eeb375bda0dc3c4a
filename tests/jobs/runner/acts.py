"""A task for the tests of engines, in a module that a process imports at once."""

import os


def act(payload):
    """Do what the payload says, and return the process that did."""
    if number := payload.get("signal"):
        os.kill(os.getpid(), number)
    if "exit" in payload:
        os._exit(payload["exit"])
    if "prints" in payload:
        print(payload["prints"])
        os.write(1, payload["prints"].encode())
    if "hangs" in payload:
        import ctypes

        ctypes.PyDLL(None).sleep(3600)  # with the interpreter's lock held: no Python code runs any more
    if fifo := payload.get("waits"):
        with open(fifo) as told:
            told.read()
    return {"pid": os.getpid(), "long": "x" * payload.get("chars", 0)}
