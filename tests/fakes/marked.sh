#!/bin/sh
# An agent that leaves its own marks: start and end in nanoseconds since 1970, then sleeps for what its task says.
# marked.sh MARKS WORKSPACE AGENT SECONDS
echo "start $DISPATCH_TOKEN $2 $3 $(date +%s%N)" >>"$1"
sleep "$4"
echo "end $DISPATCH_TOKEN $2 $3 $(date +%s%N)" >>"$1"
