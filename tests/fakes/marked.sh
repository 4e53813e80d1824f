#!/bin/sh
# An agent that leaves its own marks: start and end in nanoseconds since 1970. Between them it sleeps for the seconds that
# its task says, or waits until the pipe that its task names is let go (tests/gates.py).
# marked.sh MARKS WORKSPACE AGENT SECONDS|/PIPE
echo "start $DISPATCH_TOKEN $2 $3 $(date +%s%N)" >>"$1"
case "$4" in
/*) read -r _ <"$4" ;;
*) sleep "$4" ;;
esac
echo "end $DISPATCH_TOKEN $2 $3 $(date +%s%N)" >>"$1"
