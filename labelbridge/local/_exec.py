"""Run a program that ends when the process that started it ends, however that one died.

Prevents leaked servers: a test run or a demo that is killed with SIGKILL cleans nothing up, and a
forgotten Azurite or Temporal keeps its port and its memory. Linux sends a signal to the children of
a dead parent if they asked for it (`prctl(2)`, PR_SET_PDEATHSIG), and the wish survives `execve`.

Usage: `python -S _exec.py PARENT_PID PROGRAM [ARGUMENT ...]`. It imports nothing of Labelbridge, so
it costs only the start of an interpreter.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for the signal, make sure that the parent still lives, become the program."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(1)  # it died before we asked: nobody would send the signal
    os.execvp(program[0], program)  # noqa: S606


if __name__ == "__main__":
    main()
