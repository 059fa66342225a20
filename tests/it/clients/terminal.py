"""Runs a command at a terminal of its own, types, and prints as JSON what the terminal showed and whether it still echoes.

    terminal.py <what is typed> <the prompt that is waited for> <program> <argument>...
"""

import json
import os
import pty
import select
import sys
import termios
import time

typed, prompt, *command = sys.argv[1:]
ours, theirs = pty.openpty()
child = os.fork()
if child == 0:
    os.login_tty(theirs) if hasattr(os, "login_tty") else (os.setsid(), [os.dup2(theirs, n) for n in (0, 1, 2)])
    os.execv(command[0], command)
shown, is_typed, ended = b"", False, None
deadline = time.monotonic() + 20
while ended is None and time.monotonic() < deadline:
    if select.select([ours], [], [], 0.1)[0]:
        shown += os.read(ours, 65536)
    # The prompt stands there a moment before the echo is off.
    if not is_typed and prompt.encode() in shown and not termios.tcgetattr(ours)[3] & termios.ECHO:
        os.write(ours, typed.encode().decode("unicode_escape").encode())
        is_typed = True
    found, status = os.waitpid(child, os.WNOHANG)
    ended = status if found else None
echoes = bool(termios.tcgetattr(ours)[3] & termios.ECHO)
while select.select([ours], [], [], 0.1)[0]:
    shown += os.read(ours, 65536)
print(json.dumps({
    "shown": shown.decode(),
    "echoes": echoes,
    "code": None if ended is None else os.waitstatus_to_exitcode(ended),
}))
