#!/bin/sh
# An agent that says, five times a second, that it acts. Each mark is one write at the end of one file.
# agent.sh MARKS WORKSPACE AGENT "KIND BEATS"; its times are nanoseconds since the machine started.
# plain and failing hear signals; deaf ones hear none; a wild one is deaf and leaves a child in a session of its own.
marks=$1 workspace=$2 agent=$3
# shellcheck disable=SC2086  # two words
set -- $4
kind=$1 beats=$2

mark() {
    read -r up _ </proc/uptime
    echo "$1 $DISPATCH_TOKEN $workspace $agent ${up%.*}${up#*.}0000000" >>"$marks"
}

case $kind in
deaf | wild | child) trap '' INT TERM HUP ;;
esac
[ "$kind" = child ] || mark start
if [ "$kind" = wild ]; then
    (setsid sh "$0" "$marks" "$workspace" "$agent" "child 200" &)
fi
while [ "$beats" -gt 0 ]; do
    sleep 0.2
    mark beat
    beats=$((beats - 1))
done
[ "$kind" = child ] || mark end
[ "$kind" != failing ]
